"""Workers: they take actions from streams and see to their end."""

from nooble.workers.base_worker import BaseWorker
from nooble.workers.service_worker import ServiceWorker

__all__ = ["BaseWorker", "ServiceWorker"]
