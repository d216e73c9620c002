"""`nooble inspect`, `tail`, `retry` and `purge`: actions are found and shown without harm, run, given up or deleted only as
they were meant."""

from __future__ import annotations

import json
import re
import time
import uuid
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
import redis
import redis.asyncio as redis_asyncio

from nooble.cli import purging
from nooble.cli.hiding import Hiding, declared_by
from nooble.operations import Message
from nooble.operations.reading import Route
from tests.cli.terminal import Finished, Terminal
from tests.support.servers import Server
from tests.support.settings import make_settings

PLACE = "nooble4:development"
STREAM, DEAD, RETRIES = (f"{PLACE}:pedidos:{kind}:main" for kind in ("streams", "dead_letters", "retries"))
OTHER = f"{PLACE}:almacen:streams:main"
HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]b[/bold red][link=x] \u202egpj.exe\x9b31m\u200b\r\x7f"
"""Clears the screen, names the window, is markup, turns the direction of writing, hides."""
ACTING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]")
WORKER = "pedidos-worker-box-7-nb0000000001"

Type = Callable[..., Finished]


def number_of(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012}"


def action(number: int = 1, kind: str = "pedidos.pedido.crear", data: Any = None, **more: Any) -> str:
    whole = {"action_id": number_of(number), "action_type": kind, "trace_id": number_of(number)}
    return json.dumps({**whole, "timestamp": "2025-01-31T18:00:00Z", "data": data or {"n": number}, **more})


@pytest.fixture
def client(server: Server) -> redis.Redis:
    return server.client


@pytest.fixture
def typed(terminal: Terminal, redis_url: str) -> Type:
    """`nooble WORD …` at the server of the test."""
    return lambda *words, **more: terminal.type(*words, "--redis-url", redis_url, **more)


def somebody_is_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nooble.cli.operating.is_somebody_here", lambda: True)


def facts_of(out: str) -> dict[str, str]:
    """The table of fields and values."""
    lines = out.split("\n\n")[0].splitlines()[2:]
    return dict(re.split(r"\s{2,}", line.strip(), maxsplit=1) for line in lines)


def later(client: redis.Redis, count: int = 3) -> list[str]:
    """Retries; their ids."""
    due = time.time() * 1000 + 60_000
    for number in range(1, count + 1):
        client.zadd(RETRIES, {f"{number}-0 v 1 attempt 2\n{action(number)}": due + number * 1_000})
    return [f"{number}-0" for number in range(1, count + 1)]


def declare(client: redis.Redis, **sensitive: str) -> None:
    """Say for workers that have lived here what is sensitive in `pedidos.pedido.NAME`."""
    routes = [
        {"action_type": f"pedidos.pedido.{name}", "options": {"sensitive": names}}
        for name, names in (sensitive or {"crear": ""}).items()
    ]
    client.set(f"{PLACE}:pedidos:routes:last", json.dumps(routes), ex=60)


# ── inspect ──


def test_all_that_is_known_of_an_action_is_shown(typed: Type, client: redis.Redis) -> None:
    more = {"metadata": {"ttl_ms": 60_000}, "tenant_id": "acme", "callback_queue_name": "web:q", "color": "red"}
    entry = client.xadd(STREAM, {"data": action(**more), "v": "1"})
    client.xgroup_create(STREAM, "pedidos-group", "0")
    client.xreadgroup("pedidos-group", WORKER, {STREAM: ">"})
    declare(client)
    done = typed("inspect", number_of(1))
    assert (done.code, done.err) == (0, "")
    facts = facts_of(done.out)
    assert facts["where"].startswith(f"at work: {WORKER} holds it")
    assert (facts["id"], facts["deliveries"], facts["tenant id"], facts["answer to"]) == (entry, "1", "acme", "web:q")
    assert "(in 5" in facts["deadline"] or "(in 1 min)" in facts["deadline"]
    assert '\npayload\n{\n  "n": 1\n}\n' in done.out
    assert '"color": "red"' in done.out
    found = json.loads(typed("inspect", entry, "--service", "pedidos", "--json").out)
    assert found["messages"][0]["place"] == "at_work"
    assert found["messages"][0]["envelope"]["data"] == {"n": 1}
    assert found["cut"] is False


def test_an_action_is_shown_wherever_it_is(typed: Type, client: redis.Redis) -> None:
    client.xgroup_create(STREAM, "pedidos-group", "0", mkstream=True)
    later(client, 1)
    facts = facts_of(typed("inspect", "1-0").out)
    assert facts["where"].startswith("waits for its next attempt: due 20")
    assert facts["failed attempts"] == "2"
    letter = client.xadd(
        DEAD,
        {
            "reason": "TIMEOUT",
            "error": "too long",
            "traceback": "Traceback:\n  in jam",
            "worker": WORKER,
            "data": action(2),
        },
    )
    out = typed("inspect", letter).out
    assert facts_of(out)["where"] == f"in the dead letters, given up by {WORKER}"
    assert (facts_of(out)["reason"], facts_of(out)["error"]) == ("TIMEOUT", "too long")
    assert out.endswith("Traceback:\n  in jam\n")
    client.xadd(STREAM, {"data": action(3)})
    assert facts_of(typed("inspect", number_of(3)).out)["where"] == "waits in the stream"


def test_what_only_messagepack_can_say_is_json_all_the_same(typed: Type, client: redis.Redis) -> None:
    odd = {"nan": float("nan"), "bytes": b"\xff", "list": [{3: None}]}
    client.xadd(
        STREAM, {"data": msgspec.msgpack.encode({"action_type": "pedidos.pedido.crear", "data": odd})}, id="5-1"
    )
    (found,) = json.loads(typed("inspect", "5-1", "--json").out, parse_constant=pytest.fail)["messages"]
    assert found["envelope"]["data"] == {"nan": None, "bytes": "/w==", "list": [{"3": None}]}
    assert '"bytes": "/w=="' in typed("inspect", "5-1").out


def test_secrets_are_shown_to_those_who_ask(typed: Type, client: redis.Redis) -> None:
    data = {"card": "4111", "password": "hunter2", "url": "redis://me:hunter2@box", "n": [{"card": "4222"}]}
    client.xadd(STREAM, {"data": action(1, data=data)}, id="5-1")
    client.xadd(
        DEAD, {"data": action(2, data=data), "error": "cannot reach redis://me:hunter2@box", "traceback": "hunter2"}
    )
    route = {"action_type": "pedidos.pedido.crear", "options": {"sensitive": "card, cvc"}}
    client.set(f"{PLACE}:pedidos:routes:abc", json.dumps([route]), ex=60)
    card = {"service": "pedidos", "consumer": WORKER, "routes": "abc"}
    client.set(f"{PLACE}:pedidos:workers:{WORKER}", json.dumps(card), ex=60)
    client.zadd(f"{PLACE}:pedidos:workers:main", {WORKER: time.time() * 1000})
    for words in (["5-1"], ["5-1", "--json"], [number_of(2), "--json"]):
        out = typed("inspect", *words).out
        assert not [secret for secret in ("4111", "4222", "me:hunter2") if secret in out]
        assert out.count("***") >= 4
    out = typed("inspect", "5-1", "--reveal").out
    assert all(secret in out for secret in ("4111", "4222", "me:hunter2"))


@pytest.mark.parametrize("kind", ["pedidos.pedido.pagar", "pedidos.pedido.nadie"])
def test_secrets_are_hidden_when_no_worker_lives_and_of_actions_that_nobody_declared(
    typed: Type, client: redis.Redis, kind: str
) -> None:
    client.xadd(STREAM, {"data": action(1, kind, data={"pan": "4111", "n": 1})}, id="5-1")
    declare(client, crear="cvc", pagar="pan, dni")
    for words in (["5-1"], ["5-1", "--json"]):
        done = typed("inspect", *words)
        assert "4111" not in done.out
        assert done.err == ""
    assert '"pan": "4111"' in typed("inspect", "5-1", "--reveal").out


def test_it_is_said_when_it_is_not_known_what_is_sensitive(typed: Type, client: redis.Redis) -> None:
    client.xadd(STREAM, {"data": action(1, data={"pan": "4111", "password": "hunter2"})}, id="5-1")
    client.xadd(STREAM, {"data": action(1)}, id="5-2")
    done = typed("inspect", number_of(1), "--json")
    assert "hunter2" not in done.out
    assert done.err.count("What pedidos has declared as sensitive is not known here") == 1
    assert typed("inspect", "5-1", "--reveal").err == ""


async def test_what_comes_to_be_known_is_hidden_from_then_on(
    client: redis.Redis, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nooble.cli.hiding._KNOWN_SECONDS", 0.0)
    monkeypatch.setattr("nooble.cli.hiding._UNKNOWN_SECONDS", 0.0)
    told: list[str] = []
    message = Message(
        service="pedidos",
        entry_id="5-1",
        place="waiting",
        action_type="pedidos.pedido.crear",
        envelope={"data": {"pan": "4111", "cvc": "7"}},
    )
    settings = make_settings("whoever", environment="development")
    async with (
        redis_asyncio.Redis.from_url(redis_url) as connection,
        Hiding(connection, settings, reveal=False, told=told.append) as hiding,
    ):

        async def shown() -> Any:
            return ((await hiding.shown(message)).envelope or {})["data"]

        assert [await shown() for _ in range(2)] == [{"pan": "4111", "cvc": "7"}] * 2
        assert len(told) == 1
        declare(client, crear="pan")
        assert await shown() == {"pan": "***", "cvc": "7"}
        declare(client, crear="cvc")
        assert await shown() == {"pan": "4111", "cvc": "***"}
        client.delete(f"{PLACE}:pedidos:routes:last")
        assert await shown() == {"pan": "4111", "cvc": "***"}  # what was sensitive still is
        assert len(told) == 1


def test_what_an_operator_calls_secret_is_hidden(
    typed: Type, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOG_REDACT", "iban")
    client.xadd(STREAM, {"data": action(1, data={"iban": "ES91", "token": "t0"})}, id="5-1")
    out = typed("inspect", "5-1").out
    assert "ES91" not in out
    assert "t0" in out


def test_all_of_a_payload_is_shown_if_it_is_asked_for(typed: Type, client: redis.Redis) -> None:
    deep: Any = "end"
    for _ in range(30):
        deep = [deep]
    data = {"many": [{"n": n} for n in range(6_000)], "deep": deep}
    client.xadd(STREAM, {"data": action(1, data=data)}, id="5-1")
    (found,) = json.loads(typed("inspect", "5-1", "--json").out)["messages"]
    assert found["envelope"]["data"] == data
    full = typed("inspect", "5-1", "--full").out
    assert '"n": 5999' in full
    assert '"end"' in full


def test_its_conversation_is_shown(typed: Type, client: redis.Redis) -> None:
    trace = str(uuid.uuid4())
    client.xadd(STREAM, {"data": action(1, trace_id=trace)}, id="5-1")
    client.xadd(OTHER, {"data": action(2, "almacen.caja.abrir", trace_id=trace)}, id="6-1")
    out = typed("inspect", "6-1").out
    table = out.split("conversation")[1].splitlines()[3:]
    assert [re.split(r"\s{2,}", line)[:4] for line in table] == [
        ["5-1", "pedidos", "waiting", "pedidos.pedido.crear"],
        ["6-1 *", "almacen", "waiting", "almacen.caja.abrir"],
    ]
    both = typed("inspect", trace)
    assert both.out.startswith("2 actions have this id")
    assert "payload" not in both.out


def test_what_is_not_there_is_told(typed: Type, client: redis.Redis) -> None:
    client.xadd(STREAM, {"data": action(1)})
    done = typed("inspect", HOSTILE + "x" * 10_000)
    assert done.code == 1
    assert "nothing in any service that is known here has the id" in done.err
    assert not ACTING.search(done.err)
    assert len(done.err) < 600
    assert "nothing in almacen has the id" in typed("inspect", number_of(1), "--service", "almacen").err


def test_a_long_payload_is_cut_unless_all_is_asked_for(typed: Type, client: redis.Redis) -> None:
    client.xadd(STREAM, {"data": action(1, data={"x": "y" * 900_000}, tenant_id="t" * 50_000)}, id="5-1")
    short = typed("inspect", "5-1").out
    assert len(short) < 10_000
    assert "--full shows all" in short
    assert "y" * 900_000 in typed("inspect", "5-1", "--full").out


@pytest.mark.parametrize(
    "data",
    [
        action(1, HOSTILE, data={HOSTILE: HOSTILE}, tenant_id=HOSTILE, session_id=HOSTILE, extra=HOSTILE).encode(),
        action(1, data={HOSTILE: [HOSTILE]}, callback_queue_name=HOSTILE, callback_action_type=HOSTILE).encode(),
        HOSTILE.encode(),
        b"\xff\xfe\x1b[2J",
        b"[" * 10_000,
        b"",
    ],
)
def test_nothing_hostile_acts_on_the_terminal(typed: Type, client: redis.Redis, data: bytes) -> None:
    client.xadd(STREAM, {"data": data, HOSTILE: HOSTILE}, id="5-1")
    client.xadd(DEAD, {"data": data, "reason": HOSTILE, "error": HOSTILE, "traceback": HOSTILE, "first_id": "5-1"})
    client.zadd(RETRIES, {b"6-1 v 1 attempt 1\n" + data: 1, HOSTILE: 2})
    for words in (["inspect", "5-1"], ["inspect", "6-1"], ["retry", "list", "pedidos"]):
        for more in ([], ["--json"]):
            done = typed(*words, *more)
            assert done.code == 0
            assert not ACTING.search(done.out + done.err), (words, more)
    client.delete(DEAD)
    assert not ACTING.search(typed("inspect", "5-1", "--full").out)


# ── tail ──


def test_the_tail_shows_actions_as_they_come(terminal: Terminal, client: redis.Redis, redis_url: str) -> None:
    client.xadd(STREAM, {"data": action(1)})
    with terminal.start("tail", "pedidos", "--payload", "--redis-url", redis_url) as running:
        running.until("Listening to pedidos")
        _wait_for_a_listener(client)
        client.xadd(STREAM, {"data": action(2, data={"x": HOSTILE})})
        assert "pedidos.pedido.crear" in running.until("pedidos.pedido.crear")
        running.until("owned")
        client.xadd(DEAD, {"reason": "TIMEOUT", "error": f"too long {HOSTILE}\nmore", "data": action(3)})
        assert "too long" in running.until("TIMEOUT")
        assert running.end() == 0
    assert not ACTING.search(running.said)
    assert running.said.count("pedidos.pedido.crear") == 2


def test_the_tail_is_lines_of_json_of_what_is_meant(terminal: Terminal, client: redis.Redis, redis_url: str) -> None:
    words = ["tail", "--json", "--limit", "1", "--action", "*.abrir", "--redis-url", redis_url]
    client.xadd(OTHER, {"data": action(1, "almacen.caja.abrir")})
    with terminal.start(*words) as running:
        _wait_for_a_listener(client)
        client.xadd(OTHER, {"data": action(2, "almacen.caja.cerrar")})
        client.xadd(OTHER, {"data": action(3, "almacen.caja.abrir")})
        assert running.ended() == 0
    warning, line = running.lines
    assert warning.startswith("What almacen has declared as sensitive is not known here")
    assert json.loads(line)["action_id"] == number_of(3)


def _wait_for_a_listener(client: redis.Redis) -> None:
    deadline = time.monotonic() + 10
    while not client.info("clients")["blocked_clients"]:
        assert time.monotonic() < deadline
        time.sleep(0.01)


# ── retry ──


def test_retries_are_listed_as_they_are_due(typed: Type, client: redis.Redis) -> None:
    ids = later(client)
    out = typed("retry", "list", "pedidos").out
    rows = [re.split(r"\s{2,}", line) for line in out.splitlines()[2:]]
    assert [row[0] for row in rows] == ids
    assert rows[0][2:4] == ["2", "pedidos.pedido.crear"]
    first = typed("retry", "list", "pedidos", "--limit", "2")
    assert "3 retries in all" in first.err
    cursor = re.search(r"--cursor (\S+)", first.err)[1]
    page = json.loads(typed("retry", "list", "pedidos", "--cursor", cursor, "--json").out)
    assert [one["entry_id"] for one in page["messages"]] == ids[2:]
    client.delete(RETRIES)
    assert typed("retry", "list", "pedidos").out == "Nothing of pedidos waits for its next attempt.\n"


def test_retries_run_at_once(typed: Type, client: redis.Redis) -> None:
    ids = later(client)
    done = typed("retry", "now", "pedidos", ids[0], "99-0")
    assert (done.code, done.out) == (0, "1 retry is on the way, 1 was gone before.\n")
    assert [fields["first_id"] for _, fields in client.xrange(STREAM)] == ids[:1]
    told = json.loads(typed("retry", "now", "pedidos", "--all", "--yes", "--json").out)
    assert told == {"done": 2, "gone": 0, "answered": 0, "kept": {}}
    assert client.zcard(RETRIES) == 0


def test_retries_that_are_given_up_are_dead(typed: Type, client: redis.Redis) -> None:
    ids = later(client)
    done = typed("retry", "cancel", "pedidos", *ids[:2], "--reason", "wrong price")
    assert (done.code, done.out) == (0, "2 retries are dead letters now.\n")
    letters = client.xrange(DEAD)
    assert [fields["reason"] for _, fields in letters] == ["CANCELLED", "CANCELLED"]
    assert all(fields["error"].endswith(": wrong price") for _, fields in letters)
    assert client.zcard(RETRIES) == 1


@pytest.mark.parametrize("word", ["now", "cancel"])
def test_all_retries_only_after_somebody_has_said_so(
    typed: Type, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, word: str
) -> None:
    later(client)
    assert typed("retry", word, "pedidos").code == 2
    assert typed("retry", word, "pedidos", "1-0", "--all").code == 2
    assert "nobody is here to confirm it; say --yes" in typed("retry", word, "pedidos", "--all").err
    somebody_is_here(monkeypatch)
    refused = typed("retry", word, "pedidos", "--all", stdin="n\n")
    assert (refused.code, client.zcard(RETRIES)) == (1, 3)
    assert "3 retries" in refused.err
    assert typed("retry", word, "pedidos", "--all", stdin="y\n").code == 0
    assert client.zcard(RETRIES) == 0


def test_what_cannot_be_done_stays_and_is_told(typed: Type, client: redis.Redis) -> None:
    later(client, 1)
    client.set(STREAM, "x", ex=60)
    done = typed("retry", "now", "pedidos", "1-0")
    assert done.code == 1
    assert "1-0 stays: WRONGTYPE" in done.err


# ── purge ──


def stand(client: redis.Redis) -> None:
    client.xgroup_create(STREAM, "pedidos-group", "0", mkstream=True)
    for number in range(5):
        client.xadd(STREAM, {"data": action(number)})
    client.xreadgroup("pedidos-group", WORKER, {STREAM: ">"}, count=2)
    client.xadd(DEAD, {"reason": "X"})
    later(client)


def test_what_waits_is_deleted_after_its_name_was_typed(
    typed: Type, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    stand(client)
    somebody_is_here(monkeypatch)
    refused = typed("purge", "pedidos", stdin="yes\n")
    assert refused.code == 1
    assert "3 waiting actions will be deleted for good. Type pedidos to go on" in refused.err
    assert client.xlen(STREAM) == 5
    done = typed("purge", "pedidos", stdin="pedidos\n")
    assert done.code == 0
    assert done.out.endswith("Deleted 3 waiting actions. 2 actions at work stayed.\n")
    assert (client.xlen(STREAM), client.xlen(DEAD), client.zcard(RETRIES)) == (2, 1, 3)


def test_more_is_deleted_if_it_is_asked_for(typed: Type, client: redis.Redis) -> None:
    stand(client)
    client.lpush(f"{PLACE}:pedidos:responses:inbox:1", "x")
    words = ["--no-waiting", "--retries", "--dead", "--answers"]
    assert typed("purge", "pedidos", *words).code == 2
    done = typed("purge", "pedidos", *words, "--yes", "--json")
    assert json.loads(done.out) == {"waiting": 0, "retries": 3, "dead": 1, "answers": 1}
    assert client.xlen(STREAM) == 5
    assert "nothing is meant" in typed("purge", "pedidos", "--no-waiting").err


@pytest.mark.parametrize("stands", ["no worker has come", "what was held is gone", "nobody can count"])
def test_nothing_is_deleted_unasked_whatever_can_be_counted(
    typed: Type, client: redis.Redis, monkeypatch: pytest.MonkeyPatch, stands: str
) -> None:
    ids = [client.xadd(STREAM, {"data": action(number)}) for number in range(6)]
    words = "6 waiting actions"
    if stands != "no worker has come":
        client.xgroup_create(STREAM, "pedidos-group", "0")
        client.xreadgroup("pedidos-group", WORKER, {STREAM: ">"}, count=3)
        client.xdel(STREAM, *ids[:3])
        words = "3 waiting actions"
    if stands == "nobody can count":
        client.xdel(STREAM, ids[4])
        words = "2 waiting actions"
    there = client.xlen(STREAM)
    assert "nobody is here to confirm it" in typed("purge", "pedidos").err
    somebody_is_here(monkeypatch)
    refused = typed("purge", "pedidos", stdin="\nno\n")
    assert refused.code == 1
    assert f"{words} will be deleted for good" in refused.err
    assert client.xlen(STREAM) == there
    assert typed("purge", "pedidos", stdin="pedidos\n").code == 0
    assert client.xlen(STREAM) == 0


def test_what_comes_after_nobody_was_asked_stays(
    typed: Type, client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = purging.count_waiting

    async def slow_look(*given: Any) -> Any:
        seen = await look(*given)
        client.xadd(STREAM, {"data": action(1)})
        return seen

    monkeypatch.setattr(purging, "count_waiting", slow_look)
    assert typed("purge", "pedidos").out == "Deleted 0 waiting actions.\n"
    assert client.xlen(STREAM) == 1


def test_where_nothing_is_nothing_is_asked(typed: Type, client: redis.Redis) -> None:
    assert typed("purge", "pedidos").out == "Deleted 0 waiting actions.\n"
    assert client.keys() == []


def test_a_field_whose_schema_says_so_is_sensitive() -> None:
    schema = {"properties": {"pin": {"writeOnly": True}, "key": {"format": "password"}, "n": {}}}
    route = Route(action_type="demo.card.charge", payload=schema, options={"sensitive": "card"})
    assert declared_by([route]).names_of("demo.card.charge") == {"card", "pin", "key"}
