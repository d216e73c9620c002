"""The worker that most services need: the standard's typical implementation, ready-made."""

from __future__ import annotations

from typing import Any

from nooble.models.actions import DomainAction
from nooble.workers.base_worker import BaseWorker


class ServiceWorker(BaseWorker):
    """A `BaseWorker` that hands every action to its service's `process_action` and adds nothing."""

    async def _handle_action(self, action: DomainAction) -> Any:
        """Hand *action* to the service."""
        return await self.service.process_action(action)
