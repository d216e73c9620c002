"""A contract is written by the caller's test and kept or broken by the callee, who is told what does not fit, and where."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from nooble import Reject, action
from nooble.testing import (
    ContractBroken,
    HarnessMistake,
    Interaction,
    ServiceHarness,
    read_contract,
    verify_contract,
)
from tests.testing.shop import Order, ShopService, Stock, StockService

pytestmark = pytest.mark.usefixtures("no_tasks")

APPLE = Order(item="apple", count=2)


@pytest.fixture
async def contract(tmp_path: Path) -> Path:
    """What the shop relies on of the stock: an answer, a refusal, a callback."""
    path = tmp_path / "contracts" / "shop-stock.json"
    async with ServiceHarness(ShopService) as t:
        t.record(path, exact=("$.item",))
        t.stub(StockService.take, reply=Stock(item="apple", left=5))
        await t.call(ShopService.reserve, APPLE)
        await t.call(ShopService.reserve, APPLE)
        await t.send(ShopService.ask, APPLE)
        await t.run_until_idle()
        t.stub(StockService.take, error=Reject("sold out", error_code="SOLD_OUT"))
        with pytest.raises(Reject):
            await t.call(ShopService.reserve, Order(item="pear", count=1))
        assert not path.exists()
    return path


class Keeping(StockService):
    async def take(self, order: Order) -> Stock:
        if order.item == "pear":
            raise Reject("no pears today", error_code="SOLD_OUT")
        return await super().take(order)


async def test_the_file_says_what_was_said_once_each(contract: Path) -> None:
    written = json.loads(contract.read_text())
    assert (written["nooble_contract"], written["exact"]) == (1, ["$.item"])
    common = {"caller": "shop", "callee": "stock", "action_type": "stock.item.take"}
    apple, answer = {"item": "apple", "count": 2}, {"item": "apple", "left": 5}
    assert written["interactions"] == [
        {**common, "kind": "call", "payload": apple, "data": answer, "error_code": ""},
        {**common, "kind": "callback", "payload": apple, "data": answer, "error_code": ""},
        {
            **common,
            "kind": "call",
            "payload": {"item": "pear", "count": 1},
            "data": None,
            "error_code": "SOLD_OUT",
        },
    ]
    assert len(read_contract(contract).interactions) == 3


async def test_a_service_keeps_it(contract: Path, place: str) -> None:
    assert await verify_contract(contract, Keeping, server=place) == 3


async def test_a_service_that_answers_where_an_error_is_relied_on_breaks_it(contract: Path) -> None:
    with pytest.raises(ContractBroken) as broken:
        await verify_contract(contract, StockService)
    assert str(broken.value).splitlines()[:3] == [
        f"1 of 3 interactions of {contract} do not fit stock:",
        'stock.item.take, call of shop with {"item": "pear", "count": 1}',
        '  expected the error SOLD_OUT, got an answer: {"item": "pear", "left": 9}',
    ]


async def test_answers_of_another_shape_break_it_field_by_field(contract: Path) -> None:
    class Left(BaseModel):
        item: str
        left: str

    class Renamed(Keeping):
        @action("stock.item.take")
        async def take(self, order: Order) -> Left:  # type: ignore[override]
            await super().take(order)
            return Left(item="fruit", left="five")

    with pytest.raises(ContractBroken) as broken:
        await verify_contract(contract, Renamed)
    lines = str(broken.value).splitlines()
    assert lines[0].startswith("2 of 3 interactions")
    assert lines[2:4] == ['  $.item: expected "apple", got "fruit"', '  $.left: expected a number, got text "five"']


async def test_a_payload_that_is_not_accepted_any_more_breaks_it(contract: Path) -> None:
    class Stricter(Order):
        warehouse: str

    class Asking(Keeping):
        @action("stock.item.take")
        async def take(self, order: Stricter) -> Stock:  # type: ignore[override]
            return await super().take(order)

    with pytest.raises(ContractBroken, match=r"got the error INVALID_PAYLOAD(.|\n)*\$\.data\.warehouse Field required"):
        await verify_contract(contract, Asking)


async def test_an_action_that_is_gone_breaks_it(contract: Path) -> None:
    class Gone(ShopService): ...

    with pytest.raises(ContractBroken, match=r"got the error UNKNOWN_ACTION: Gone has no action 'stock\.item\.take'"):
        await verify_contract(contract, Gone, service_name="stock")


async def test_prepare_brings_about_what_an_example_needs(contract: Path) -> None:
    prepared: list[str] = []

    async def prepare(t: ServiceHarness, interaction: Interaction) -> None:
        prepared.append(interaction.kind)
        t.stub("mail.letter.send", reply=None)

    assert await verify_contract(contract, Keeping, prepare=prepare) == 3
    assert prepared == ["call", "callback", "call"]


async def test_what_the_test_itself_sends_is_written_if_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "web-stock.json"
    async with ServiceHarness(StockService, caller="web") as t:
        t.record(path, with_test=True)
        await t.call(StockService.take, APPLE)
        await t.send(StockService.noted, Stock(item="apple", left=1))
        await t.run_until_idle()
    assert [(one.caller, one.kind) for one in read_contract(path).interactions] == [("web", "call"), ("web", "send")]
    assert await verify_contract(path, StockService) == 2
    with pytest.raises(HarnessMistake, match="says nothing about 'shop'; it is about stock"):
        await verify_contract(path, ShopService)


async def test_services_that_talk_to_each_other_make_a_contract_without_stubs(tmp_path: Path) -> None:
    path = tmp_path / "contract.json"
    async with ServiceHarness(ShopService, StockService) as t:
        t.record(path)
        await t.call(ShopService.reserve, APPLE)
    (one,) = read_contract(path).interactions
    assert (one.caller, one.callee, one.data) == ("shop", "stock", {"item": "apple", "left": 8})


async def test_nothing_to_write_is_told_and_a_failed_test_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "contract.json"

    async def say_nothing() -> None:
        async with ServiceHarness(StockService) as t:
            t.record(path)
            await t.call(StockService.take, APPLE)

    async def fail() -> None:
        async with ServiceHarness(ShopService, StockService) as t:
            t.record(path)
            await t.call(ShopService.reserve, APPLE)
            raise ZeroDivisionError

    with pytest.raises(HarnessMistake, match=r"no service has sent anything.*with_test=True"):
        await say_nothing()
    with pytest.raises(ZeroDivisionError):
        await fail()
    assert not path.exists()


# ── the rules of shapes ──
SHAPES: list[tuple[Any, Any, list[str]]] = [
    ({"a": 1}, {"a": 2.5, "more": None}, []),
    ({"a": None}, {"a": {"any": "thing"}}, []),
    ({"a": None}, {}, ["$.a: missing; there is nothing"]),
    ({"a": 1}, {"a": True}, ["$.a: expected a number, got true or false true"]),
    ({"a": "x"}, {"a": None}, ["$.a: expected text, got null null"]),
    ({"a": []}, {"a": [1, "x"]}, []),
    ({"a": [1]}, {"a": []}, []),
    ({"a": [1, "x"]}, {"a": ["y", 2, 3]}, []),
    ({"a": [{"b": 1}]}, {"a": [{"b": 2}, {"b": "x"}, {}]}, [
        '$.a[1].b: expected a number, got text "x"',
        "$.a[2].b: missing; there is nothing",
    ]),
    ({"a": [{"exact": 1}]}, {"a": [{"exact": 2}]}, ["$.a[0].exact: expected 1, got 2"]),
    ({"a": {"b": {"c": 1}}}, {"a": {"b": []}}, ["$.a.b: expected an object, got an array []"]),
]  # fmt: skip


@pytest.mark.parametrize(("example", "found", "faults"), SHAPES)
def test_the_rules_of_shapes(example: Any, found: Any, faults: list[str]) -> None:
    from nooble.models import DomainActionResponse
    from nooble.testing.contracts import misfits

    def told(kind: str) -> Iterator[str]:
        one = Interaction("a", "b", "b.c.d", kind, {}, example)
        return misfits(one, DomainActionResponse(success=True, data=found), exact=("$.a[].exact",))

    assert list(told("call")) == faults
    assert list(told("send")) == []
