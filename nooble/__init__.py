"""nooble: typed actions on Redis Streams. The names that most services need; nothing inside the package imports this face."""

from nooble._version import __version__
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
from nooble.models import ActionContext, DomainAction, DomainActionResponse, ErrorDetail, current_context
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
    "ServerUnavailable",
    "ServiceClient",
    "ServiceWorker",
    "UnknownAction",
    "__version__",
    "action",
    "current_context",
]
