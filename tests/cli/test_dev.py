"""`nooble dev`, as a person uses it: one command, then the line that it says to type next, then an editor."""

from __future__ import annotations

import json
import os
import shlex
import signal
import time
from pathlib import Path

import pytest

from nooble.wire.embedded import find
from tests.cli.conftest import PEDIDOS
from tests.cli.terminal import Running, Terminal
from tests.support.waiting import wait_until

HINT = "Try in another terminal:  nooble "


def hint(dev: Running, times: int = 1) -> list[str]:
    """The words of the line that it says to type next."""
    return shlex.split(dev.until(HINT, times).partition(HINT)[2])


def answer(terminal: Terminal, *words: str) -> object:
    """What a call from a second terminal is answered."""
    done = terminal.type(*words, "--timeout", "10")
    assert done.code == 0, done.err
    return json.loads(done.out)


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


@pytest.mark.slow
def test_the_first_minute(pedidos: Terminal) -> None:
    """Typed in an empty folder: a server is there, the line to type next works as it stands, changes are taken at once, a
    mistake while editing is told and waited out, and Ctrl-C leaves nothing behind."""
    with pedidos.start("dev", "pedidos") as dev:
        words = hint(dev)
        assert words == ["call", "pedidos.pedido.crear", "cliente=cliente"]
        assert answer(pedidos, *words) == {"numero": 1, "cliente": "cliente"}

        pedidos.write("pedidos.py", PEDIDOS.replace("numero=1", "numero=2"))
        dev.until("Changed: pedidos.py")
        assert answer(pedidos, *hint(dev, times=2)) == {"numero": 2, "cliente": "cliente"}

        pedidos.write("pedidos.py", PEDIDOS + "\ndef x(:\n")
        dev.until("invalid syntax")
        dev.until("Waiting for a change")
        pedidos.write("pedidos.py", PEDIDOS.replace("numero=1", "numero=3"))
        assert answer(pedidos, *hint(dev, times=3)) == {"numero": 3, "cliente": "cliente"}

        server = find()
        assert server is not None
        assert dev.end(signal.SIGINT) == 0
        assert not is_alive(server.pid)
        assert find() is None
    assert (pedidos.folder / ".nooble").is_dir()
    assert "Traceback" not in dev.said


def test_the_first_call_is_answered_soon(pedidos: Terminal) -> None:
    """The promise is 3 s; a machine that runs tests beside this one gets some more."""
    began = time.monotonic()
    with pedidos.start("dev", "pedidos") as dev:
        answer(pedidos, *hint(dev))
        assert time.monotonic() - began < 6
        assert dev.end(signal.SIGTERM) == 0


@pytest.mark.slow
def test_two_in_one_folder_share_the_server_which_outlives_the_one_that_started_it(pedidos: Terminal) -> None:
    pedidos.write("stock.py", PEDIDOS.replace("pedidos.", "stock."))
    with pedidos.start("dev", "pedidos") as first:
        hint(first)
        with pedidos.start("dev", "stock") as second:
            second.until(f"started by process {first.process.pid}")
            words = hint(second)
            second.until("worker_started")
            first.process.kill()
            second.until("server_back")
            assert answer(pedidos, *words) == {"numero": 1, "cliente": "cliente"}
            assert second.end() == 0
    assert find() is None


@pytest.mark.slow
def test_a_server_that_is_named_is_used_and_the_line_to_type_names_it(pedidos: Terminal, redis_url: str) -> None:
    with pedidos.start("dev", "pedidos", "--redis-url", redis_url) as dev:
        words = hint(dev)
        assert words[-2:] == ["--redis-url", redis_url]
        assert answer(pedidos, *words) == {"numero": 1, "cliente": "cliente"}
        assert not (pedidos.folder / ".nooble").exists()
        assert dev.end() == 0


@pytest.mark.slow
def test_without_reload_its_failure_is_the_end(pedidos: Terminal) -> None:
    done = pedidos.run("dev", "pedidoss", "--no-reload")
    assert done.code == 2
    assert "did you mean 'pedidos'?" in done.err


def test_in_production_there_is_no_embedded_server(pedidos: Terminal) -> None:
    done = pedidos.type("dev", "pedidos", ENVIRONMENT="production")
    assert done.code == 1
    assert "an embedded server ends with the process that started it; name a server" in done.err


@pytest.mark.slow
async def test_a_killed_supervisor_leaves_nothing_behind(pedidos: Terminal) -> None:
    with pedidos.start("dev", "pedidos") as dev:
        hint(dev)
        server = find()
        assert server is not None
        assert dev.end(signal.SIGKILL) == -signal.SIGKILL
        await wait_until(lambda: not is_alive(server.pid), "the server has ended")


def test_a_folder_that_cannot_be_written_to_is_told(pedidos: Terminal) -> None:
    Path(".nooble").write_text("in the way")
    done = pedidos.type("dev", "pedidos")
    assert done.code == 1
    assert "Error: no embedded server can live in" in done.err
    assert "name another directory with embedded:///path/to/it" in done.err


@pytest.mark.slow
def test_a_password_for_another_server_does_not_matter(pedidos: Terminal) -> None:
    pedidos.write(".env", "REDIS_PASSWORD=s3cret\n")
    with pedidos.start("dev", "pedidos") as dev:
        assert answer(pedidos, *hint(dev)) == {"numero": 1, "cliente": "cliente"}
        assert dev.end() == 0


@pytest.mark.slow
def test_a_second_signal_ends_it_now(pedidos: Terminal) -> None:
    with pedidos.start("dev", "pedidos", "--grace", "30") as dev:
        hint(dev)
        pedidos.type("send", "pedidos.pedido.dormir", "seconds:=30")
        dev.until("sleeping")
        dev.interrupt()
        dev.until("stopping")
        assert dev.end() == 128 + signal.SIGINT
