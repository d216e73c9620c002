"""No password of a settings object reaches a log, a traceback or an error."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from nooble.config import CommonAppSettings
from nooble.config.common_app_settings import masked_url

SECRETS = ("hunter2", "s3cret")


def made(**values: Any) -> CommonAppSettings:
    secret = {"redis_password": "hunter2", "redis_url": "redis://someone:s3cret@example:6380/1"}
    return CommonAppSettings(**({"service_name": "demo"} | secret | values))


@pytest.mark.parametrize("shown", [repr, str, "{}".format, "%s".__mod__, lambda settings: repr([settings])])
def test_a_printed_settings_object_shows_no_secret(shown: Callable[[object], str]) -> None:
    text = shown(made())
    assert "redis_url='redis://someone:***@example:6380/1'" in text
    assert not [secret for secret in SECRETS if secret in text]


def test_the_settings_of_a_service_show_no_secret_either() -> None:
    class OrderSettings(CommonAppSettings):
        pass

    settings = OrderSettings(service_name="orders", redis_url="redis://:s3cret@example")
    assert repr(settings) == str(settings)
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize("values", [{"service_name": None}, {"worker_concurrency": 0}, {"redis_url": "s3cret"}])
def test_an_error_about_the_settings_shows_no_secret(values: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as caught:
        made(**values)
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_an_error_about_a_missing_setting_shows_no_secret() -> None:
    with pytest.raises(ValidationError) as caught:
        CommonAppSettings(redis_password="hunter2", redis_url="redis://:s3cret@example")
    assert not [secret for secret in SECRETS if secret in str(caught.value)]


def test_the_secret_itself_is_there_for_who_connects() -> None:
    settings = made()
    assert settings.redis_password.get_secret_value() == "hunter2"
    assert "s3cret" in settings.redis_url


@pytest.mark.parametrize(
    ("url", "masked"),
    [
        ("redis://localhost:6379/0", "redis://localhost:6379/0"),
        ("redis://someone@localhost", "redis://someone@localhost"),
        ("redis://:s3cret@localhost:6379/0", "redis://:***@localhost:6379/0"),
        ("rediss://someone:s3cret@localhost/1", "rediss://someone:***@localhost/1"),
        ("redis://:s3:cr@et@localhost", "redis://:***@localhost"),
        ("redis://:s3[cret@localhost", "redis://:***@localhost"),
        ("redis://:s3/cr?e#t@localhost", "redis://:***@localhost"),
        ("redis://:s3\ncret@localhost", "redis://:***@localhost"),
        ("unix://:s3cret@/run/redis.sock?db=1", "unix://:***@/run/redis.sock?db=1"),
        ("redis://localhost?password=s3cret&db=1", "redis://localhost?password=***&db=1"),
        ("nonsense", "nonsense"),
        ("", ""),
    ],
)
def test_a_masked_address_is_the_address_without_the_password(url: str, masked: str) -> None:
    assert masked_url(url) == masked
