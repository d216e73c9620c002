"""`nooble dead`: what is buried is shown without harm, sent again once, and deleted only after somebody has said so."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from nooble.cli.harmless import escaped_json, harmless, harmless_json
from nooble.cli.main import app
from tests.cli.terminal import NOOBLE, PATIENCE, Finished, Terminal
from tests.support.servers import Server

GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "command-line.md"
BLOCK = re.compile(r"<!-- help of dead: (\w+) -->\n```text\n(.*?)```", re.DOTALL)
COLOR = re.compile(r"\x1b\[[0-9;]*m")

STREAM = "nooble4:development:pedidos:streams:main"
DEAD = "nooble4:development:pedidos:dead_letters:main"
HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]b[/bold red][link=x] \u202egpj.exe\x9b31m\u200b\r\x7f"
"""Clears the screen, names the window, is markup, turns the direction of writing, hides."""

Type = Callable[..., Finished]


def action(number: int = 1, kind: str = "pedidos.pedido.crear", **more: Any) -> str:
    whole = {"action_id": f"00000000-0000-4000-8000-{number:012}", "action_type": kind, **more}
    return json.dumps(
        whole | {"trace_id": whole["action_id"], "timestamp": "2025-01-31T18:00:00Z"} | {"data": {"n": number}}
    )


@pytest.fixture
def client(server: Server) -> redis.Redis:
    return server.client


@pytest.fixture
def dead(terminal: Terminal, redis_url: str) -> Type:
    """`nooble dead WORD pedidos …`."""
    return lambda word, *words, **more: terminal.type("dead", word, "pedidos", *words, "--redis-url", redis_url, **more)


def bury(client: redis.Redis, count: int = 1, **fields: Any) -> list[str]:
    """Dead letters; their ids."""
    letter = {"reason": "HANDLER_ERROR", "error": "OSError: jam", "attempts": 3, "first_id": "5-1"}
    return [client.xadd(DEAD, {**letter, "data": action(number), **fields}) for number in range(1, count + 1)]


def numbers(client: redis.Redis, key: str = STREAM) -> list[int]:
    return [json.loads(fields["data"])["data"]["n"] for _, fields in client.xrange(key)]


def somebody_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nooble.cli.dead_letters.is_somebody_here", lambda: True)


# ── list and show ──


def test_letters_are_listed_the_newest_first(dead: Type, client: redis.Redis) -> None:
    (first,) = bury(client)
    (second,) = bury(client, reason="TIMEOUT", error="ActionTimeout: too long\nmore", attempts="?")
    done = dead("list")
    assert (done.code, done.err) == (0, "")
    rows = [line.split() for line in done.out.splitlines()[2:]]
    assert [row[0] for row in rows] == [second, first]
    assert rows[0][3:] == ["TIMEOUT", "pedidos.pedido.crear", "ActionTimeout:", "too", "long"]
    assert rows[1][3:] == ["HANDLER_ERROR", "pedidos.pedido.crear", "3", "OSError:", "jam"]


def test_letters_are_listed_as_json_and_page_by_page(dead: Type, client: redis.Redis) -> None:
    ids = bury(client, 5)
    found, cursor = [], None
    while True:
        page = json.loads(
            dead("list", "--json", "--limit", "2", "--oldest", *(["--cursor", cursor] if cursor else [])).out
        )
        found += [letter["id"] for letter in page["letters"]]
        cursor = page["cursor"]
        if cursor is None:
            break
    assert found == ids
    assert json.loads(page["letters"][0]["data"])["data"] == {"n": 5}
    done = dead("list", "--limit", "2")
    assert done.err == f"There are more; --cursor {ids[3]} goes on.\n"
    assert dead("list", "--cursor", ids[0]).out == "There are no more dead letters of pedidos.\n"


def test_only_those_that_are_meant_are_listed(dead: Type, client: redis.Redis) -> None:
    old = client.xadd(DEAD, {"reason": "OLD"}, id="1000-0")
    (a,) = bury(client, reason="A", data=action(kind="pedidos.pedido.ver"))
    (b,) = bury(client, reason="B", error="no such Customer")
    c = bury(client)[0]

    def found(*words: str) -> list[str]:
        return [letter["id"] for letter in json.loads(dead("list", "--json", "--oldest", *words).out)["letters"]]

    assert found() == [old, a, b, c]
    assert found("--reason", "A", "--reason", "B") == [a, b]
    assert found("--action", "*.ver") == [a]
    assert found("--since", "2h") == [a, b, c]
    assert found("--until", "1.5h") == [old]
    assert found("--since", "1970-01-01T00:00:00+00:00", "--until", "1970-01-02") == [old]
    assert found("--text", "customer") == [b]
    assert dead("list", "--reason", "Z").out == "There are no dead letters that you mean of pedidos.\n"


def test_they_are_counted_by_reason(dead: Type, client: redis.Redis) -> None:
    bury(client, 2, reason="A")
    bury(client, 1, reason="B")
    done = dead("list", "--count")
    assert [line.split() for line in done.out.splitlines()[2:]] == [["A", "2"], ["B", "1"]]
    assert done.err == "3 of 3\n"
    counted = json.loads(dead("list", "--count", "--reason", "B", "--json").out)
    assert counted == {"total": 3, "by_reason": {"B": 1}, "cut": False}


@pytest.mark.parametrize("word", ["list", "export"])
def test_where_nobody_has_died_there_is_nothing(dead: Type, client: redis.Redis, word: str) -> None:
    done = dead(word)
    assert done.code == 0
    assert done.out == ("There are no dead letters of pedidos.\n" if word == "list" else "")
    assert client.keys() == []


def test_all_of_a_letter_is_shown(dead: Type, client: redis.Redis) -> None:
    (letter,) = bury(client, traceback="Traceback:\n  in jam", deliveries=4, strange="field")
    done = dead("show", letter)
    assert done.code == 0
    for text in (letter, "HANDLER_ERROR", "OSError: jam", "pedidos.pedido.crear", "strange  ", '  "n": 1\n'):
        assert text in done.out
    assert done.out.endswith("Traceback:\n  in jam\n")
    told = json.loads(dead("show", letter, "--json").out)
    assert (told["payload"], told["deliveries"], told["others"]) == ({"n": 1}, 4, {"strange": "field"})


def test_what_cannot_be_read_is_shown_as_bytes(dead: Type, client: redis.Redis) -> None:
    (letter,) = bury(client, data=b"{\xff")
    assert "\nbytes (not a readable action" in dead("show", letter).out
    assert dead("show", letter).out.endswith("{\\xff\n")
    large = client.xadd(DEAD, {"reason": "PAYLOAD_TOO_LARGE", "data_size": "9", "data_sha256": "ab", "data_head": "{x"})
    assert "cannot be replayed: only the fingerprint of its 9 bytes was kept" in dead("show", large).out


@pytest.mark.parametrize("word", ["show", "edit"])
def test_a_letter_that_is_gone_is_told(dead: Type, word: str) -> None:
    done = dead(word, "1-1")
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"Error: 1-1 is not in {DEAD}: it was replayed or discarded")


def test_code_names_the_service_too(pedidos: Terminal, redis_url: str, client: redis.Redis) -> None:
    bury(client)
    done = pedidos.type("dead", "list", "pedidos:PedidosService", "--count", "--redis-url", redis_url)
    assert done.err == "1 of 1\n"


# ── hostile text ──


def test_text_that_acts_is_shown_as_its_escapes() -> None:
    assert harmless("ñ é [bold]x") == "ñ é [bold]x"
    assert harmless("\x1b[2J\u202e\x9b\u2028\U000e0001\ud800") == "\\x1b[2J\\u202e\\x9b\\u2028\\U000e0001\\ud800"
    assert harmless("a\n\tb\r", lines=True) == "a\n\tb\\x0d"
    value = {"k": [HOSTILE, "ñ\u2028\ud800\U000e0001"]}
    shown = harmless_json(value)
    assert json.loads(shown) == value
    assert harmless(shown, lines=True) == shown
    assert "ñ" in shown
    assert json.loads(escaped_json(json.dumps(value))) == value


def test_nothing_in_a_letter_acts_on_what_reads_it(dead: Type, client: redis.Redis) -> None:
    fields = dict.fromkeys(("reason", "error", "traceback", "first_id", "worker", "strange", f"name{HOSTILE}"), HOSTILE)
    (letter,) = bury(
        client, **fields, data=json.dumps({"action_type": HOSTILE, "data": {"k": HOSTILE}}, ensure_ascii=False)
    )
    (broken,) = bury(client, data=HOSTILE)
    (stays,) = bury(client, reason="UNWRITABLE_FOLLOW_UP", target=HOSTILE)
    done = [
        dead("list"),
        dead("list", "--json"),
        dead("list", "--count"),
        dead("show", letter),
        dead("show", letter, "--json"),
        dead("show", broken),
        dead("export"),
        dead("replay", "--all"),
        dead("replay", stays),
    ]
    shown = "".join(one.out + one.err for one in done)
    assert harmless(shown, lines=True) == shown
    assert "\\x1b[2J" in shown
    assert "[bold red]b[/bold red][link=x]" in shown
    assert json.loads(done[1].out)["letters"][-1]["error"] == HOSTILE


def test_nothing_in_a_letter_acts_on_a_real_terminal(terminal: Terminal, redis_url: str, client: redis.Redis) -> None:
    (letter,) = bury(
        client, error=HOSTILE, reason=HOSTILE, data=json.dumps({"action_type": "a.b", "data": {HOSTILE: HOSTILE}})
    )
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*NOOBLE, "dead", "show", "pedidos", letter, "--redis-url", redis_url],
        cwd=terminal.folder,
        env=terminal.environment({"TERM": "xterm-256color"}),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        try:
            while part := os.read(ours, 65_536):
                shown += part
        except OSError:  # the other side is closed
            pass
        assert process.wait(PATIENCE) == 0
    os.close(ours)
    text = COLOR.sub("", shown.decode()).replace("\r\n", "\n")
    assert "\\x1b[2J" in text
    assert "[bold red]" in text
    assert harmless(text, lines=True) == text


# ── replay ──


def test_a_letter_is_sent_again_once(dead: Type, client: redis.Redis) -> None:
    one, two = bury(client, 2)
    done = dead("replay", one, two)
    assert (done.code, done.out, done.err) == (0, "2 dead letters are on the way again.\n", "")
    done = dead("replay", one, two)
    assert (done.code, done.out) == (0, "0 dead letters are on the way again, 2 were gone before.\n")
    assert (numbers(client), client.xlen(DEAD)) == ([1, 2], 0)


def test_what_cannot_be_sent_stays_and_is_told(dead: Type, client: redis.Redis) -> None:
    lost = client.xadd(DEAD, {"reason": "DATA_LOST"})
    (fine,) = bury(client)
    done = dead("replay", lost, fine)
    assert (done.code, done.out) == (1, "1 dead letter is on the way again.\n")
    assert done.err.startswith(f"Error: {lost} stays: its data were deleted")
    done = dead("replay", lost, "--json")
    assert (done.code, json.loads(done.out)["kept"].keys()) == (1, {lost})


def test_many_are_sent_again_once_that_is_confirmed(
    dead: Type, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    bury(client, 3)
    bury(client, 1, reason="TIMEOUT")
    words = ("replay", "--all", "--reason", "HANDLER_ERROR")
    done = dead(*words)
    assert (done.code, client.xlen(DEAD)) == (2, 4)
    assert done.err == "  3 HANDLER_ERROR\nError: nobody is here to confirm it; say --yes\n"
    somebody_is_here(monkeypatch)
    done = dead(*words, stdin="n\n")
    assert (done.code, client.xlen(DEAD)) == (1, 4)
    done = dead(*words, stdin="y\n")
    assert (done.code, done.out.splitlines()[-1], client.xlen(DEAD)) == (0, "3 dead letters are on the way again.", 1)
    assert json.loads(dead("replay", "--all", "--yes", "--json").out) == {"replayed": 1, "gone": 0, "kept": {}}
    assert dead(*words, stdin="").out == "0 dead letters are on the way again.\n"


MISTAKES = {
    "neither ids nor all": ["replay"],
    "both ids and all": ["replay", "1-1", "--all"],
    "ids and a filter": ["discard", "1-1", "--reason", "A"],
    "a filter alone": ["discard", "--reason", "A"],
    "no time": ["list", "--since", "yesterday"],
    "a time beyond all": ["list", "--since", "99999999999999d"],
    "no number": ["list", "--limit", "0"],
}


@pytest.mark.parametrize("words", MISTAKES.values(), ids=MISTAKES)
def test_what_cannot_be_meant_is_told(dead: Type, client: redis.Redis, words: list[str]) -> None:
    bury(client)
    assert (dead(*words).code, client.xlen(DEAD)) == (2, 1)


@pytest.mark.parametrize(
    "words", [["show", "x"], ["replay", "x"], ["discard", "x", "--yes"], ["list", "--cursor", "x"]]
)
def test_what_is_no_id_is_told(dead: Type, words: list[str]) -> None:
    done = dead(*words)
    assert (done.code, done.err) == (1, "Error: 'x' is no id of a dead letter; those look like 1719000000000-0\n")


@pytest.mark.leaves_keys("it puts a stranger's key where the dead letters should be")
def test_dead_letters_that_are_something_else_are_told(dead: Type, client: redis.Redis) -> None:
    client.set(DEAD, "a stranger's")
    for words in (["list"], ["replay", "1-1"], ["export"], ["discard", "1-1", "--yes"]):
        done = dead(*words)
        assert (done.code, done.err[:28]) == (1, "Error: the server refuses: W")


@pytest.mark.parametrize("word", ["list", "export"])
def test_a_server_that_is_away_has_an_exit_code_of_its_own(terminal: Terminal, word: str) -> None:
    done = terminal.type("dead", word, "pedidos", "--redis-url", "redis://127.0.0.1:1")
    assert (done.code, done.err[:41]) == (69, "Error: the server cannot be reached: Error"[:41])


# ── edit ──


def test_a_letter_is_sent_with_another_payload(dead: Type, client: redis.Redis, terminal: Terminal) -> None:
    terminal.write("new.json", '{"n": 12}')
    for data, stdin in (('{"n": 11}', None), ("@new.json", None), ("-", '{"n": 13}')):
        (letter,) = bury(client)
        done = dead("edit", letter, "--data", data, stdin=stdin)
        assert (done.code, done.out) == (0, "1 dead letter is on the way again.\n")
    assert (numbers(client), client.xlen(DEAD)) == ([11, 12, 13], 0)
    assert {json.loads(fields["data"])["action_id"][-1] for _, fields in client.xrange(STREAM)} == {"1"}


def editor(terminal: Terminal, script: str) -> str:
    """An editor that does what *script* says to the file `$1`."""
    terminal.write("editor.sh", f"#!/bin/sh\n{script}\n")
    path = terminal.folder / "editor.sh"
    path.chmod(0o755)
    return str(path)


def test_the_payload_is_written_in_an_editor(dead: Type, client: redis.Redis, terminal: Terminal) -> None:
    (letter,) = bury(client)
    keep = terminal.folder / "seen"
    done = dead("edit", letter, EDITOR=editor(terminal, f'cp "$1" {keep}; sleep 0; echo \'{{"n": 21}}\' > "$1"'))
    assert (done.code, done.out) == (0, "1 dead letter is on the way again.\n")
    assert keep.read_text() == '{\n  "n": 1\n}\n'
    assert numbers(client) == [21]


@pytest.mark.parametrize(
    ("script", "code", "told"),
    [
        ("true", 1, "nothing was changed, so nothing was sent"),
        ("echo '{\"n\": ' > $1", 1, "the payload is no JSON"),
        ("echo '[1]' > $1", 1, "a payload is an object"),
        (": > $1", 1, "nothing was sent"),
    ],
)
def test_what_an_editor_leaves_broken_or_as_it_was_is_not_sent(
    dead: Type, client: redis.Redis, terminal: Terminal, script: str, code: int, told: str
) -> None:
    (letter,) = bury(client)
    done = dead("edit", letter, EDITOR=editor(terminal, script))
    assert (done.code, client.xlen(DEAD), client.exists(STREAM)) == (code, 1, 0)
    assert told in done.err


def test_a_broken_payload_can_be_edited_again(
    dead: Type, client: redis.Redis, terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    somebody_is_here(monkeypatch)
    (letter,) = bury(client)
    script = 'if grep -q broken "$1"; then echo \'{"n": 31}\' > "$1"; else echo broken > "$1"; fi'
    done = dead("edit", letter, EDITOR=editor(terminal, script), stdin="y\n")
    assert (done.code, numbers(client)) == (0, [31])


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--data", "{"], 2, "the payload is no JSON"),
        (["--data", "@nowhere"], 2, "the file cannot be read"),
        ([], 2, "nobody is here to edit it; give the new payload by --data"),
    ],
)
def test_what_is_no_payload_is_not_sent(
    dead: Type, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, words: list[str], code: int, told: str
) -> None:
    monkeypatch.delenv("EDITOR", raising=False)
    monkeypatch.delenv("VISUAL", raising=False)
    (letter,) = bury(client)
    done = dead("edit", letter, *words)
    assert (done.code, client.xlen(DEAD)) == (code, 1)
    assert told in done.err


def test_a_letter_without_data_cannot_be_edited(dead: Type, client: redis.Redis) -> None:
    lost = client.xadd(DEAD, {"reason": "DATA_LOST"})
    assert f"{lost} cannot be replayed: its data were deleted" in dead("edit", lost, "--data", "{}").err


@pytest.mark.slow
def test_a_mended_action_runs(pedidos: Terminal, redis_url: str, client: redis.Redis) -> None:
    """From the first mistake to success, as a person would do it."""
    at = ("--redis-url", redis_url)
    with pedidos.start("run", "pedidos", *at, LOG_LEVEL="info") as run:
        run.until("worker_started")
        pedidos.type("send", "pedidos.pedido.crear", "cantidad:=2", *at)
        run.until("action_buried")
        ((letter, fields),) = client.xrange(DEAD)
        assert fields["reason"] == "INVALID_PAYLOAD"
        mended = pedidos.run("dead", "edit", "pedidos", letter, "--data", '{"cliente": "acme"}', *at)
        assert mended.out == "1 dead letter is on the way again.\n"
        run.until("taking")
        assert run.end() == 0
    assert (client.xlen(DEAD), client.xlen(STREAM)) == (0, 0)


# ── discard and export ──


def test_letters_are_deleted_once_that_is_confirmed(
    dead: Type, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = bury(client, 4)
    done = dead("discard", ids[0])
    assert (done.code, done.err) == (2, "Error: nobody is here to confirm it; say --yes\n")
    somebody_is_here(monkeypatch)
    done = dead("discard", ids[0], stdin="pedido\n")
    assert (done.code, client.xlen(DEAD)) == (1, 4)
    done = dead("discard", ids[0], stdin="pedidos\n")
    assert (done.code, done.out.splitlines()[-1], client.xlen(DEAD)) == (0, "Deleted 1 dead letter.", 3)
    assert dead("discard", ids[0], "--yes").out == "Deleted 0 dead letters, 1 was gone before.\n"
    assert json.loads(dead("discard", "--all", "--yes", "--json").out) == {"discarded": 3, "gone": 0}


def test_an_export_goes_to_standard_output_or_to_a_file(dead: Type, client: redis.Redis, terminal: Terminal) -> None:
    ids = bury(client, 3, error=HOSTILE)
    lines = dead("export").out.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids
    assert {json.loads(line)["error"] for line in lines} == {HOSTILE}
    done = dead("export", "--output", "letters.jsonl")
    assert (done.code, done.out, done.err) == (0, "", "Wrote 3 dead letters to letters.jsonl.\n")
    assert (terminal.folder / "letters.jsonl").read_text().splitlines() == lines
    assert client.xlen(DEAD) == 3
    assert "nowhere/x cannot be written" in dead("export", "--output", "nowhere/x").err


def test_an_export_that_fails_leaves_the_one_before(dead: Type, terminal: Terminal) -> None:
    terminal.write("letters.jsonl", "before")
    done = terminal.type("dead", "export", "pedidos", "-o", "letters.jsonl", "--redis-url", "redis://127.0.0.1:1")
    assert done.code == 69
    assert (terminal.folder / "letters.jsonl").read_text() == "before"
    assert [path.name for path in terminal.folder.iterdir()] == ["letters.jsonl"]


# ── options, help, guide ──


def test_options_have_variables_and_a_place_in_the_project_file(
    dead: Type, client: redis.Redis, terminal: Terminal, redis_url: str
) -> None:
    bury(client, 3)
    assert len(json.loads(dead("list", "--json", NOOBLE_DEAD_LIST_LIMIT="2").out)["letters"]) == 2
    terminal.write(
        "pyproject.toml", f'[tool.nooble]\nredis-url = "{redis_url}"\n[tool.nooble.dead]\nlimit = 1\njson = true\n'
    )
    assert len(json.loads(terminal.type("dead", "list", "pedidos").out)["letters"]) == 1
    terminal.write("pyproject.toml", "[tool.nooble.dead]\nlimitt = 1\n")
    assert "did you mean 'limit'?" in dead("list").err


def help_of(command: str) -> str:
    """What `nooble dead COMMAND --help` shows in a terminal of a hundred columns."""
    words = ["dead", command, "--help"] if command != "dead" else ["dead", "--help"]
    shown = CliRunner().invoke(app, words, env={"COLUMNS": "100"}, prog_name="nooble").stdout
    return "\n".join(line.rstrip() for line in COLOR.sub("", shown).strip().splitlines()) + "\n"


def written(guide: str) -> str:
    """*guide* with the help of every command of the group as it is."""
    return BLOCK.sub(lambda block: f"<!-- help of dead: {block[1]} -->\n```text\n{help_of(block[1])}```", guide)


def test_the_guide_shows_the_help_of_every_command() -> None:
    shown = dict(BLOCK.findall(GUIDE.read_text()))
    assert list(shown) == ["dead", "list", "show", "replay", "edit", "discard", "export"]
    for command, text in shown.items():
        assert text == help_of(command), "write it anew: python -m tests.cli.test_dead"


if __name__ == "__main__":
    GUIDE.write_text(written(GUIDE.read_text()))
