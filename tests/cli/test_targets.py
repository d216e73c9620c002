"""What can be named: modules, classes, factories. What is wrong with a name, or with the code behind it, is told as that."""

from __future__ import annotations

import pytest

from nooble.cli.failures import Failure, Misuse
from nooble.cli.targets import Part, parts_of
from nooble.errors import DeclarationError
from nooble.workers import ServiceWorker
from tests.cli.terminal import Terminal

SERVICE = "from nooble import BaseService, action\n"
SHOP = (
    SERVICE
    + """
class Orders(BaseService):
    @action("orders.order.create")
    async def create(self) -> None: ...

class Stock(BaseService):
    @action("stock.item.count")
    async def count(self) -> None: ...
"""
)


def names(*targets: str) -> list[str]:
    return [part.name for part in parts_of(targets)]


def one(target: str) -> Part:
    (part,) = parts_of([target])
    return part


# ── what is found ──


def test_a_module_stands_for_all_its_services(terminal: Terminal) -> None:
    terminal.write("shop.py", SHOP)
    assert names("shop") == ["Orders", "Stock"]


def test_a_class_is_named_after_a_colon(terminal: Terminal) -> None:
    terminal.write("shop.py", SHOP)
    assert names("shop:Stock") == ["Stock"]


def test_several_targets_are_joined_and_each_service_runs_once(terminal: Terminal) -> None:
    terminal.write("shop.py", SHOP)
    assert names("shop:Stock", "shop") == ["Stock", "Orders"]


def test_what_a_module_imports_is_not_its_own(terminal: Terminal) -> None:
    terminal.write("shop.py", SHOP)
    terminal.write("bills.py", f"from shop import Orders\n{SERVICE}\nclass Bills(BaseService):\n    pass\n")
    assert names("bills") == ["Bills"]


def test_a_package_stands_for_what_it_shows_of_its_modules(terminal: Terminal) -> None:
    terminal.write("market/__init__.py", "from market.shop import Orders")
    terminal.write("market/shop.py", SHOP)
    assert names("market") == ["Orders"]


def test_bases_and_private_classes_are_left_out(terminal: Terminal) -> None:
    terminal.write("shop.py", SHOP + "class Special(Orders): pass\nclass _Draft(BaseService): pass\n")
    assert names("shop") == ["Stock", "Special"]


def test_a_function_makes_a_service(terminal: Terminal) -> None:
    terminal.write("shop.py", SHOP + "def make(app_settings) -> Orders: return Orders(app_settings)\n")
    part = one("shop:make")
    assert part.name == "make"
    assert [route.action_type for route in part.routes] == ["orders.order.create"]


WORKER = """
from nooble import BaseWorker
class MyWorker(BaseWorker):
    def __init__(self, app_settings, async_redis_conn, service_instance: {annotation}, consumer_id_suffix=None):
        super().__init__(app_settings, async_redis_conn, service_instance, consumer_id_suffix)
    async def _handle_action(self, action):
        return await self.service.process_action(action)
"""


def test_a_service_gets_a_worker_of_ours_unless_the_module_has_one_for_it(terminal: Terminal) -> None:
    terminal.write("shop.py", SHOP + WORKER.format(annotation="Stock"))
    assert {part.name: part.worker.__name__ for part in parts_of(["shop"])} == {
        "Stock": "MyWorker",
        "Orders": "ServiceWorker",
    }
    assert one("shop:Stock").worker.__name__ == "MyWorker"
    assert one("shop:Orders").worker is ServiceWorker


def test_a_worker_names_its_service_in_another_module(terminal: Terminal) -> None:
    terminal.write("shop.py", SHOP)
    terminal.write("work.py", "from shop import Stock\n" + WORKER.format(annotation="Stock"))
    assert one("work").name == "Stock"
    assert one("work:MyWorker").worker.__name__ == "MyWorker"


def test_the_only_service_of_a_module_is_that_of_its_worker(terminal: Terminal) -> None:
    terminal.write("shop.py", f"{SERVICE}\nclass Orders(BaseService): pass\n{WORKER.format(annotation='object')}")
    assert one("shop").name == "Orders"


def test_a_worker_may_bring_its_own_service(terminal: Terminal) -> None:
    terminal.write("work.py", WORKER.format(annotation="object"))
    part = one("work")
    assert (part.make, part.name) == (None, "MyWorker")


# ── what is mistyped ──

MISTYPED = {
    "shpo": r"no module named 'shpo' in .*; did you mean 'shop'\?",
    "nothing.like.it": r"no module named 'nothing' in .*; name a module of this directory",
    "market.shp": r"market has no module 'shp'; did you mean 'market.shop'\?",
    "shop.py": r"'shop.py' is no name of a module; did you mean 'shop'\?",
    "market/shop.py": r"did you mean 'market.shop'\?",
    "./shop.py": r"did you mean 'shop'\?",
    "": "write module, module:Class or module:factory",
    "shop:": r"shop has no ''; it defines Orders, Stock",
    "shop:Order": r"shop has no 'Order'; did you mean 'Orders'\?",
    "shop:Qqq": "shop has no 'Qqq'; it defines Orders, Stock",
    "shop:mak": r"shop has no 'mak'; did you mean 'make'\?",
    "shop:number": "shop:number is of type int; name a service, a worker, or a function that makes one",
    "shop:Thing": "shop:Thing is the class Thing; name a service",
}


@pytest.mark.parametrize(("target", "told"), MISTYPED.items(), ids=MISTYPED)
def test_a_name_that_names_nothing_is_told_with_what_may_be_meant(terminal: Terminal, target: str, told: str) -> None:
    terminal.write("shop.py", SHOP + "number = 1\nclass Thing: pass\ndef make(app_settings): ...\n")
    terminal.write("market/__init__.py", "")
    terminal.write("market/shop.py", SHOP)
    with pytest.raises(Misuse, match=told):
        parts_of([target])


# ── what is broken ──

BROKEN = {
    "an import of what is not there": (
        "import os\nimport nowhere.else_\n",
        r"an import inside shop failed \(shop.py:2\): No module named 'nowhere'; is it installed in this environment\?",
    ),
    "an import of a name that a module does not have": (
        "from os import nothing_like_it\n",
        r"an import inside shop failed \(shop.py:1\): cannot import name 'nothing_like_it'",
    ),
    "a syntax error": ("x = 1\n  def y(:\n", r"^shop.py:2: unexpected indent\n    def y\(:\n"),
    "a line that raises": ("x = {}\nx['a']\n", r"importing shop failed: KeyError: 'a' \(shop.py:2\)"),
    "a script that ends the program": ("import sys\nsys.exit(3)\n", "shop ends the program when it is imported; put"),
    "no service": ("x = 1\n", "shop defines no service and no worker; a service is a class that inherits from"),
    "a service of another module": ("from other import Other\n", "it imports Other: name other:Other"),
}


@pytest.mark.parametrize(("source", "told"), BROKEN.values(), ids=BROKEN)
def test_a_module_that_is_broken_is_told_as_that(terminal: Terminal, source: str, told: str) -> None:
    terminal.write("shop.py", source)
    terminal.write("other.py", f"{SERVICE}\nclass Other(BaseService): pass\n")
    with pytest.raises(Failure, match=told) as raised:
        parts_of(["shop"])
    assert raised.value.exit_code == 1


def test_the_place_of_a_syntax_error_is_pointed_at(terminal: Terminal) -> None:
    terminal.write("shop.py", "class Orders:\n    def create(self, :\n        pass\n")
    with pytest.raises(Failure) as raised:
        parts_of(["shop"])
    assert str(raised.value).splitlines()[1:] == ["    def create(self, :", "                     ^"]


def test_an_empty_package_names_its_module_that_has_a_service(terminal: Terminal) -> None:
    terminal.write("market/__init__.py", "")
    terminal.write("market/orders.py", SHOP)
    with pytest.raises(Failure, match=r"; name what does: market.orders$"):
        parts_of(["market"])


def test_a_mistake_in_a_declaration_keeps_its_own_words(terminal: Terminal) -> None:
    terminal.write(
        "shop.py", f"{SERVICE}\nclass Orders(BaseService):\n    @action('orders')\n    async def x(self): ...\n"
    )
    with pytest.raises(DeclarationError, match=r"shop.py:4"):
        parts_of(["shop"])
