"""Services."""

from nooble.services.base_service import BaseService

__all__ = ["BaseService"]
