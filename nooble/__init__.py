"""nooble: typed actions on Redis Streams."""

from nooble._version import __version__

__all__ = ["__version__"]
