"""The base of every service: what it is given, how it starts and ends, and that the standard's way and the declared way
are the same to those who call."""

from __future__ import annotations

import asyncio
import threading
from typing import Any, ClassVar

import pytest
import structlog
from pydantic import BaseModel

from nooble.config import CommonAppSettings
from nooble.errors import DeclarationError, UnknownAction
from nooble.handlers import BaseHandler
from nooble.models import DomainAction
from nooble.routing import ActionRouter, action
from nooble.services import BaseService
from tests.support.settings import make_settings

SETTINGS = make_settings("mi_servicio_example")


def asked(action_type: str, **data: Any) -> DomainAction:
    return DomainAction(action_type=action_type, data=data)


# ── the standard's service and its declared twin ──


class HacerAlgo(BaseModel):
    veces: int = 1


class MiLogicaService(BaseService):
    """As the standard writes it (§3, step 1)."""

    def __init__(
        self,
        app_settings: CommonAppSettings,
        direct_redis_conn: Any | None = None,
        service_redis_client: Any | None = None,
    ) -> None:
        super().__init__(
            app_settings=app_settings, service_redis_client=service_redis_client, direct_redis_conn=direct_redis_conn
        )

    async def process_action(self, action: DomainAction) -> Any:
        self._logger.info(f"MiLogicaService procesando action: {action.action_type}")
        if action.action_type == "mi_servicio.accion.hacer_algo":
            validated = HacerAlgo(**action.data)
            return {"status": "completado", "veces": validated.veces}
        elif action.action_type == "mi_servicio.accion.notificar":  # noqa: RET505  # as the standard writes it
            return None
        else:
            self._logger.warning(f"MiLogicaService no maneja la acción: {action.action_type}")
            raise NotImplementedError(f"Acción no soportada por MiLogicaService: {action.action_type}")


class MiLogicaDeclarada(BaseService):
    """The same, declared."""

    @action("mi_servicio.accion.hacer_algo")
    async def hacer_algo(self, datos: HacerAlgo) -> dict[str, Any]:
        return {"status": "completado", "veces": datos.veces}

    @action("mi_servicio.accion.notificar")
    async def notificar(self) -> None:
        return None


both_ways = pytest.mark.parametrize("service_type", [MiLogicaService, MiLogicaDeclarada])


@both_ways
async def test_the_standard_s_service_and_its_declared_twin_behave_the_same(service_type: type[BaseService]) -> None:
    service = service_type(app_settings=SETTINGS, direct_redis_conn=None)
    hecho = await service.process_action(asked("mi_servicio.accion.hacer_algo", veces=3))
    assert hecho == {"status": "completado", "veces": 3}
    assert await service.process_action(asked("mi_servicio.accion.notificar")) is None
    with pytest.raises(NotImplementedError):
        await service.process_action(asked("mi_servicio.accion.otra"))
    with pytest.raises(ValueError):
        await service.process_action(asked("mi_servicio.accion.hacer_algo", veces="muchas"))


async def test_an_override_by_hand_may_leave_the_rest_to_what_is_declared() -> None:
    class Mixed(MiLogicaDeclarada):
        async def process_action(self, action: DomainAction) -> Any:
            if action.action_type == "mi_servicio.accion.vieja":
                return "by hand"
            return await super().process_action(action)

    service = Mixed(SETTINGS)
    assert await service.process_action(asked("mi_servicio.accion.vieja")) == "by hand"
    assert (await service.process_action(asked("mi_servicio.accion.hacer_algo")))["veces"] == 1
    with pytest.raises(UnknownAction):
        await service.process_action(asked("mi_servicio.accion.otra"))


# ── unknown actions ──


async def test_an_unknown_action_names_what_is_nearest_to_it() -> None:
    with pytest.raises(UnknownAction) as caught:
        await MiLogicaDeclarada(SETTINGS).process_action(asked("mi_servicio.accion.notifcar"))
    assert caught.value.message == (
        "MiLogicaDeclarada has no action 'mi_servicio.accion.notifcar'; did you mean mi_servicio.accion.notificar?"
    )
    assert caught.value.details == {
        "action_type": "mi_servicio.accion.notifcar",
        "close_matches": ["mi_servicio.accion.notificar"],
    }
    assert isinstance(caught.value, NotImplementedError)
    assert caught.value.error_code == "UNKNOWN_ACTION"


@pytest.mark.parametrize("hostile", ["", "*", ".", "process_action", "hacer_algo", "x" * 100_000, "\0", "__class__.x"])
async def test_a_hostile_action_type_is_just_unknown(hostile: str) -> None:
    with pytest.raises(UnknownAction) as caught:
        await MiLogicaDeclarada(SETTINGS).process_action(asked(hostile))
    assert len(caught.value.message) < 500


# ── what a service is given ──


def test_a_service_takes_its_parts_by_position_and_by_name() -> None:
    by_position = BaseService(SETTINGS, "client", "connection")  # type: ignore[arg-type]
    by_name = BaseService(
        app_settings=SETTINGS,
        service_redis_client="client",
        direct_redis_conn="connection",  # type: ignore[arg-type]
    )
    for service in (by_position, by_name):
        assert service.app_settings is SETTINGS
        assert service.service_name == "mi_servicio_example"
        assert (service.service_redis_client, service.direct_redis_conn) == ("client", "connection")
    assert BaseService(SETTINGS).direct_redis_conn is None


def test_a_service_says_what_it_is() -> None:
    assert repr(MiLogicaDeclarada(SETTINGS)) == "<MiLogicaDeclarada mi_servicio_example: 2 actions>"


def test_the_logger_takes_text_arguments_and_extra_and_says_who_speaks() -> None:
    written: list[dict[str, Any]] = []

    def keep(logger: Any, level: str, event: dict[str, Any]) -> str:
        written.append(event)
        raise structlog.DropEvent

    structlog.configure(processors=[keep], cache_logger_on_first_use=False)
    try:
        log = MiLogicaDeclarada(SETTINGS)._logger
        log.info("plain {text} 100%")
        log.warning("two of %s and %d", "three", 4)
        log.error("with more", extra={"action_id": "1"}, exc_info=True)
    finally:
        structlog.reset_defaults()
    who = {"service": "mi_servicio_example", "component": "MiLogicaDeclarada"}
    assert written == [
        who | {"event": "plain {text} 100%"},
        who | {"event": "two of three and 4"},
        who | {"event": "with more", "extra": {"action_id": "1"}, "exc_info": True},
    ]


def test_a_handler_of_the_platform_has_settings_connection_and_logger() -> None:
    handler = BaseHandler(SETTINGS, "connection")  # type: ignore[arg-type]
    assert (handler.app_settings, handler.direct_redis_conn) == (SETTINGS, "connection")
    handler._logger.debug("quiet by default")


# ── how it starts and ends ──


class Counted(BaseService):
    """Counts its startups and shutdowns, which take a moment."""

    log: ClassVar[list[str]] = []
    gate: asyncio.Event | None = None

    async def startup(self) -> None:
        if self.gate is not None:
            await self.gate.wait()
        self.log.append("startup")

    async def shutdown(self) -> None:
        self.log.append("shutdown")


@pytest.fixture
def counted() -> Counted:
    Counted.log.clear()
    return Counted(SETTINGS)


async def test_a_service_starts_and_ends_around_its_block(counted: Counted) -> None:
    async with counted as service:
        assert service is counted
        assert counted.log == ["startup"]
    assert counted.log == ["startup", "shutdown"]


async def test_a_service_that_fails_in_its_block_ends_all_the_same(counted: Counted) -> None:
    with pytest.raises(ZeroDivisionError):
        async with counted:
            raise ZeroDivisionError
    assert counted.log == ["startup", "shutdown"]


async def test_a_service_that_several_share_starts_once_and_ends_with_the_last(counted: Counted) -> None:
    await counted.start_once()
    await counted.start_once()
    await counted.shutdown_once()
    assert counted.log == ["startup"]
    await counted.shutdown_once()
    await counted.shutdown_once()
    assert counted.log == ["startup", "shutdown"]
    async with counted:
        assert counted.log == ["startup", "shutdown", "startup"]


async def test_whoever_comes_while_a_service_starts_waits_until_it_has(counted: Counted) -> None:
    counted.gate = asyncio.Event()
    users = [asyncio.create_task(counted.start_once()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not any(user.done() for user in users)
    counted.gate.set()
    await asyncio.gather(*users)
    assert counted.log == ["startup"]


async def test_a_startup_that_fails_is_tried_again_by_the_next() -> None:
    class Fragile(Counted):
        fails = True

        async def startup(self) -> None:
            if self.fails:
                self.fails = False
                raise ConnectionError("not yet")
            await super().startup()

    Counted.log.clear()
    service = Fragile(SETTINGS)
    with pytest.raises(ConnectionError):
        await service.start_once()
    await service.shutdown_once()
    assert service.log == []
    await service.start_once()
    assert service.log == ["startup"]


@pytest.mark.parametrize("name", ["startup", "shutdown"])
def test_what_is_awaited_must_be_async_and_that_is_told_at_once(name: str) -> None:
    def plain(self: BaseService, *_: Any) -> None: ...

    with pytest.raises(DeclarationError, match=rf"plain: is a plain def, .*; write async def {name}"):
        type("Careless", (BaseService,), {name: plain})


def test_a_service_starts_once_in_each_event_loop(counted: Counted) -> None:
    async def use() -> None:
        async with counted, counted:
            pass

    loops = [threading.Thread(target=asyncio.run, args=(use(),)) for _ in range(2)]
    for one in loops:
        one.start()
    for one in loops:
        one.join()
    assert sorted(counted.log) == ["shutdown", "shutdown", "startup", "startup"]


async def test_a_service_that_never_called_its_base_still_starts_and_runs() -> None:
    class Careless(BaseService):
        def __init__(self) -> None:
            pass

        @action("careless.thing.do")
        async def do(self) -> int:
            return 1

    async with Careless() as service:
        assert await service.process_action(asked("careless.thing.do")) == 1


@pytest.mark.slow
async def test_ten_thousand_routes_answer_like_one() -> None:
    router = ActionRouter("many.thing")
    for number in range(10_000):

        @router.action(f"verb{number}")
        async def do(data: dict[str, Any]) -> dict[str, Any]:
            return data

    class Many(BaseService):
        routers = (router,)

    service = Many(SETTINGS)
    assert await service.process_action(asked("many.thing.verb9999", a=1)) == {"a": 1}
    with pytest.raises(UnknownAction) as caught:
        await service.process_action(asked("many.thing.verb10000"))
    assert len(caught.value.details["close_matches"]) == 3
