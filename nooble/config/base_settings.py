"""The platform's import path for `CommonAppSettings`."""

from nooble.config.common_app_settings import CommonAppSettings

__all__ = ["CommonAppSettings"]
