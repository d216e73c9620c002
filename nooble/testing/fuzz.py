"""Services fuzzed from their declarations: every action gets sound, broken and hostile payloads through a real worker, and
has to keep what it declares. As a function, and as a decorator that makes one test of each action."""

from __future__ import annotations

import asyncio
import functools
import inspect
import secrets
import tempfile
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from nooble.clients import BaseRedisClient, RedisManager
from nooble.config import CommonAppSettings
from nooble.routing import ActionHost, Route
from nooble.routing.origin import did_you_mean
from nooble.services import BaseService
from nooble.testing.fuzz_findings import Finding, Verdict
from nooble.testing.fuzz_place import Make, Stage, Subject
from nooble.testing.fuzz_trials import Terms, try_action
from nooble.testing.mistakes import HarnessMistake
from nooble.testing.strategies import chosen
from nooble.workers import BaseWorker, ServiceWorker

if TYPE_CHECKING:
    from redis.asyncio import Redis

__all__ = ["Finding", "Subject", "Terms", "Verdict", "fuzz", "fuzz_services"]

Test = TypeVar("Test", bound=Callable[..., Any])

FAKE, EMBEDDED = "fake", "embedded"
"""Servers that need no address: one of Python objects, and one of its own in a directory that is thrown away."""


def fuzz_services(
    subjects: Sequence[Subject],
    *,
    server: str = EMBEDDED,
    action_types: Iterable[str] = (),
    terms: Terms | None = None,
    patience: float = 5.0,
    done: Callable[[Verdict], None] = lambda tested: None,
) -> list[Verdict]:
    """Fuzz services, which run side by side, on an environment of their own, which is deleted afterwards.

    Args:
        subjects: the services.
        server: `embedded`, `fake`, or an address.
        action_types: only these.
        terms: how much is tried.
        patience: seconds that an action gets to end, beyond its timeout.
        done: called with each action that has been tried.

    Raises:
        HarnessMistake: there is no such action, or none at all.
        ServerUnavailable: nobody answers at the address.
    """
    terms = terms or Terms()
    with asyncio.Runner() as runner:
        place = _Place(subjects, server, patience)
        runner.run(place.open())
        try:
            tested = []
            for stage, route in _meant(place.stages, list(action_types)):
                tested.append(try_action(stage, route, runner, terms))
                done(tested[-1])
            return tested
        finally:
            runner.run(place.close())


class _Place:
    """A server, and services at work on it."""

    def __init__(self, subjects: Sequence[Subject], server: str, patience: float) -> None:
        self._subjects = subjects
        self._server = server
        self._patience = patience
        self._stack = AsyncExitStack()
        self._fake: Redis | None = None
        self.stages: list[Stage] = []

    async def open(self) -> None:
        environment = f"fuzz-{secrets.token_hex(4)}"
        alone = self._server in (FAKE, EMBEDDED)
        try:
            url = await self._stack.enter_async_context(_address_of(self._server))
            for subject in self._subjects:
                password = {"redis_password": None} if alone else {}
                settings = subject.settings.model_copy(update={"redis_url": url, **password})
                connection = await self._connection(settings)
                stage = Stage(
                    Subject(settings, subject.make), connection, environment, alone=alone, patience=self._patience
                )
                self.stages.append(stage)
                await stage.open()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        async with self._stack:  # the connections and the server go last
            for stage in self.stages:
                await stage.rest()
            for stage in self.stages[:1]:
                await stage.sweep()
            for stage in self.stages:
                await stage.close()

    async def _connection(self, settings: CommonAppSettings) -> Redis:
        if self._server != FAKE:
            manager = RedisManager(settings)
            self._stack.push_async_callback(manager.close)
            return await manager.get_redis_connection()
        if self._fake is None:
            from nooble.testing.fake import fake_client

            self._fake = fake_client()
            self._stack.push_async_callback(self._fake.aclose)
        return self._fake


@asynccontextmanager
async def _address_of(server: str) -> AsyncIterator[str]:
    if server == FAKE:
        yield "redis://localhost:6379/0"  # stands in the settings; nobody goes there
    elif server == EMBEDDED:
        from nooble.wire.embedded import EmbeddedServer

        with tempfile.TemporaryDirectory(prefix="nooble-fuzz-", ignore_cleanup_errors=True) as directory:
            own = EmbeddedServer(directory)
            try:
                await asyncio.to_thread(own.start)
                yield own.url
            finally:
                await asyncio.to_thread(own.stop)
    else:
        yield server


def _meant(stages: Sequence[Stage], action_types: list[str]) -> list[tuple[Stage, Route]]:
    known = [(stage, route) for stage in stages for route in stage.routes if not route.is_catch_all]
    types = [route.action_type for _, route in known]
    if not known:
        raise HarnessMistake(
            f"{', '.join(stage.name for stage in stages)} declares no action that could be fuzzed; @action declares one"
        )
    for one in action_types:
        if one not in types:
            raise HarnessMistake(
                f"there is no action {one!r}; {did_you_mean(one, types, 'there are ' + ', '.join(types))}"
            )
    return [(stage, route) for stage, route in known if not action_types or route.action_type in action_types]


# ── in pytest ──
def fuzz(
    service: type[BaseService],
    *action_types: str,
    app_settings: CommonAppSettings | None = None,
    server: str = FAKE,
    examples: int = 50,
    seed: int = 0,
    memory_mib: int = 64,
    patience: float = 5.0,
) -> Callable[[Test], Test]:
    """Make one test of each action of a service.

    The decorated function has no body, or returns a function that makes the service from its settings, for which it may
    take fixtures as any test does.

    Args:
        service: the class.
        action_types: only these actions.
        app_settings: settings of the service; if not given, it is called by the first segment of its actions.
        server: `fake`, `embedded`, or an address.
        examples: sound payloads for each action.
        seed: of chance; the same seed tries the same.
        memory_mib: by how much the process may grow over the sound payloads of one action.
        patience: seconds that an action gets to end.

    Raises:
        ValueError: the service declares no such action, or none at all.
    """
    import pytest

    types = [route.action_type for route in chosen(service, action_types)]

    def declare(function: Test) -> Test:
        @functools.wraps(function)
        def test(*, fuzzed_action: str, **fixtures: Any) -> None:
            make = function(**fixtures) or service
            settings = app_settings or CommonAppSettings(service_name=types[0].partition(".")[0])
            terms = Terms(examples=examples, seed=seed, memory=memory_mib * 2**20)
            subject = Subject(settings, worker_maker(make))
            (tested,) = fuzz_services(
                [subject], server=server, action_types=[fuzzed_action], terms=terms, patience=patience
            )
            if tested.findings:
                pytest.fail("\n".join(map(str, tested.findings)), pytrace=False)

        signature = inspect.signature(function)
        asked = inspect.Parameter("fuzzed_action", inspect.Parameter.KEYWORD_ONLY)
        test.__signature__ = signature.replace(  # type: ignore[attr-defined]
            parameters=[*signature.parameters.values(), asked], return_annotation=None
        )
        tests: Test = pytest.mark.parametrize("fuzzed_action", types)(test)
        return tests

    return declare


def worker_maker(make: Callable[..., Any]) -> Make:
    """Makes workers for services that are made from their settings alone, or from a client and a connection as well, if
    they ask for them by the names of the standard."""

    async def worker(settings: CommonAppSettings, connection: Redis) -> BaseWorker:
        names = inspect.signature(make).parameters
        client = BaseRedisClient(settings.service_name, connection, settings)
        gifts = {"service_redis_client": client, "direct_redis_conn": connection}
        service = make(settings, **{name: gift for name, gift in gifts.items() if name in names})
        made = await service if inspect.isawaitable(service) else service
        if not isinstance(made, ActionHost):
            raise HarnessMistake(f"@fuzz got {made!r}; return nothing, or a function that makes the service")
        return ServiceWorker(settings, connection, made)

    return worker
