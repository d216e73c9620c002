"""The platform's base of handlers: settings, a connection and a logger, for logic that a service keeps in parts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nooble.config import CommonAppSettings
from nooble.logger import get_logger

if TYPE_CHECKING:
    from redis.asyncio import Redis


class BaseHandler:
    """A part of a service.

    Args:
        app_settings: the settings of the service.
        direct_redis_conn: a connection to Redis, if it needs one.
    """

    def __init__(self, app_settings: CommonAppSettings, direct_redis_conn: Redis | None = None) -> None:
        self.app_settings = app_settings
        self.direct_redis_conn = direct_redis_conn
        self._logger = get_logger(
            app_settings.log_level, service=app_settings.service_name, component=type(self).__name__
        )
