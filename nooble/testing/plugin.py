"""The pytest plugin: fixtures and one option. It is loaded in every project that has nooble, so it imports nothing but
pytest until a fixture is asked for, and changes nothing that it is not asked for."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

_OPTION = "--nooble-server"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the harness runs."""
    parser.getgroup("nooble").addoption(
        _OPTION,
        default="fake",
        metavar="SERVER",
        help="where nooble_harness runs: fake (Python objects, default), embedded (a real server of its own), or the "
        "address of a server, redis://…",
    )


@pytest.fixture(scope="session")
def nooble_server(request: pytest.FixtureRequest) -> str:
    """The server of the option `--nooble-server`: `"fake"`, or an address; an embedded one lives as long as the session."""
    wanted: str = request.config.getoption(_OPTION)
    if wanted == "embedded":
        from nooble.testing.building import embedded_url

        wanted = embedded_url()
    elif wanted != "fake" and "://" not in wanted:
        raise pytest.UsageError(f"{_OPTION}={wanted}: say fake, embedded, or an address such as redis://localhost:6379")
    return wanted


@pytest.fixture
def nooble_harness(nooble_server: str) -> Iterator[Callable[..., Any]]:
    """Makes harnesses on `nooble_server`: `async with nooble_harness(PedidosService) as t:`; arguments as `ServiceHarness`.

    One that a test has begun and not ended fails the test.
    """
    from nooble.testing.harness import ServiceHarness

    made: list[ServiceHarness] = []

    def make(*services: Any, **options: Any) -> ServiceHarness:
        made.append(ServiceHarness(*services, **{"server": nooble_server, **options}))
        return made[-1]

    yield make
    if open_still := [one for one in made if one.is_open]:
        pytest.fail(
            f"not ended: {', '.join(map(repr, open_still))}; write async with nooble_harness(…) as t:", pytrace=False
        )


@pytest.fixture
def nooble_key_guard(nooble_server: str) -> Iterator[None]:
    """Fails the test if it leaves keys in `nooble_server` that were not there before and have no lifetime.

    A server of Python objects is gone with its harness, so there is nothing to guard.
    """
    if nooble_server == "fake":
        yield
        return
    from nooble.testing.leaks import keys_without_lifetime

    before = keys_without_lifetime(nooble_server)
    yield
    if left := sorted(keys_without_lifetime(nooble_server) - before):
        shown = ", ".join(name.decode("utf-8", "backslashreplace") for name in left[:20])
        pytest.fail(f"{len(left)} keys without a lifetime were left in the server: {shown}", pytrace=False)


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """`await wait_until(lambda: …, "what is waited for")`; see `nooble.testing.wait_until`."""
    from nooble.testing.waiting import wait_until as wait

    return partial(wait)
