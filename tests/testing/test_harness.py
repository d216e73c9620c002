"""One suite for the harness, on a server of Python objects, on Valkey and on Redis: the same is seen on each."""

from __future__ import annotations

import asyncio
import traceback
from typing import Any

import pytest

from nooble import BaseRedisClient, BaseWorker, CommonAppSettings, Reject
from nooble.errors import (
    ActionExpired,
    ActionTimeout,
    CallTimeout,
    CrashLoop,
    ExternalServiceError,
    InvalidPayload,
    RemoteError,
    UnknownAction,
)
from nooble.models import DomainAction
from nooble.testing import ServiceHarness, StillBusy, Unstubbed, UnusedStub, wait_until
from tests.testing.shop import Order, Receipt, ShopService, Stock, StockService

pytestmark = pytest.mark.usefixtures("no_tasks")

APPLE = Order(item="apple", count=2)


# ── calling and sending ──
async def test_a_call_gives_the_typed_result_and_by_its_type_the_data(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        assert await t.call(ShopService.create, APPLE) == Receipt(number=1, item="apple")
        assert await t.call("shop.order.create", {"item": "pear", "count": 1}) == {"number": 2, "item": "pear"}
        assert await t.call("shop.order.count", APPLE) == {}
        action = DomainAction(action_type="shop.order.create", data={"item": "fig", "count": 1})
        assert (await t.call(action))["item"] == "fig"
        await t.redis.delete("apple:sold")


async def test_what_is_sent_is_done_when_it_is_idle(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        for _ in range(20):
            await t.send(ShopService.create, APPLE)
        await t.run_until_idle()
        assert len(t.service("shop").runs) == 20


async def test_options_travel_along(place: str) -> None:
    seen: list[DomainAction] = []

    class Seeing(ShopService):
        async def process_action(self, action: DomainAction) -> Any:
            seen.append(action)
            return await super().process_action(action)

    async with ServiceHarness(Seeing, server=place, codec="msgpack", caller="web") as t:
        await t.call(Seeing.create, APPLE, tenant_id="acme", metadata={"from": "test"})
    assert (seen[0].tenant_id, seen[0].origin_service, seen[0].metadata["from"]) == ("acme", "web", "test")


async def test_services_in_one_harness_talk_to_each_other(place: str) -> None:
    async with ServiceHarness(ShopService, StockService, server=place) as t:
        assert await t.call(ShopService.reserve, APPLE) == Stock(item="apple", left=8)
        await t.send(ShopService.ask, APPLE)
        await t.run_until_idle()
        assert t.service("shop").runs == ["8 apple left"]


async def test_a_service_that_was_made_keeps_its_settings_and_is_the_one_that_works(place: str) -> None:
    service = ShopService(CommonAppSettings(service_name="corner-shop", codec="msgpack", _env_file=None))
    async with ServiceHarness(service, server=place) as t:
        await t.call(ShopService.create, APPLE, service="corner-shop")
        assert (service.runs, t.service("corner-shop")) == (["apple"], service)


async def test_a_worker_of_ones_own_works(place: str) -> None:
    class Worker(BaseWorker):
        async def _handle_action(self, action: DomainAction) -> Any:
            return {"by": type(self).__name__, "of": await self.service.process_action(action)}

    async with ServiceHarness(StockService, server=place, worker=Worker) as t:
        assert await t.call("stock.item.take", APPLE) == {"by": "Worker", "of": {"item": "apple", "left": 8}}


async def test_effects_are_made_and_noted(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        await t.call(ShopService.count, APPLE)
        assert [(effect.key, effect.arguments) for effect in t.effects] == [
            ("apple:sold", ("INCRBY", "apple:sold", "2"))
        ]
        assert await t.redis.getdel("apple:sold") == "2"


# ── errors ──
async def test_what_a_handler_raises_is_raised_by_the_call_with_its_own_traceback(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        with pytest.raises(KeyError, match="broken") as caught:
            await t.call(ShopService.create, Order(item="broken", count=1))
        frames = traceback.extract_tb(caught.value.__traceback__)
        assert (frames[-1].name, frames[-1].line) == ("create", 'raise KeyError("broken")')
        with pytest.raises(Reject) as refused:
            await t.call(ShopService.create, Order(item="nothing", count=1))
        assert refused.value.error_code == "NO_SUCH_THING"


async def test_what_led_to_an_error_stays_with_it(place: str) -> None:
    class Clumsy(ShopService):
        async def create(self, order: Order) -> Receipt:
            try:
                return await super().create(order)
            except KeyError:
                raise ValueError("while cleaning up")  # noqa: B904 - the context is what is asked for

    async with ServiceHarness(Clumsy, server=place) as t:
        with pytest.raises(ValueError, match="while cleaning up") as caught:
            await t.call(ShopService.create, Order(item="broken", count=1))
        assert isinstance(caught.value.__context__, KeyError)
        assert not caught.value.__suppress_context__


async def test_without_raise_errors_the_codes_of_production_are_seen(place: str) -> None:
    async with ServiceHarness(ShopService, server=place, raise_errors=False) as t:
        with pytest.raises(RemoteError) as failed:
            await t.call(ShopService.create, Order(item="broken", count=1))
        assert (failed.value.error_code, failed.value.error_type) == ("HANDLER_ERROR", "KeyError")
        with pytest.raises(Reject) as refused:
            await t.call(ShopService.create, Order(item="nothing", count=1))
        assert refused.value.error_code == "NO_SUCH_THING"
        await t.send(ShopService.create, Order(item="broken", count=1))
        await t.run_until_idle(skip_retries=True)
        assert [(letter.reason, letter.attempts) for letter in t.dead_letters] == [("HANDLER_ERROR", 3)]


@pytest.mark.parametrize("raise_errors", [True, False])
async def test_bad_payloads_and_unknown_actions_are_told_alike(place: str, raise_errors: bool) -> None:
    async with ServiceHarness(ShopService, server=place, raise_errors=raise_errors) as t:
        with pytest.raises(InvalidPayload) as refused:
            await t.call(ShopService.create, {"item": "", "count": 0})
        assert [one["path"] for one in refused.value.details["errors"]] == ["$.data.item", "$.data.count"]
        with pytest.raises(UnknownAction, match="did you mean"):
            await t.call("shop.order.creat", APPLE)


async def test_an_error_that_stems_from_another_service_leads_to_it(place: str) -> None:
    class Failing(StockService):
        async def take(self, order: Order) -> Stock:
            raise ZeroDivisionError("the shelf is gone")

    async with ServiceHarness(ShopService, Failing, server=place) as t:
        with pytest.raises(RemoteError, match="the shelf is gone") as caught:
            await t.call(ShopService.reserve, APPLE)
        assert isinstance(caught.value.__cause__, ZeroDivisionError)


async def test_what_nobody_was_told_of_is_raised_when_it_is_idle(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        for _ in range(3):
            await t.send(ShopService.create, Order(item="broken", count=1))
        with pytest.raises(KeyError) as caught:
            await t.run_until_idle()
        assert caught.value.__notes__[0].startswith("and 2 more: KeyError('broken')")
        assert [retry.attempt for retry in t.retries] == [1, 1, 1]
        await t.run_until_idle()  # it was seen, and the next run is not due


async def test_what_no_test_has_looked_at_is_raised_at_the_end(place: str) -> None:
    async def look_away() -> None:
        async with ServiceHarness(ShopService, server=place, retry_attempts=1) as t:
            await t.send(ShopService.create, Order(item="broken", count=1))
            await t.call(ShopService.create, APPLE)

    with pytest.raises(KeyError):
        await look_away()


async def test_an_error_of_the_test_itself_is_not_covered_up(place: str) -> None:
    async def fail() -> None:
        async with ServiceHarness(ShopService, server=place, retry_attempts=1, strict=True) as t:
            t.stub(StockService.take, reply=Stock(item="x", left=1))
            await t.send(ShopService.create, Order(item="broken", count=1))
            await t.call(ShopService.create, APPLE)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await fail()


# ── time ──
async def test_a_declared_retry_waits_and_is_raised_when_it_is_given_up(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        t.service("shop").failures = 3
        await t.send(ShopService.charge, APPLE)
        await t.run_until_idle()
        (retry,) = t.retries
        assert (retry.service, retry.action_type, retry.attempt) == ("shop", "shop.order.charge", 1)
        assert 59 < retry.due_in <= 60
        assert not retry.is_awaited
        await t.clock.advance(50)
        await t.run_until_idle()
        assert t.service("shop").runs == ["apple"]
        await t.clock.advance(11)
        await t.run_until_idle()
        assert t.service("shop").runs == ["apple"] * 2
        with pytest.raises(ExternalServiceError, match="the bank is closed"):
            await t.run_until_idle(skip_retries=True)
        assert [letter.reason for letter in t.dead_letters] == ["EXTERNAL_SERVICE_ERROR"]
        assert t.retries == []
        assert 180 <= t.clock.moved < 182


async def test_a_call_does_not_wait_for_the_pauses_of_retries(place: str) -> None:
    async with ServiceHarness(ShopService, StockService, server=place) as t:
        t.service("shop").failures = 2
        assert await t.call(ShopService.charge, APPLE, timeout=1000) == 3
        assert await t.call(ShopService.later, APPLE, timeout=1000) == 2
        assert t.clock.moved > 200


async def test_a_deadline_passes(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        first = asyncio.ensure_future(t.call(ShopService.wait, APPLE, timeout=1000))
        await t.service("shop").entered.wait()
        second = asyncio.ensure_future(t.call(ShopService.create, APPLE, timeout=60))
        stream = f"{t.place}:shop:streams:main"

        async def both_are_there() -> bool:
            return await t.redis.xlen(stream) == 2

        await wait_until(both_are_there)
        await t.clock.advance(61)
        t.service("shop").gate.set()
        assert (await first).item == "apple"
        with pytest.raises(ActionExpired):
            await second
        assert await t.call(ShopService.create, APPLE, timeout=60)  # what is sent after the move is not late


async def test_what_a_handler_has_left_of_its_deadline_passes(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        call = asyncio.ensure_future(t.call(ShopService.wait, APPLE, timeout=1000))
        await t.service("shop").entered.wait()
        await t.clock.advance(400)
        t.service("shop").gate.set()
        await call
        assert 500 < t.service("shop").time_left <= 600


async def test_a_timeout_of_a_handler_passes(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        call = asyncio.ensure_future(t.call(ShopService.wait, APPLE, timeout=10_000))
        await t.service("shop").entered.wait()
        await t.clock.advance(3599)
        await asyncio.wait({call}, timeout=0.1)
        assert not call.done()
        await t.clock.advance(2)
        with pytest.raises(ActionTimeout):
            await call


async def test_what_a_dead_worker_held_is_taken_over_after_its_lease(place: str) -> None:
    async with ServiceHarness(ShopService, server=place, worker_lease_seconds=30.0) as t:
        service = t.service("shop")
        await t.send(ShopService.wait, APPLE)
        await service.entered.wait()
        await t.crash("shop")
        service.gate.set()
        assert await t.call(ShopService.create, APPLE)
        assert service.deliveries == [1]
        await t.clock.advance(31)
        await t.run_until_idle()
        assert service.deliveries == [1, 2]


async def test_what_kills_its_worker_is_told_to_its_caller_and_only_there(place: str) -> None:
    async with ServiceHarness(ShopService, server=place, worker_max_deliveries=1) as t:
        call = asyncio.ensure_future(t.call(ShopService.wait, APPLE, timeout=1000))
        await t.service("shop").entered.wait()
        await t.crash("shop")
        await t.clock.advance(60)
        with pytest.raises(CrashLoop):
            await call
        assert [letter.reason for letter in t.dead_letters] == ["CRASH_LOOP"]
        await t.run_until_idle()


async def test_lifetimes_pass(place: str) -> None:
    async with ServiceHarness(ShopService, server=place, raise_errors=False, dead_letter_ttl_seconds=1000.0) as t:
        for _ in range(2):
            assert (await t.call(ShopService.create, APPLE, idempotency_key="k")).number == 1
        await t.send("shop.order.create", {})
        await t.run_until_idle()
        assert [letter.reason for letter in t.dead_letters] == ["INVALID_PAYLOAD"]
        await t.clock.advance(999)
        await t.refresh()
        assert len(t.dead_letters) == 1
        await t.clock.advance(86_400)
        assert (await t.call(ShopService.create, APPLE, idempotency_key="k")).number == 2
        assert t.dead_letters == []


async def test_time_does_not_go_back(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        with pytest.raises(ValueError, match="time goes on, not back"):
            await t.clock.advance(-1)


# ── others ──
async def test_stubs_answer_for_services_that_are_not_there(place: str) -> None:
    async with ServiceHarness(ShopService, server=place, strict=True) as t:
        stub = t.stub(StockService.take, reply=Stock(item="apple", left=3))
        assert (await t.call(ShopService.reserve, APPLE)).left == 3
        assert stub.payloads == t.sent(StockService.take) == [APPLE]
        t.stub("stock.item.take", error=Reject("none left", error_code="SOLD_OUT"))
        with pytest.raises(Reject, match="none left") as refused:
            await t.call(ShopService.reserve, APPLE)
        assert refused.value.error_code == "SOLD_OUT"

        async def take(order: Order, action: DomainAction) -> Stock:
            return Stock(item=f"{order.item} for {action.origin_service}", left=order.count)

        t.stub(StockService.take, take)
        assert await t.call(ShopService.reserve, APPLE) == Stock(item="apple for shop", left=2)
        t.stub("stock.item.take", lambda: {"item": "plain", "left": 0})
        assert (await t.call(ShopService.reserve, APPLE)).item == "plain"


async def test_a_stub_answers_by_callback(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        t.stub(StockService.take, reply=Stock(item="apple", left=7))
        await t.send(ShopService.ask, APPLE)
        await t.run_until_idle()
        assert t.service("shop").runs == ["7 apple left"]


async def test_a_stub_that_refuses_where_nobody_waits_is_no_failure_of_the_services(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        t.stub(StockService.take, error=Reject("none left"))
        await t.send(ShopService.ask, APPLE)
        await t.run_until_idle()
        assert (t.service("shop").runs, t.dead_letters) == ([], [])


async def test_an_action_that_nobody_answers_is_told_at_once(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        with pytest.raises(Unstubbed, match=r"write t\.stub\('stock\.item\.take', reply=…\)") as caught:
            await t.call(ShopService.reserve, APPLE)
        assert any(frame.name == "reserve" for frame in traceback.extract_tb(caught.value.__traceback__))
        with pytest.raises(Unstubbed):
            await t.call("mail.letter.send")


async def test_what_was_sent_to_others_can_be_looked_at(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        assert t.sent("mail.letter.send") == []
        await t.call(ShopService.announce, APPLE, tenant_id="acme")
        assert t.sent("mail.letter.send") == [{"about": "apple"}]
        (action,) = t.sent_actions("mail.letter.send")
        assert (action.origin_service, action.tenant_id) == ("shop", "acme")
        await t.send(ShopService.announce, APPLE)
        await t.run_until_idle()
        assert t.sent("mail.letter.send", model=dict[str, str]) == [{"about": "apple"}] * 2


async def test_what_a_client_of_the_services_own_sends_is_taken_too(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        settings = CommonAppSettings(
            service_name="stranger", environment=t.place.partition(":")[2], _env_file=None, log_level="ERROR"
        )
        async with BaseRedisClient("stranger", t.redis, settings) as client:
            await client.send("mail.letter.send", {"about": "pear"})
        await t.run_until_idle()
        assert t.sent("mail.letter.send") == [{"about": "pear"}]


async def test_a_stub_that_nobody_needs_is_told_if_it_is_strict(place: str) -> None:
    async def stub_in_vain(strict: bool) -> None:
        async with ServiceHarness(ShopService, server=place, strict=strict) as t:
            t.stub("mail.letter.sent", reply=None)
            await t.call(ShopService.announce, APPLE)

    with pytest.raises(UnusedStub, match=r"nobody has sent mail\.letter\.sent.*what was sent: mail\.letter\.send\."):
        await stub_in_vain(strict=True)
    await stub_in_vain(strict=False)


# ── rest ──
async def test_a_handler_that_does_not_end_is_named(place: str) -> None:
    async with ServiceHarness(ShopService, server=place) as t:
        await t.send(ShopService.wait, APPLE)
        with pytest.raises(StillBusy, match=r"shop is at work on shop\.order\.wait; 1 in the stream of shop"):
            await t.run_until_idle(timeout=0.2)
        with pytest.raises(CallTimeout) as late:
            await t.call(ShopService.create, APPLE, timeout=0.05)
        assert "shop is at work on shop.order.wait" in late.value.__notes__


@pytest.mark.every_loop
async def test_it_runs_in_every_loop(place: str) -> None:
    async with ServiceHarness(ShopService, StockService, server=place) as t:
        assert await t.call(ShopService.reserve, APPLE)
        assert await t.call(ShopService.later, APPLE, timeout=1000) == 2
        await t.send(ShopService.announce, APPLE)
        await t.run_until_idle()
        assert t.sent("mail.letter.send") == [{"about": "apple"}]


async def test_a_harness_in_a_loop_of_plain_asyncio(place: str) -> None:
    async def work() -> Receipt:
        async with ServiceHarness(ShopService, server=place) as t:
            return await t.call(ShopService.create, APPLE)

    assert (await asyncio.to_thread(asyncio.run, work(), debug=True)).number == 1


async def test_an_embedded_server_is_one_for_all_tests_of_the_process() -> None:
    async with ServiceHarness(ShopService, server="embedded") as t:
        assert await t.call(ShopService.create, APPLE) == Receipt(number=1, item="apple")
        await t.redis.set("mine", "x")
    async with ServiceHarness(ShopService, server="embedded") as t:
        assert await t.redis.getdel("mine") == "x"
        assert await t.redis.keys("*") == [f"{t.place}:shop:streams:main"]


async def test_two_harnesses_on_one_server_do_not_meet(place: str) -> None:
    async with (
        ServiceHarness(ShopService, server=place) as one,
        ServiceHarness(ShopService, server=one.redis) as other,
    ):
        await one.call(ShopService.create, APPLE)
        assert (one.service("shop").runs, other.service("shop").runs) == (["apple"], [])
    assert one.place != other.place
