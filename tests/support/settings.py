"""Settings for tests: of the environment `test`, nothing of the developer's in them, short where a test waits."""

from __future__ import annotations

from typing import Any

from nooble.config import CommonAppSettings

NOBODY = "redis://127.0.0.1:1/0"
"""Where no server listens: for tests that must not need one."""

SHORT: dict[str, Any] = {
    "worker_block_ms": 100,
    "worker_lease_seconds": 2.0,
    "worker_grace_seconds": 2.0,
    "retry_backoff_seconds": 0.01,
    "retry_max_delay_seconds": 0.1,
    "response_ttl_seconds": 30.0,
}


def make_settings(service_name: str = "demo", **values: Any) -> CommonAppSettings:
    """Settings of *service_name*; every default of this module can be overridden by keyword."""
    defaults = {"environment": "test", "redis_url": NOBODY, "_env_file": None} | SHORT
    return CommonAppSettings(service_name=service_name, **(defaults | values))
