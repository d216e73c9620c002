"""The worker that most services need: the standard's typical implementation, ready-made."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from nooble.config import CommonAppSettings
from nooble.errors import ConfigurationFault
from nooble.models.actions import DomainAction
from nooble.routing.middleware import Call
from nooble.workers.base_worker import BaseWorker

if TYPE_CHECKING:
    from redis.asyncio import Redis


class ServiceWorker(BaseWorker):
    """A `BaseWorker` that hands every action to its service's `process_action` and adds nothing.

    Arguments and attributes as for `BaseWorker`.

    Raises:
        ConfigurationFault: there is no service, or it cannot process actions.
    """

    def __init__(
        self,
        app_settings: CommonAppSettings,
        async_redis_conn: Redis,
        service_instance: Any,
        consumer_id_suffix: str | None = None,
    ) -> None:
        super().__init__(app_settings, async_redis_conn, service_instance, consumer_id_suffix)
        if not callable(getattr(self.service, "process_action", None)):
            raise ConfigurationFault(
                f"{type(self).__name__} got {self.service!r} as service_instance, which has no process_action; "
                "pass a BaseService, or derive from BaseWorker and write _handle_action"
            )

    def _handle_action(self, action: DomainAction) -> Coroutine[Any, Any, Any]:
        """Hand *action* to the service."""
        handling: Coroutine[Any, Any, Any] = self.service.process_action(action)
        return handling

    def _way_in(self) -> Call:
        """The service's handlers themselves, if nobody has put anything of their own before them."""
        is_ours = type(self)._handle_action is ServiceWorker._handle_action and "_handle_action" not in vars(self)
        if self.middleware or not is_ours or not hasattr(type(self.service), "straight_call"):
            return super()._way_in()  # a middleware may pass on another action, and a proxy may stand for a service
        straight: Call | None = self.service.straight_call
        return straight or super()._way_in()
