"""The platform's handlers: parts of a service that hold its logic."""

from nooble.handlers.base_handler import BaseHandler

__all__ = ["BaseHandler"]
