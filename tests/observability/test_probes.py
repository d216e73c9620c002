"""Probes answer while the event loop stands still, say why all is not well, and are held up by nobody."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import pytest

from nooble.errors import ConfigurationFault
from nooble.observability import probes as module
from nooble.observability.health import Health, observed
from nooble.observability.probes import Probes, Verdict
from tests.support.waiting import wait_until

FINE = Verdict(True, {"why": ""})


@pytest.fixture
def serving() -> Iterator[Callable[..., Probes]]:
    """Makes probes on a free port: `serving(ready=…)`."""
    with ExitStack() as stack:
        yield lambda **says: stack.enter_context(
            Probes(0, **{"live": lambda: FINE, "ready": lambda: FINE, **says})  # type: ignore[arg-type]
        )


def ask(probes: Probes, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body."""
    with closing(http.client.HTTPConnection("127.0.0.1", probes.port, timeout=10)) as connection:
        connection.request(method, path)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()


def said(probes: Probes, text: bytes) -> bytes:
    """What comes back for raw bytes; the connection is closed by the other side."""
    with closing(socket.create_connection(("127.0.0.1", probes.port), timeout=10)) as connection:
        pieces = []
        try:
            connection.sendall(text)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65_536):
                pieces.append(piece)
        except OSError:  # it has hung up on us
            pass
        return b"".join(pieces)


# ── what is said ──


@pytest.mark.parametrize("path", ["/livez", "/readyz"])
@pytest.mark.parametrize(("ok", "status"), [(True, 200), (False, 503)])
def test_a_verdict_is_a_status_and_its_facts_are_the_body(serving: Any, path: str, ok: bool, status: int) -> None:
    verdict = Verdict(ok, {"why": "pedidos is waiting", "age": 1.5})
    probes = serving(live=lambda: verdict, ready=lambda: verdict)
    found, headers, body = ask(probes, path)
    assert (found, json.loads(body)) == (status, verdict.facts)
    assert headers["Content-Type"].startswith("application/json")
    assert headers["Cache-Control"] == "no-store"


def test_a_query_does_not_matter_and_a_head_has_no_body(serving: Any) -> None:
    probes = serving()
    assert ask(probes, "/livez?verbose=1")[0] == 200
    status, headers, body = ask(probes, "/livez", "HEAD")
    assert (status, body, headers["Content-Length"]) == (200, b"", "12")


def test_metrics_come_from_their_function(serving: Any) -> None:
    probes = serving(metrics=lambda: (b"a_total 1\n", "text/plain; version=1.0.0"))
    status, headers, body = ask(probes, "/metrics")
    assert (status, headers["Content-Type"], body) == (200, "text/plain; version=1.0.0", b"a_total 1\n")


def test_without_metrics_it_is_said_how_to_have_them(serving: Any) -> None:
    status, _, body = ask(serving(), "/metrics")
    assert status == 404
    assert b"METRICS=true" in body


def test_an_unknown_page_is_told_which_there_are_and_nothing_is_repeated(serving: Any) -> None:
    status, _, body = ask(serving(), "/<script>")
    assert (status, body) == (404, b"there is /livez, /readyz, /metrics\n")


def test_what_cannot_be_found_out_is_an_error_of_this_probe_alone(serving: Any) -> None:
    probes = serving(metrics=lambda: 1 / 0)
    status, _, body = ask(probes, "/metrics")
    assert (status, body) == (500, b"it could not be found out: ZeroDivisionError\n")
    assert ask(probes, "/livez")[0] == 200


# ── bad clients ──


@pytest.mark.parametrize("method", ["POST", "DELETE", "OPTIONS", "BREW"])
def test_only_get_and_head_are_answered(serving: Any, method: str) -> None:
    status, headers, _ = ask(serving(), "/livez", method)
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


RUDE = {
    "nothing": b"",
    "no http": b"\x16\x03\x01\x02\x00\x01\x00\xfc\x03\x03\n",
    "no such version": b"GET /livez HTTP/9.9\r\n\r\n",
    "too many headers": b"GET /livez HTTP/1.1\r\n" + b"a: b\r\n" * 500 + b"\r\n",
    "a line that is too long": b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\n\r\n",
    "headers that are too long": b"GET /livez HTTP/1.1\r\nx: " + b"a" * 100_000 + b"\r\n\r\n",
    "text": b"GET /livez HTTP/1.1\r\n<script>: \x1b[31m\r\n\x00\r\n\r\n",
}


@pytest.mark.parametrize("text", RUDE.values(), ids=RUDE)
def test_what_is_no_request_breaks_nothing(serving: Any, text: bytes) -> None:
    probes = serving()
    assert b"<script>" not in said(probes, text)
    assert ask(probes, "/livez")[0] == 200


def test_a_client_that_trickles_is_sent_away_however_it_trickles(serving: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.3)
    probes = serving()
    with closing(socket.create_connection(("127.0.0.1", probes.port), timeout=10)) as connection:
        ended = False
        for byte in b"GET /livez HTTP/1.1\r\n" + b"x" * 10_000:
            try:
                connection.send(bytes([byte]))
                connection.settimeout(0.02)
                ended = connection.recv(100) == b""
            except TimeoutError:
                continue
            except (BrokenPipeError, ConnectionResetError):
                ended = True
            if ended:
                break
        assert ended


def test_clients_that_say_nothing_keep_nobody_from_an_answer_for_long(
    serving: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_SECONDS", 0.3)
    probes = serving()
    with ExitStack() as stack:
        for _ in range(module._MOST_CLIENTS * 3):
            stack.enter_context(closing(socket.create_connection(("127.0.0.1", probes.port), timeout=10)))
        threads = [one for one in threading.enumerate() if "process_request_thread" in one.name]
        assert len(threads) <= module._MOST_CLIENTS
        deadline = time.monotonic() + 10
        while True:
            try:
                assert ask(probes, "/livez")[0] == 200
                return
            except (ConnectionError, http.client.HTTPException):
                assert time.monotonic() < deadline, "the seats were not given back"


# ── where ──


def test_a_port_that_is_taken_is_told_with_its_number_and_the_option(serving: Any) -> None:
    taken = serving().port
    with pytest.raises(
        ConfigurationFault, match=rf"port {taken} of 127\.0\.0\.1: Address already in use.*--probe-port"
    ):
        Probes(taken, live=lambda: FINE, ready=lambda: FINE)


@pytest.mark.parametrize(("port", "host"), [(0, "203.0.113.1"), (70_000, "127.0.0.1"), (0, "no such host")])
def test_a_place_that_is_none_is_told(port: int, host: str) -> None:
    with pytest.raises(ConfigurationFault, match=f"port {port} of {host}"):
        Probes(port, host, live=lambda: FINE, ready=lambda: FINE)


def test_what_was_closed_answers_no_more_and_can_be_closed_again(serving: Any) -> None:
    probes = serving()
    probes.close()
    probes.close()
    with pytest.raises(ConnectionRefusedError):
        ask(probes, "/livez")


# ── health ──


@dataclass
class One:
    """Stands for a worker."""

    service_name: str = "pedidos"
    state: str = "working"

    @property
    def is_ready(self) -> bool:
        """As a worker's."""
        return self.state == "working"


def test_ready_are_all_or_it_is_said_which_is_not() -> None:
    health = Health()
    assert health.ready() == (False, {"why": "starting", "workers": {}})
    orders, stock = One(), One("stock", "waiting")
    health.workers = [orders, stock]
    states = {"pedidos": "working", "stock": "waiting"}
    assert health.ready() == (False, {"why": "stock is waiting", "workers": states})
    stock.state = "working"
    assert health.ready().ok
    health.stop()
    ok, facts = health.ready()
    assert (ok, facts["why"]) == (False, "stopping")


@pytest.mark.every_loop
async def test_while_the_loop_stands_still_the_probe_says_so() -> None:
    async with observed([One()], port=0, patience=0.2) as health:
        assert health.live().ok
        found: list[Verdict] = []
        looking = threading.Thread(target=lambda: (time.sleep(0.3), found.append(health.live())))
        looking.start()
        looking.join()  # which blocks the loop
        assert not found[0].ok
        assert found[0].facts["beat_age"] >= 0.2
        await wait_until(lambda: health.live().ok, "the loop beats again")


async def test_a_program_that_runs_its_workers_itself_has_probes_too(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[Probes] = []
    monkeypatch.setattr("nooble.observability.health.say_listening", opened.append)
    worker = One(state="starting")
    async with observed([worker], port=0, metrics=lambda: (b"x 1\n", "text/plain")):
        (probes,) = opened
        assert ask(probes, "/readyz")[0] == 503
        worker.state = "working"
        assert [ask(probes, path)[0] for path in ("/livez", "/readyz", "/metrics")] == [200, 200, 200]
    with pytest.raises(ConnectionRefusedError):
        ask(probes, "/livez")
