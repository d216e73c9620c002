"""Which server it is, and why: the nearest word wins."""

from __future__ import annotations

import pytest

from nooble.cli.failures import Misuse
from nooble.cli.servers import Wish, choose
from nooble.cli.settings import own_settings
from nooble.config import CommonAppSettings
from nooble.wire.embedded import EmbeddedServer
from tests.cli.terminal import Terminal


class ShopSettings(CommonAppSettings):
    redis_url: str = "redis://shop"


def chosen(wish: Wish | None = None, kind: type[CommonAppSettings] = CommonAppSettings) -> tuple[str, str]:
    choice = choose(kind(service_name="shop"), wish)
    return choice.url, choice.reason


def test_nobody_says_anything(terminal: Terminal) -> None:
    assert chosen() == (
        "redis://localhost:6379/0",
        "the default: nothing names a server, and no embedded server runs in this directory",
    )


def test_the_code_of_the_service_says_it(terminal: Terminal) -> None:
    assert chosen(kind=ShopSettings) == ("redis://shop", "the default of ShopSettings")


def test_the_project_file_says_it(terminal: Terminal) -> None:
    wish = Wish("redis://project", "DEFAULT_MAP")
    assert chosen(wish, ShopSettings) == ("redis://project", "redis_url in [tool.nooble] of pyproject.toml")


def test_the_file_of_the_settings_wins_over_that(terminal: Terminal) -> None:
    terminal.write(".env", "REDIS_URL=redis://dotenv\n")
    wish = Wish("redis://project", "DEFAULT_MAP")
    assert chosen(wish, ShopSettings) == ("redis://dotenv", "REDIS_URL in the file .env")


def test_the_environment_wins_over_that(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal.write(".env", "REDIS_URL=redis://dotenv\n")
    monkeypatch.setenv("REDIS_URL", "redis://variable")
    assert chosen() == ("redis://variable", "the environment variable REDIS_URL")


def test_our_own_variable_wins_over_that(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://variable")
    wish = Wish("redis://ours", "ENVIRONMENT")
    assert chosen(wish) == ("redis://ours", "the environment variable NOOBLE_REDIS_URL")


def test_the_option_wins_over_everything(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://variable")
    assert chosen(Wish("redis://option"), ShopSettings) == ("redis://option", "the option --redis-url")


def test_an_embedded_server_of_the_directory_is_found(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_PASSWORD", "of another server")
    with EmbeddedServer() as server:
        settings, choice = own_settings(None)
        assert settings.redis_url == choice.url == server.url
        assert "the embedded server of this directory" in choice.reason
        assert settings.redis_password is None
        monkeypatch.setenv("ENVIRONMENT", "production")
        assert chosen()[0] == "redis://localhost:6379/0"


def test_an_address_that_is_none_is_told(terminal: Terminal) -> None:
    with pytest.raises(Misuse, match=r"^the option --redis-url does not name a server: (.|\n)* begins with redis://"):
        own_settings(Wish("localhost"))
