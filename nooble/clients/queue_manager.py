"""The standard's import path for `QueueManager`."""

from nooble.wire.keys import QueueManager

__all__ = ["QueueManager"]
