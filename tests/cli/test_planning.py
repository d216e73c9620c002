"""A service gets its settings, its name and what its constructor asks for; what cannot be had is told before it runs."""

from __future__ import annotations

import pytest

from nooble.cli.failures import Failure, Misuse
from nooble.cli.planning import Plan, plans_for
from nooble.cli.servers import Wish
from nooble.cli.targets import parts_of
from tests.cli.terminal import Terminal

HEAD = """
from nooble import BaseService, CommonAppSettings, action
class ShopSettings(CommonAppSettings):
    {settings}
class Shop(BaseService):
    def __init__(self, app_settings: ShopSettings, {parameters}):
        super().__init__(app_settings)
    @action("shop.order.create")
    async def create(self) -> None: ...
"""


def write(terminal: Terminal, settings: str = "pass", parameters: str = "*", more: str = "") -> None:
    parameters = "**more" if parameters == "*" else parameters
    terminal.write("shop.py", HEAD.format(settings=settings, parameters=parameters) + more)


def plans(*targets: str, selected: tuple[str, ...] = (), wish: Wish | None = None, **options: object) -> list[Plan]:
    return plans_for(parts_of(targets), selected, options, wish)


# ── settings ──


def test_the_settings_are_of_the_class_that_the_constructor_names(terminal: Terminal) -> None:
    write(terminal, "color: str = 'red'")
    (plan,) = plans("shop")
    assert type(plan.settings).__name__ == "ShopSettings"


def test_a_service_without_a_name_is_called_by_the_first_segment_of_its_actions(terminal: Terminal) -> None:
    write(terminal)
    (plan,) = plans("shop")
    assert plan.service_name == "shop"


@pytest.mark.parametrize("where", ["environment", "file", "class"])
def test_a_name_that_is_set_wins_over_that(terminal: Terminal, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
    write(terminal, "service_name: str = 'store'" if where == "class" else "pass")
    if where == "environment":
        monkeypatch.setenv("SERVICE_NAME", "store")
    if where == "file":
        terminal.write(".env", "SERVICE_NAME=store\n")
    (plan,) = plans("shop")
    assert plan.service_name == "store"


def test_options_win_over_everything(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    write(terminal, "worker_concurrency: int = 2")
    monkeypatch.setenv("WORKER_CONCURRENCY", "3")
    (plan,) = plans("shop", worker_concurrency=4)
    assert plan.settings.worker_concurrency == 4


def test_what_is_missing_is_named_with_its_variable(terminal: Terminal) -> None:
    write(terminal, "stripe_key: str\n    model_config = {'env_prefix': 'shop_'}")
    with pytest.raises(Failure) as raised:
        plans("shop")
    assert str(raised.value).splitlines() == [
        "the settings of Shop (ShopSettings) cannot be used:",
        "  stripe_key is missing: set SHOP_STRIPE_KEY, or give it a default",
    ]


def test_what_is_wrong_is_told_without_its_value(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    write(terminal)
    monkeypatch.setenv("REDIS_URL", "http://:s3cret@x")
    with pytest.raises(Failure) as raised:
        plans("shop")
    assert "redis_url: begins with redis://" in str(raised.value)
    assert "s3cret" not in str(raised.value)


def test_what_cannot_even_be_read_is_told(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    write(terminal, "limits: dict[str, int] = {}")
    monkeypatch.setenv("LIMITS", "{")
    with pytest.raises(Failure, match=r'the settings of Shop cannot be read: .*"limits"'):
        plans("shop")


def test_actions_of_several_services_cannot_name_one(terminal: Terminal) -> None:
    write(terminal, more="    @action('stock.item.count')\n    async def count(self) -> None: ...\n")
    with pytest.raises(Failure, match=r"set SERVICE_NAME, or give it a default\nIts actions begin with .*shop, stock"):
        plans("shop")


def test_actions_that_are_handled_by_hand_cannot_name_a_service(terminal: Terminal) -> None:
    terminal.write(
        "byhand.py",
        "from nooble import BaseService\nclass Shop(BaseService):\n    async def process_action(self, action): ...\n",
    )
    with pytest.raises(Failure, match="Its actions are not declared by @action, so that they cannot name the service"):
        plans("byhand")


# ── several ──

TWO = """
class Stock(BaseService):
    @action("stock.item.count")
    async def count(self) -> None: ...
"""


@pytest.mark.parametrize("name", ["stock", "Stock"])
def test_one_of_several_services_is_selected_by_either_of_its_names(terminal: Terminal, name: str) -> None:
    write(terminal, more=TWO)
    assert [plan.service_name for plan in plans("shop", selected=(name,))] == ["stock"]


def test_a_service_that_is_not_there_cannot_be_selected(terminal: Terminal) -> None:
    write(terminal, more=TWO)
    with pytest.raises(Misuse, match=r"no service 'stok' in the target; did you mean 'stock'\?"):
        plans("shop", selected=("stok",))


def test_two_services_never_share_a_stream(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    write(terminal, more=TWO)
    monkeypatch.setenv("SERVICE_NAME", "store")
    with pytest.raises(Failure, match=r"Shop and Stock are both called 'store' .* unset it, or run one of them"):
        plans("shop")


# ── what constructors ask for ──


def test_a_constructor_may_ask_for_less_than_the_standard_gives(terminal: Terminal) -> None:
    write(terminal, parameters="direct_redis_conn=None")
    assert plans("shop")


def test_a_constructor_that_asks_for_more_is_made_by_a_function(terminal: Terminal) -> None:
    write(terminal, parameters="repository, mailer, direct_redis_conn=None")
    with pytest.raises(Failure) as raised:
        plans("shop")
    assert str(raised.value).splitlines() == [
        "shop:Shop asks for repository, mailer, which nooble does not have; it gives app_settings, service_redis_client, "
        "direct_redis_conn. Make it in a function, and name that: shop:make",
        "    def make(app_settings: ShopSettings) -> Shop:",
        "        return Shop(app_settings, repository=…, mailer=…)",
    ]


def test_that_function_gives_the_service_its_settings_and_its_name(terminal: Terminal) -> None:
    make = "def make(app_settings: ShopSettings) -> Shop:\n    return Shop(app_settings, repository=1)\n"
    write(terminal, parameters="repository", more=make)
    (plan,) = plans("shop:make")
    assert (plan.service_name, type(plan.settings).__name__) == ("shop", "ShopSettings")


def test_a_function_that_takes_no_settings_is_refused(terminal: Terminal) -> None:
    write(terminal, more="def make() -> Shop: ...\n")
    with pytest.raises(Failure, match=r"shop:make takes no app_settings, .*; write def make\(app_settings: …\)"):
        plans("shop:make")


def test_a_function_is_not_given_what_is_not_there(terminal: Terminal) -> None:
    write(terminal, more="def make(app_settings, database) -> Shop: ...\n")
    with pytest.raises(Failure, match="shop:make asks for database, which nooble does not have; it gives app_settings"):
        plans("shop:make")
