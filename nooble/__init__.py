"""nooble: typed actions on Redis Streams. The names that most services need; nothing inside the package imports this face.

A name is imported when it is first asked for, so that the command line and other small programs start at once."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from nooble._version import __version__

if TYPE_CHECKING:
    from nooble.clients import BaseRedisClient, QueueManager, RedisManager
    from nooble.clients.service_client import ServiceClient
    from nooble.config import CommonAppSettings
    from nooble.errors import (
        ActionExpired,
        ActionTimeout,
        AppValidationError,
        CallTimeout,
        ExternalServiceError,
        InvalidActionError,
        InvalidPayload,
        InvalidResponse,
        NoobleError,
        Reject,
        RemoteError,
        RetryLater,
        ServerUnavailable,
        UnknownAction,
    )
    from nooble.models import (
        ActionContext,
        DomainAction,
        DomainActionResponse,
        ErrorDetail,
        Sensitive,
        current_context,
    )
    from nooble.retry import Retry
    from nooble.routing import ActionRouter, Middleware, Route, action
    from nooble.services import BaseService
    from nooble.workers import BaseWorker, ServiceWorker

__all__ = [
    "ActionContext",
    "ActionExpired",
    "ActionRouter",
    "ActionTimeout",
    "AppValidationError",
    "BaseRedisClient",
    "BaseService",
    "BaseWorker",
    "CallTimeout",
    "CommonAppSettings",
    "DomainAction",
    "DomainActionResponse",
    "ErrorDetail",
    "ExternalServiceError",
    "InvalidActionError",
    "InvalidPayload",
    "InvalidResponse",
    "Middleware",
    "NoobleError",
    "QueueManager",
    "RedisManager",
    "Reject",
    "RemoteError",
    "Retry",
    "RetryLater",
    "Route",
    "Sensitive",
    "ServerUnavailable",
    "ServiceClient",
    "ServiceWorker",
    "UnknownAction",
    "__version__",
    "action",
    "current_context",
]

_ROOMS = ("errors", "retry", "config", "models", "routing", "clients", "clients.service_client", "services", "workers")
"""Where the names are looked for, the quickest to import first."""


def __getattr__(name: str) -> Any:
    if name in __all__:
        for room in _ROOMS:
            module = import_module(f"nooble.{room}")
            if hasattr(module, name):
                return globals().setdefault(name, getattr(module, name))
    raise AttributeError(f"module 'nooble' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
