"""Reaching others: the connection of a service, and clients of other services."""

from nooble.clients.base_redis_client import BaseRedisClient
from nooble.clients.redis_manager import RedisManager
from nooble.clients.service_client import ServiceClient
from nooble.wire.keys import QueueManager

__all__ = ["BaseRedisClient", "QueueManager", "RedisManager", "ServiceClient"]
