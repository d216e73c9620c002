"""What can be set, with its unit and default. The environment variable of a setting is its name in capitals."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import Field, SecretStr, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

NAME = re.compile(r"[A-Za-z0-9_.-]{1,100}")
"""What a prefix, an environment or a service may be called: the parts of a key are joined by colons."""

_SECRET = re.compile(r"(://[^:@/?#]*:).*(?=@)|([?&]password=)[^&]*", re.DOTALL)


class CommonAppSettings(BaseSettings):
    """Settings of a service (standard §2.1); services subclass it and add their own.

    A value comes from, in this order: the keyword, the environment variable of the same name in capitals
    (`SERVICE_NAME`, `REDIS_URL`, …), the file `.env` in the working directory, the default. Durations are seconds and
    accept fractions unless their name says otherwise.

    Raises:
        pydantic.ValidationError: a value is missing, of the wrong type or out of its range; names the setting.
    """

    model_config = SettingsConfigDict(
        extra="ignore",
        env_file=".env",
        env_file_encoding="utf-8",
        allow_inf_nan=False,
        hide_input_in_errors=True,  # a missing setting would be told together with all the others, secrets included
    )

    # Every default is given by name: not all type checkers see it otherwise.

    # who
    service_name: str = Field(description="Name of the service; names its stream, its group and its keys.")
    service_version: str = Field(
        default="0.1.0", description="Version of the service, shown in logs and in the worker registry."
    )
    environment: str = Field(default="development", description="Environment; part of every key name.")

    # logs
    log_level: str = Field(
        default="INFO", description="Least level that is logged: DEBUG, INFO, WARNING, ERROR, CRITICAL."
    )
    log_format: Literal["auto", "console", "json"] = Field(
        default="auto",
        description="How logs are written: `console` for people, `json` for machines, `auto` decides by the terminal.",
    )
    log_redact: Annotated[tuple[str, ...], NoDecode] = Field(
        default=(
            *("password", "passwd", "pwd", "passphrase", "token", "secret", "authorization", "api_key", "access_key"),
            *("private_key", "credentials", "cookie"),
        ),
        description="Names of fields that are hidden in logs, and where actions are shown, beside those declared sensitive; "
        "joined by commas.",
    )

    # the server
    redis_url: str = Field(
        default="redis://localhost:6379/0",
        description="Address of the server: redis://, rediss://, unix://, or embedded:// for one of its own.",
    )
    redis_password: SecretStr | None = Field(default=None, description="Password, if it is not part of `redis_url`.")
    redis_decode_responses: bool = Field(
        default=True, description="Whether the connection that `RedisManager` hands out decodes replies to text."
    )
    redis_socket_connect_timeout: float = Field(
        default=5.0, gt=0, description="Seconds until an attempt to connect is given up."
    )
    redis_socket_keepalive: bool = Field(default=True, description="Whether TCP keep-alive is on.")
    redis_socket_keepalive_options: dict[int, int] | None = Field(
        default=None, description="Socket options for keep-alive by number, as JSON; none by default."
    )
    redis_max_connections: int = Field(
        default=50, ge=1, description="Most connections of the pool that `RedisManager` makes."
    )
    redis_health_check_interval: float = Field(
        default=30.0,
        ge=0,
        description="Seconds of silence after which that pool checks a connection before using it; 0 never.",
    )

    # the wire
    queue_prefix: str = Field(default="nooble4", description="First part of every key name.")
    service_aliases: Annotated[dict[str, str], NoDecode] = Field(
        default_factory=dict,
        description="First segment of an action type → name of the service that serves it, where the two differ.",
    )
    codec: Literal["json", "msgpack"] = Field(
        default="json", description="How sent actions are encoded; every worker reads both."
    )
    max_payload_bytes: int = Field(
        default=1_048_576, ge=1, description="Largest encoded action in bytes, sent or received."
    )
    stream_max_backlog: int = Field(
        default=0,
        ge=0,
        description="Most actions in the service's stream, waiting or at work; who sends more is refused. 0 sets no bound.",
    )
    idempotency_window_seconds: float = Field(
        default=86_400.0,
        ge=1,
        description="Seconds for which an idempotency key is remembered: sent again, it is the same action (1 day).",
    )
    durability: Literal["server", "fsync", "replicated"] = Field(
        default="server",
        description="What a send waits for: that the server has it, has it on its disk, or has it on replicas as well.",
    )
    durability_replicas: int = Field(
        default=1, ge=1, description="Replicas that have to confirm a send of the durability `replicated`."
    )
    durability_timeout_seconds: float = Field(
        default=2.0, gt=0, le=60, description="Seconds within which that is to be confirmed; otherwise `NotDurable`."
    )
    response_ttl_seconds: float = Field(default=300.0, gt=0, description="Seconds that an answer waits for its reader.")

    # the worker
    worker_concurrency: int = Field(default=1, ge=1, description="How many actions one worker runs at a time.")
    worker_read_ahead: int = Field(
        default=200, ge=1, description="Most actions that a worker takes before it can start them."
    )
    worker_block_ms: int = Field(default=2_000, ge=1, description="Milliseconds that a read waits for an action.")
    worker_lease_seconds: float = Field(
        default=30.0,
        gt=0,
        description="Seconds without a sign of life after which others take a worker's actions over.",
    )
    worker_grace_seconds: float = Field(
        default=10.0, ge=0, description="Seconds that running actions get to finish when a worker stops."
    )
    worker_max_deliveries: int = Field(
        default=3, ge=1, description="Deliveries without an end (crashes) after which an action is buried."
    )
    worker_beat_seconds: float = Field(
        default=5.0,
        ge=0,
        description="Seconds between two signs of life in the registry of workers; 0 keeps the worker out of it.",
    )
    action_timeout_seconds: float = Field(
        default=0.0, ge=0, description="Seconds that a handler may run; 0 sets no limit."
    )

    # watching
    probe_port: int | None = Field(
        default=None, ge=0, le=65535, description="Port for /livez, /readyz and /metrics; none by default."
    )
    probe_host: str = Field(
        default="127.0.0.1", description="Address at which that port listens; 0.0.0.0 in containers."
    )
    metrics: bool = Field(default=False, description="Whether metrics are counted; needs the extra `prometheus`.")
    tracing: bool = Field(default=False, description="Whether spans are made; needs the extra `otel`.")

    # failure
    retry_attempts: int = Field(default=3, ge=1, description="How often a failing action runs in all; 1 never retries.")
    retry_backoff_seconds: float = Field(
        default=1.0, ge=0, description="Seconds before the second run; doubled for each further one."
    )
    retry_max_delay_seconds: float = Field(
        default=300.0, ge=0, description="Longest pause in seconds between two runs."
    )
    dead_letter_ttl_seconds: float = Field(
        default=2_592_000.0, ge=0, description="Seconds that a dead letter is kept (30 days); 0 keeps it for ever."
    )
    dead_letter_max_length: int = Field(
        default=100_000, ge=0, description="Most dead letters of a service; 0 sets no bound."
    )

    @field_validator("service_name", "environment", "queue_prefix")
    @classmethod
    def _part_of_a_key(cls, value: str) -> str:
        if not NAME.fullmatch(value):
            raise ValueError("is part of key names: 1 to 100 letters, digits, '_', '-' or '.'")
        return value

    @field_validator("redis_url")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        if not value.startswith(("redis://", "rediss://", "unix://", "embedded://")):
            raise ValueError("begins with redis://, rediss://, unix:// or embedded://")
        return value

    @field_validator("log_level", mode="before")
    @classmethod
    def _known_level(cls, value: Any) -> str:
        level = str(value).upper()
        if level not in {"DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"}:
            raise ValueError("is one of DEBUG, INFO, WARNING, ERROR, CRITICAL")
        return level

    @field_validator("log_redact", mode="before")
    @classmethod
    def _names_from_text(cls, value: Any) -> Any:
        """Accepts JSON and the shorter `password,token`."""
        if not isinstance(value, str) or value.lstrip().startswith("["):
            return _from_json(value)
        return tuple(name.strip() for name in value.split(",") if name.strip())

    @field_validator("service_aliases", mode="before")
    @classmethod
    def _aliases_from_text(cls, value: Any) -> Any:
        """Accepts JSON and the shorter `query=query_service,mail=mail_service`."""
        if not isinstance(value, str) or value.lstrip().startswith("{"):
            return _from_json(value)
        pairs = [pair.partition("=") for pair in value.split(",") if pair.strip()]
        if any(not name.strip() or not service.strip() for name, _, service in pairs):
            raise ValueError("is JSON, or segment=service pairs joined by commas")
        return {name.strip(): service.strip() for name, _, service in pairs}

    @field_validator("service_aliases")
    @classmethod
    def _names_of_services(cls, value: dict[str, str]) -> dict[str, str]:
        for service in value.values():
            cls._part_of_a_key(service)
        return value

    def __repr_args__(self) -> Any:
        """A settings object is printed in logs and tracebacks: the password inside the URL is not."""
        for name, value in super().__repr_args__():
            yield name, masked_url(value) if name == "redis_url" and isinstance(value, str) else value

    __str__ = BaseSettings.__repr__


def masked_url(url: str) -> str:
    """*url* with its password replaced by `***`; safe for logs and messages, also when it is no proper URL."""
    return _SECRET.sub(r"\1\2***", url)


def _from_json(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    import json

    try:
        return json.loads(value)
    except ValueError as error:
        raise ValueError(f"is not JSON: {error}") from None
