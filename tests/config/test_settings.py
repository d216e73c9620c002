"""Every setting has a default with a unit, can be set in three ways, and a bad value names the setting."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError

from nooble.config import CommonAppSettings

DEFAULTS: dict[str, Any] = {
    "service_version": "0.1.0",
    "environment": "development",
    "log_level": "INFO",
    "log_format": "auto",
    "log_redact": (
        *("password", "passwd", "pwd", "passphrase", "token", "secret", "authorization", "api_key", "access_key"),
        *("private_key", "credentials", "cookie"),
    ),
    "redis_url": "redis://localhost:6379/0",
    "redis_password": None,
    "redis_decode_responses": True,
    "redis_socket_connect_timeout": 5.0,
    "redis_socket_keepalive": True,
    "redis_socket_keepalive_options": None,
    "redis_max_connections": 50,
    "redis_health_check_interval": 30.0,
    "queue_prefix": "nooble4",
    "service_aliases": {},
    "codec": "json",
    "max_payload_bytes": 1_048_576,
    "stream_max_backlog": 0,
    "idempotency_window_seconds": 86_400.0,
    "durability": "server",
    "durability_replicas": 1,
    "durability_timeout_seconds": 2.0,
    "response_ttl_seconds": 300.0,
    "worker_concurrency": 1,
    "worker_read_ahead": 200,
    "worker_block_ms": 2_000,
    "worker_lease_seconds": 30.0,
    "worker_grace_seconds": 10.0,
    "worker_max_deliveries": 3,
    "worker_beat_seconds": 5.0,
    "action_timeout_seconds": 0.0,
    "probe_port": None,
    "probe_host": "127.0.0.1",
    "metrics": False,
    "tracing": False,
    "retry_attempts": 3,
    "retry_backoff_seconds": 1.0,
    "retry_max_delay_seconds": 300.0,
    "dead_letter_ttl_seconds": 2_592_000.0,
    "dead_letter_max_length": 100_000,
}

SAMPLES: dict[str, tuple[str, Any]] = {
    "service_name": ("orders", "orders"),
    "service_version": ("1.2.3", "1.2.3"),
    "environment": ("production", "production"),
    "log_level": ("debug", "DEBUG"),
    "log_format": ("json", "json"),
    "log_redact": ("iban, pin", ("iban", "pin")),
    "redis_url": ("rediss://example:6380/1", "rediss://example:6380/1"),
    "redis_password": ("s3cret", SecretStr("s3cret")),
    "redis_decode_responses": ("false", False),
    "redis_socket_connect_timeout": ("0.25", 0.25),
    "redis_socket_keepalive": ("0", False),
    "redis_socket_keepalive_options": ('{"4": 60}', {4: 60}),
    "redis_max_connections": ("7", 7),
    "redis_health_check_interval": ("0.5", 0.5),
    "queue_prefix": ("other", "other"),
    "service_aliases": ("query=query_service", {"query": "query_service"}),
    "codec": ("msgpack", "msgpack"),
    "max_payload_bytes": ("2048", 2048),
    "stream_max_backlog": ("10", 10),
    "idempotency_window_seconds": ("60.5", 60.5),
    "durability": ("fsync", "fsync"),
    "durability_replicas": ("2", 2),
    "durability_timeout_seconds": ("0.5", 0.5),
    "response_ttl_seconds": ("0.5", 0.5),
    "worker_concurrency": ("8", 8),
    "worker_read_ahead": ("5", 5),
    "worker_block_ms": ("50", 50),
    "worker_lease_seconds": ("1.5", 1.5),
    "worker_grace_seconds": ("0.5", 0.5),
    "worker_max_deliveries": ("9", 9),
    "worker_beat_seconds": ("0.5", 0.5),
    "action_timeout_seconds": ("2.5", 2.5),
    "probe_port": ("8081", 8081),
    "probe_host": ("0.0.0.0", "0.0.0.0"),
    "metrics": ("1", True),
    "tracing": ("true", True),
    "retry_attempts": ("4", 4),
    "retry_backoff_seconds": ("0.1", 0.1),
    "retry_max_delay_seconds": ("7.5", 7.5),
    "dead_letter_ttl_seconds": ("60.5", 60.5),
    "dead_letter_max_length": ("100", 100),
}
"""Setting → what is written in the environment, and what that means."""

BAD: list[tuple[str, Any]] = [
    ("service_name", ""),
    ("service_name", "two:parts"),
    ("service_name", "line\n"),
    ("service_name", "x" * 101),
    ("environment", "{cluster}"),
    ("queue_prefix", "with space"),
    ("log_level", "LOUD"),
    ("log_format", "xml"),
    ("redis_url", "localhost:6379"),
    ("redis_url", "http://localhost"),
    ("redis_decode_responses", "perhaps"),
    ("redis_socket_connect_timeout", 0),
    ("redis_socket_keepalive_options", "nonsense"),
    ("redis_max_connections", 0),
    ("redis_health_check_interval", -1),
    ("codec", "pickle"),
    ("service_aliases", "query"),
    ("service_aliases", "=query_service"),
    ("service_aliases", "{broken"),
    ("service_aliases", '["query"]'),
    ("service_aliases", {"query": "two:parts"}),
    ("max_payload_bytes", 0),
    ("stream_max_backlog", -1),
    ("idempotency_window_seconds", 0.5),
    ("durability", "perhaps"),
    ("durability_replicas", 0),
    ("durability_timeout_seconds", 0),
    ("durability_timeout_seconds", 61),
    ("response_ttl_seconds", 0),
    ("response_ttl_seconds", "five"),
    ("worker_concurrency", 0),
    ("worker_concurrency", 1.5),
    ("worker_read_ahead", 0),
    ("worker_block_ms", 0),
    ("worker_lease_seconds", 0),
    ("worker_lease_seconds", float("inf")),
    ("worker_grace_seconds", -0.1),
    ("worker_grace_seconds", float("nan")),
    ("worker_max_deliveries", 0),
    ("worker_beat_seconds", -1),
    ("action_timeout_seconds", -1),
    ("probe_port", 65536),
    ("metrics", "perhaps"),
    ("retry_attempts", 0),
    ("retry_backoff_seconds", -1),
    ("retry_max_delay_seconds", -1),
    ("dead_letter_ttl_seconds", -1),
    ("dead_letter_max_length", -1),
]

each_sample = pytest.mark.parametrize(("name", "text", "value"), [(name, *pair) for name, pair in SAMPLES.items()])


def made(**values: Any) -> CommonAppSettings:
    return CommonAppSettings(**({"service_name": "demo"} | values))


def test_the_tables_of_this_file_know_every_setting() -> None:
    assert set(SAMPLES) == set(CommonAppSettings.model_fields) == set(DEFAULTS) | {"service_name"}


@pytest.mark.parametrize(("name", "default"), DEFAULTS.items(), ids=DEFAULTS)
def test_a_setting_has_the_default_that_is_documented(name: str, default: Any) -> None:
    assert getattr(made(), name) == default


@each_sample
def test_a_setting_can_be_set_by_keyword(name: str, text: str, value: Any) -> None:
    assert getattr(made(**{name: value}), name) == value


@each_sample
def test_a_setting_can_be_set_by_the_variable_of_its_name_in_capitals(
    name: str, text: str, value: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SERVICE_NAME", "demo")
    monkeypatch.setenv(name.upper(), text)
    assert getattr(CommonAppSettings(), name) == value


@each_sample
def test_a_setting_can_be_set_in_the_file_of_the_working_directory(
    name: str, text: str, value: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".env").write_text(f"SERVICE_NAME=demo\n{name.upper()}='{text}'\n")
    monkeypatch.chdir(tmp_path)
    assert getattr(CommonAppSettings(), name) == value


def test_the_keyword_overrules_the_variable_and_the_variable_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("SERVICE_NAME=file\n")
    assert CommonAppSettings().service_name == "file"
    monkeypatch.setenv("SERVICE_NAME", "variable")
    assert CommonAppSettings().service_name == "variable"
    assert CommonAppSettings(service_name="keyword").service_name == "keyword"


def test_variables_of_others_are_no_concern_of_these_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("SERVICE_NAME=demo\nDATABASE_URL=postgres://elsewhere\n")
    assert not hasattr(CommonAppSettings(), "database_url")


@pytest.mark.parametrize(("name", "value"), BAD, ids=[f"{name}={value!r:.20}" for name, value in BAD])
def test_a_bad_value_names_the_setting(name: str, value: Any) -> None:
    with pytest.raises(ValidationError) as caught:
        made(**{name: value})
    assert caught.value.errors()[0]["loc"][0] == name
    assert name in str(caught.value)


def test_a_missing_name_of_the_service_is_told() -> None:
    with pytest.raises(ValidationError, match="service_name\n  Field required"):
        CommonAppSettings()


def test_a_service_adds_its_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    class EmbeddingServiceSettings(CommonAppSettings):
        embedding_model: str = "small"

    monkeypatch.setenv("EMBEDDING_MODEL", "large")
    settings = EmbeddingServiceSettings(service_name="embedding")
    assert (settings.embedding_model, settings.queue_prefix) == ("large", "nooble4")


def test_every_setting_is_documented_and_every_duration_says_its_unit() -> None:
    for name, field in CommonAppSettings.model_fields.items():
        assert field.description, name
        if name.endswith(("_seconds", "_timeout", "_interval")):
            assert "econds" in field.description, name
        if name.endswith("_ms"):
            assert "illiseconds" in field.description, name


def test_the_platforms_import_path_leads_to_the_same_class() -> None:
    from nooble.config.base_settings import CommonAppSettings as OfThePlatform

    assert OfThePlatform is CommonAppSettings


# ── aliases of services ──


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("query=query_service", {"query": "query_service"}),
        ("query=query_service,mail=mail_service", {"query": "query_service", "mail": "mail_service"}),
        (" query = query_service , ", {"query": "query_service"}),
        ('{"query": "query_service"}', {"query": "query_service"}),
        (' {"query": "query_service"}', {"query": "query_service"}),
        ({"query": "query_service"}, {"query": "query_service"}),
        ("", {}),
        ("{}", {}),
    ],
)
def test_aliases_are_written_as_pairs_as_json_or_as_a_mapping(written: Any, meant: dict[str, str]) -> None:
    assert made(service_aliases=written).service_aliases == meant


def test_aliases_as_json_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SERVICE_ALIASES", '{"query": "query_service"}')
    assert made().service_aliases == {"query": "query_service"}
