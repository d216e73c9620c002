"""Who uses the kit wrongly is told what, and the mend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import Field

from nooble import BaseService, CommonAppSettings, ServiceWorker, action
from nooble.testing import HarnessMistake, ServiceHarness, read_contract, verify_contract, wait_until
from tests.testing.shop import Order, ShopService, Stock, StockService

pytestmark = pytest.mark.usefixtures("no_tasks")


class Nameless(BaseService):
    @action("one.thing.do")
    async def one(self) -> None: ...

    @action("two.thing.do")
    async def two(self) -> None: ...


class Demanding(BaseService):
    def __init__(self, app_settings: CommonAppSettings, gateway: Any) -> None:
        super().__init__(app_settings)

    @action("demanding.thing.do")
    async def do(self) -> None: ...


class OwnSettings(CommonAppSettings):
    api_key: str = Field()


class NeedsSettings(BaseService):
    def __init__(self, app_settings: OwnSettings) -> None:
        super().__init__(app_settings)

    @action("needs.thing.do")
    async def do(self) -> str:
        return self.app_settings.api_key


class Lame(ShopService):
    async def startup(self) -> None:
        raise RuntimeError("no database")


MISTAKES: dict[str, tuple[tuple[Any, ...], dict[str, Any], str]] = {
    "no service": ((), {}, "has no service"),
    "no service at all": ((42,), {}, "give it services, or classes"),
    "a function that makes nothing": ((lambda: None,), {"service_name": "x"}, "no process_action"),
    "a setting nobody knows": ((ShopService,), {"worker_concurency": 2}, "did you mean 'worker_concurrency'"),
    "a setting that is wrong": ((ShopService,), {"worker_concurrency": 0}, "worker_concurrency"),
    "a setting that is missing": ((NeedsSettings,), {}, "api_key"),
    "no name": ((Nameless,), {}, r"begin with different words \(one, two\)"),
    "a constructor that asks for more": ((Demanding,), {}, "asks for gateway.*Make the service yourself"),
    "two of one name": ((ShopService, ShopService), {}, "two services are called 'shop'"),
    "one name for two": ((ShopService, StockService), {"service_name": "x"}, "service_name names one service"),
    "an environment": ((ShopService,), {"environment": "production"}, "the harness's own to choose"),
    "a server that is none": ((ShopService,), {"server": "redis"}, 'give "fake", "embedded", an address'),
    "a client that is none": ((ShopService,), {"server": object()}, 'give "fake", "embedded", an address'),
    "a directory of one's own": ((ShopService,), {"server": "embedded:///tmp"}, "name no directory of yours"),
    "a worker that is none": ((ShopService,), {"worker": lambda *_: "worker"}, "which is no BaseWorker"),
}


@pytest.mark.parametrize(("services", "options", "message"), MISTAKES.values(), ids=MISTAKES)
async def test_a_harness_that_cannot_be(services: tuple[Any, ...], options: dict[str, Any], message: str) -> None:
    with pytest.raises(HarnessMistake, match=message):
        async with ServiceHarness(*services, **options):
            pytest.fail("it began")


async def test_a_service_that_does_not_start_is_told_at_once() -> None:
    with pytest.raises(RuntimeError, match="no database"):
        async with ServiceHarness(Lame):
            pytest.fail("it began")


async def test_settings_of_a_kind_of_its_own_are_made() -> None:
    async with ServiceHarness(NeedsSettings, api_key="k") as t:
        assert await t.call(NeedsSettings.do) == "k"
        assert isinstance(t.service("needs").app_settings, OwnSettings)


async def test_a_harness_runs_once_and_only_inside_of_its_block() -> None:
    t = ServiceHarness(ShopService)
    with pytest.raises(HarnessMistake, match="async with"):
        await t.call(ShopService.create, {})
    async with t:
        assert repr(t) == "<ServiceHarness shop>"
    with pytest.raises(HarnessMistake, match="runs once"):
        async with t:
            pytest.fail("it began")
    with pytest.raises(HarnessMistake, match="async with"):
        await t.send(ShopService.create, {})


async def test_stubs_that_cannot_be() -> None:
    async with ServiceHarness(ShopService) as t:
        for action_of_ours in (ShopService.create, "shop.order.create"):
            with pytest.raises(HarnessMistake, match="is at work in this harness"):
                t.stub(action_of_ours, reply=None)
            with pytest.raises(HarnessMistake, match="is at work in this harness"):
                t.sent(action_of_ours)
        with pytest.raises(HarnessMistake, match="none of a function, reply=… and error=… was given"):
            t.stub(StockService.take)
        with pytest.raises(HarnessMistake, match="2 of a function"):
            t.stub(StockService.take, lambda: None, error=KeyError("x"))
        with pytest.raises(HarnessMistake, match="is no function"):
            t.stub(StockService.take, {"item": "apple"})  # type: ignore[arg-type]
        with pytest.raises(HarnessMistake, match="the reply is none of this action"):
            t.stub(StockService.take, reply={"item": "apple"})
        with pytest.raises(HarnessMistake, match="is no action"):
            t.stub(Stock, reply=None)  # type: ignore[arg-type]
        with pytest.raises(HarnessMistake, match="no service 'stock' in the harness; it has shop"):
            t.service("stock")


async def test_a_stub_whose_function_promises_what_the_service_would_not_keep() -> None:
    async with ServiceHarness(ShopService) as t:
        t.stub(StockService.take, lambda order: {"item": order.item})
        with pytest.raises(Exception, match="the reply is none of this action") as caught:
            await t.call(ShopService.reserve, Order(item="apple", count=1))
        assert isinstance(caught.value.__cause__, HarnessMistake)


async def test_a_worker_that_ends_by_itself_is_told() -> None:
    class Dying(ServiceWorker):
        async def _process_action_loop(self) -> None:
            raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        async with ServiceHarness(ShopService, worker=Dying):
            pytest.fail("it began")


async def test_contracts_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "contract.json"
    with pytest.raises(HarnessMistake, match=r"FileNotFoundError.*t\.record\(path\)"):
        read_contract(path)
    for text in ("{", "[]", "{}", '{"nooble_contract": 1}', '{"nooble_contract": 1, "interactions": [{"x": 1}]}'):
        path.write_text(text)
        with pytest.raises(HarnessMistake, match="cannot be read as a contract"):
            read_contract(path)
    path.write_text('{"nooble_contract": 2, "interactions": []}')
    with pytest.raises(HarnessMistake, match="a contract of version 2, and this nooble reads 1"):
        read_contract(path)
    path.write_text('{"nooble_contract": 1, "interactions": []}')
    with pytest.raises(HarnessMistake, match="says nothing about 'stock'; it is about nobody"):
        await verify_contract(path, StockService)


async def test_wait_until_waits_and_tells_what_for() -> None:
    values = iter([0, 0, 3])
    assert await wait_until(lambda: next(values)) == 3

    async def never() -> int:
        return 0

    with pytest.raises(AssertionError, match=r"waited 0\.01 s until pigs fly; last value: 0"):
        await wait_until(never, "pigs fly", timeout=0.01)

    async def late() -> int:
        raise TimeoutError("of its own")

    with pytest.raises(TimeoutError, match="of its own"):
        await wait_until(late)
