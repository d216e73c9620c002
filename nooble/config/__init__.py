"""Settings."""

from nooble.config.common_app_settings import CommonAppSettings

__all__ = ["CommonAppSettings"]
