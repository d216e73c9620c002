"""`nooble status`, `top`, `health` and `workers`: what is read is shown so that a person sees what is wrong, and a program
too."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import redis

from nooble.cli.top import Look, Trends, shown_of
from nooble.operations.reading import Rates, Reading, Service, Stream
from nooble.operations.reading import Server as ServerRead
from tests.cli.terminal import NOOBLE, PATIENCE, Finished, Terminal
from tests.support.servers import Server

PLACE = "nooble4:development"
STREAM, DEAD, RETRIES = (f"{PLACE}:pedidos:{kind}:main" for kind in ("streams", "dead_letters", "retries"))
HOSTILE = "\x1b[2J\x1b]0;owned\x07[bold red]b[/bold red][link=x] \u202egpj.exe\x9b31m\u200b\r\x7f"
"""Clears the screen, names the window, is markup, turns the direction of writing, hides."""
ACTING = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b\u202e]")
CARD = {"host": "box", "pid": 7, "concurrency": 2, "busy": 1, "taken": 12, "rss": 64_000_000, "lease_ms": 30_000}

Type = Callable[..., Finished]


@pytest.fixture
def client(server: Server) -> redis.Redis:
    return server.client


@pytest.fixture
def typed(terminal: Terminal, redis_url: str) -> Type:
    """`nooble WORD …` at the server of the test."""
    return lambda *words, **more: terminal.type(*words, "--redis-url", redis_url, **more)


def consumer(number: int = 1) -> str:
    return f"pedidos-worker-box-7-nb{number:010x}"


def register(client: redis.Redis, number: int = 1, **more: Any) -> str:
    """A worker as it says of itself; its name."""
    now = int(time.time() * 1000)
    card = {
        "service": "pedidos",
        "consumer": consumer(number),
        "started_ms": now - 60_000,
        "beat_ms": now,
        **CARD,
        **more,
    }
    client.set(f"{PLACE}:pedidos:workers:{consumer(number)}", json.dumps(card), px=60_000)
    client.zadd(f"{PLACE}:pedidos:workers:main", {consumer(number): now})
    client.expire(f"{PLACE}:pedidos:workers:main", 60)
    return consumer(number)


def stand(client: redis.Redis, *, waiting: int = 2, held: int = 1) -> None:
    """A service with work."""
    client.xgroup_create(STREAM, "pedidos-group", "0", mkstream=True)
    for number in range(held + waiting):
        client.xadd(STREAM, {"data": json.dumps({"action_type": "pedidos.pedido.crear", "data": {"n": number}})})
    if held:
        client.xreadgroup("pedidos-group", consumer(), {STREAM: ">"}, count=held)


def row_of(out: str, first: str) -> list[str]:
    """The cells of the row that begins so."""
    (line,) = [line for line in out.splitlines() if line.startswith(f"{first} ")]
    return re.split(r"\s{2,}", line.strip())


# ── status ──


def test_a_service_is_one_row(typed: Type, client: redis.Redis) -> None:
    stand(client, waiting=3, held=2)
    register(client)
    client.xadd(DEAD, {"reason": "TIMEOUT"})
    client.zadd(RETRIES, {"1-0\n{}": time.time() * 1000 + 60_000})
    done = typed("status")
    assert (done.code, done.err) == (0, "")
    service, waiting, oldest, at_work, retries, dead, workers = row_of(done.out, "pedidos")
    assert (service, waiting, at_work, retries, dead, workers) == ("pedidos", "3", "2", "1", "1", "1")
    assert oldest.endswith("ms")
    assert "at 127.0.0.1:" in done.out.splitlines()[-1]


def test_a_named_service_is_shown_closely(typed: Type, client: redis.Redis) -> None:
    stand(client)
    register(
        client,
        state="quiet",
        at_work=[{"entry_id": client.xrange(STREAM)[0][0], "action_type": "pedidos.pedido.crear"}],
    )
    client.xadd(DEAD, {"reason": "TIMEOUT"})
    client.zadd(RETRIES, {"1-0\n{}": time.time() * 1000 + 60_000})
    out = typed("status", "pedidos").out
    assert "1 retry, the first due in " in out
    assert "1 TIMEOUT" in out
    assert row_of(out, "box-7-nb0000000001")[:6] == ["box-7-nb0000000001", "quiet", "box:7", "1/2", "12", "61 MB"]
    held = row_of(out, client.xrange(STREAM)[0][0])
    assert held[1:3] == ["pedidos.pedido.crear", "box-7-nb0000000001"]


def test_what_is_wrong_is_told_with_what_to_do(typed: Type, client: redis.Redis) -> None:
    stand(client, held=0)
    done = typed("status")
    assert row_of(done.out, "pedidos")[-1] == "none"
    problem = next(line for line in done.out.splitlines() if line.startswith("!! pedidos: "))
    assert "no worker" in problem
    assert any(line.startswith("   → ") for line in done.out.splitlines())


def test_a_reading_is_json(typed: Type, client: redis.Redis) -> None:
    stand(client)
    reading = json.loads(typed("status", "--json").out)
    assert [service["name"] for service in reading["services"]] == ["pedidos"]
    assert reading["services"][0]["stream"]["pending"] == 1
    assert reading["environment"] == "development"


def test_where_nothing_is_it_says_so(typed: Type, client: redis.Redis) -> None:
    assert "No service is known under nooble4:development" in typed("status").out
    assert "Nothing of pedidos is there" in typed("status", "pedidos").out
    assert "Nobody is at work" in typed("workers", "list").out
    assert client.keys() == []


def test_what_cannot_be_read_hides_nothing_else(typed: Type, client: redis.Redis) -> None:
    stand(client)
    client.set(f"{PLACE}:almacen:streams:main", "x", ex=60)
    done = typed("status")
    assert done.code == 0
    assert row_of(done.out, "almacen")[1] == "cannot be read"
    assert row_of(done.out, "pedidos")[1] == "2"
    assert "almacen: " in done.out
    assert "cannot be read: " in typed("status", "almacen").out


def test_a_server_that_tells_nothing_of_itself_is_shown_all_the_same(
    terminal: Terminal, launch: Callable[..., Server]
) -> None:
    server = launch()
    stand(server.client)
    rights = ["on", ">secret", "~*", "+@all", "-info", "-config", "-scan"]
    server.client.execute_command("ACL", "SETUSER", "watcher", *rights)
    url = server.url.replace("redis://", "redis://watcher:secret@")
    done = terminal.type("status", "pedidos", "--redis-url", url)
    assert done.code == 0
    assert row_of(done.out, "pedidos")[1] == "2"
    assert "secret" not in done.out + done.err
    assert terminal.type("health", "--redis-url", url).code == 0


def test_services_of_other_places_are_not_mixed(typed: Type, terminal: Terminal) -> None:
    for name, place in (("uno", "a"), ("dos", "b")):
        terminal.write(
            f"{name}.py",
            "from nooble import BaseService, action\nfrom nooble.config import CommonAppSettings\n"
            f"class Settings(CommonAppSettings):\n    queue_prefix: str = '{place}'\n"
            "class S(BaseService):\n    def __init__(self, app_settings: Settings) -> None:\n"
            f"        super().__init__(app_settings)\n    @action('{name}.a.b')\n    async def b(self) -> None: ...\n",
        )
    done = typed("status", "uno", "dos")
    assert done.code == 2
    assert "look at one place at a time" in done.err


def test_a_server_that_is_away_has_its_code(terminal: Terminal) -> None:
    for words in (
        ["status"],
        ["top", "-n", "1"],
        ["health"],
        ["workers", "list"],
        ["inspect", "1-1"],
        ["tail", "-n", "1"],
    ):
        done = terminal.type(*words, "--redis-url", "redis://127.0.0.1:1/0")
        assert done.code == 69, words
        assert "cannot be reached" in done.err


def test_nothing_hostile_acts_on_the_terminal(typed: Type, client: redis.Redis) -> None:
    stand(client)
    at_work = {"entry_id": client.xrange(STREAM)[0][0], "action_type": HOSTILE * 100}
    register(client, host=HOSTILE, state=HOSTILE, at_work=[at_work])
    client.xreadgroup("pedidos-group", f"me{HOSTILE}", {STREAM: ">"}, count=1)
    client.xadd(DEAD, {"reason": HOSTILE, "error": HOSTILE})
    for words in (["status"], ["status", "pedidos"], ["workers", "list"], ["health", "pedidos"], ["top", "-n", "1"]):
        for more in ([], ["--json"]):
            done = typed(*words, *more)
            assert not ACTING.search(done.out + done.err), (words, more)
            assert max(map(len, done.out.splitlines())) < (10_000_000 if more else 2_000)
    assert "[bold red]b[/bold red]" in typed("workers", "list").out


# ── top ──


def test_elsewhere_every_reading_is_a_table(typed: Type, client: redis.Redis) -> None:
    stand(client)
    register(client)
    done = typed("top", "--count", "2", "--interval", "0.1")
    assert done.code == 0
    rows = [re.split(r"\s{2,}", line.strip()) for line in done.out.splitlines() if line.startswith("pedidos")]
    assert [row[:4] for row in rows] == [["pedidos", "-", "-", "2"], ["pedidos", "0", "0", "2"]]


def test_with_json_every_reading_is_a_line(typed: Type, client: redis.Redis) -> None:
    stand(client)
    lines = [json.loads(line) for line in typed("top", "-n", "3", "-i", "0.1", "--json").out.splitlines()]
    assert [list(line) for line in lines] == [["reading", "rates"]] * 3
    assert lines[0]["rates"] == {}
    assert lines[2]["rates"]["pedidos"]["added"] == 0


def test_ctrl_c_ends_it(pedidos: Terminal, redis_url: str) -> None:
    with pedidos.start("top", "--interval", "0.1", "--redis-url", redis_url) as running:
        running.until("at 127.0.0.1", times=2)
        assert running.end() == 0


@pytest.mark.skipif(sys.platform == "win32", reason="needs a terminal of its own")
def test_on_a_terminal_it_stays_in_its_place_until_q(client: redis.Redis, terminal: Terminal, redis_url: str) -> None:
    stand(client)
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [*NOOBLE, "top", "--interval", "0.1", "--redis-url", redis_url],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        cwd=terminal.folder,
        env=terminal.environment({"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}),
    )
    os.close(slave)
    shown, deadline = b"", time.monotonic() + PATIENCE
    try:
        while shown.count(b"pedidos ") < 3:
            assert time.monotonic() < deadline, shown
            shown += os.read(master, 65_536)
        os.write(master, b"q")
        while True:
            try:
                more = os.read(master, 65_536)
            except OSError:
                break
            if not more:
                break
            shown += more
        assert process.wait(PATIENCE) == 0
    finally:
        process.kill()
        process.wait()
        os.close(master)
    text = shown.decode()
    assert text.count("\x1b[?1049h") == text.count("\x1b[?1049l") == 1
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text.replace("\x1b[H", "\n"))
    assert "q ends" in plain
    assert max(len(line.rstrip("\r")) for line in plain.split("\n")) <= 80


def looks_of(ended: Sequence[float | None], name: str = "pedidos") -> list[Look]:
    service = Service(name=name, stream=Stream(key="k"))
    reading = Reading(at_ms=0, prefix="p", environment="e", services=(service,), server=ServerRead())
    return [Look(reading=reading, rates={name: Rates(ended=one)}) for one in ended]


def test_trends_are_drawn_and_forgotten_with_their_service() -> None:
    trends = Trends()
    for look in looks_of([None, 0, 10, 5]):
        trends.add(look)
    assert trends.drawn(4) == {"pedidos": " ▁█▅"}
    trends.add(looks_of([1], "otro")[0])
    assert trends.drawn(2) == {"otro": " █"}


def test_where_there_is_no_room_for_all_those_with_work_are_shown() -> None:
    services = [Service(name=f"s{number}", stream=Stream(key="k", length=number)) for number in range(5)]
    assert shown_of(services, 5) == services
    assert [one.name for one in shown_of(services, 2)] == ["s4", "s3"]


# ── health ──


def test_health_is_a_word_and_a_code(typed: Type, client: redis.Redis) -> None:
    assert typed("health").code == 0
    assert typed("health").out.startswith("ok    server: ")
    nobody = typed("health", "pedidos")
    assert (nobody.code, nobody.out.splitlines()[1]) == (1, "FAIL  pedidos: no worker has ever served it here")
    stand(client)
    name = register(client, state="quiet")
    quiet = typed("health", "pedidos")
    assert (quiet.code, quiet.out.splitlines()[1]) == (1, "FAIL  pedidos: none of 1 worker takes actions: quiet")
    register(client, state="working")
    ready = typed("health", "pedidos", "--json")
    assert ready.code == 0
    assert [check["why"] for check in json.loads(ready.out)["checks"]][1] == "1 worker ready"
    client.delete(f"{PLACE}:pedidos:workers:{name}", f"{PLACE}:pedidos:workers:main")
    unregistered = typed("health", "pedidos")
    assert unregistered.code == 0
    assert "not in the registry" in unregistered.out


def test_a_server_that_does_not_answer_is_not_waited_for(terminal: Terminal, launch: Callable[..., Server]) -> None:
    server = launch()
    server.freeze()
    done = terminal.type("health", "--timeout", "0.3", "--redis-url", server.url)
    server.thaw()
    assert done.code == 69


# ── workers ──


def test_workers_are_listed_with_those_that_are_not_registered(typed: Type, client: redis.Redis) -> None:
    stand(client)
    register(client, 2)
    client.xreadgroup("pedidos-group", "stranger", {STREAM: ">"}, count=1)
    out = typed("workers", "list").out
    assert row_of(out, "box-7-nb0000000002")[1:4] == ["working", "box:7", "1/2"]
    assert row_of(out, "box-7-nb0000000001")[1] == "not registered"
    assert row_of(out, "stranger")[1] == "another program's"
    (crew,) = json.loads(typed("workers", "list", "pedidos", "--json").out)
    assert [one["consumer"] for one in crew["workers"]] == [consumer(2)]
    assert {one["name"] for one in crew["consumers"]} == {consumer(1), "stranger"}


def test_a_worker_is_asked_by_a_part_of_its_name(typed: Type, client: redis.Redis) -> None:
    stand(client)
    one, other = register(client, 1), register(client, 2)
    done = typed("workers", "quiet", "pedidos", "nb0000000002")
    assert (done.code, done.err) == (0, "")
    assert "Asked 1 worker to take nothing new" in done.out
    assert client.get(f"{PLACE}:pedidos:wishes:{other}") == "quiet"
    assert client.get(f"{PLACE}:pedidos:wishes:{one}") is None
    assert json.loads(typed("workers", "stop", "pedidos", "--all", "--yes", "--json").out) == {
        "wish": "stop",
        "asked": [one, other],
        "gone": [],
    }
    assert client.get(f"{PLACE}:pedidos:wishes:{one}") == "stop"


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        (["quiet", "pedidos"], 2, "name workers, or say --all"),
        (["quiet", "pedidos", "x", "--all"], 2, "not both"),
        (["stop", "pedidos", "--all"], 2, "nobody is here to confirm it; say --yes"),
        (["stop", "pedidos", "nb000000000"], 1, "2 workers have it in their names"),
        (["resume", "pedidos", "nobody"], 1, "no worker that is there has it in its name"),
        (["resume", "otro", "--all"], 1, "no worker of otro is in the registry"),
    ],
)
def test_who_is_not_meant_is_not_asked(typed: Type, client: redis.Redis, words: list[str], code: int, why: str) -> None:
    stand(client)
    names = [register(client, 1), register(client, 2)]
    done = typed("workers", *words)
    assert done.code == code
    assert why in done.err
    assert not any(client.exists(f"{PLACE}:pedidos:wishes:{name}") for name in names)


def test_a_running_worker_rests_goes_on_and_ends(pedidos: Terminal, client: redis.Redis, redis_url: str) -> None:
    with pedidos.start("run", "pedidos", "--redis-url", redis_url, WORKER_BEAT_SECONDS="0.1") as worker:
        worker.until("worker_started")

        def health(code: int) -> None:
            deadline = time.monotonic() + PATIENCE
            while pedidos.type("health", "pedidos", "--redis-url", redis_url).code != code:
                assert time.monotonic() < deadline
                time.sleep(0.05)

        health(0)
        assert pedidos.type("workers", "quiet", "pedidos", "nb", "--redis-url", redis_url).code == 0
        health(1)
        assert pedidos.type("workers", "resume", "pedidos", "--all", "--redis-url", redis_url).code == 0
        health(0)
        assert pedidos.type("workers", "stop", "pedidos", "--all", "--yes", "--redis-url", redis_url).code == 0
        assert worker.ended() == 0
