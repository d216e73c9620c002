"""The platform's import path for `init_logging`."""

from nooble.observability.logging import init_logging

__all__ = ["init_logging"]
