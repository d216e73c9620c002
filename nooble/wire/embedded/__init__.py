"""A real server without a setup: started by the process that needs one, in a private directory, and ended with it.

The server belongs to the process that started it. Others of the same user find it and use it; they never end it.
"""

from nooble.wire.embedded.choice import Choice, choose_server
from nooble.wire.embedded.live import LiveServer
from nooble.wire.embedded.server import EmbeddedServer, find
from nooble.wire.embedded.url import is_embedded, resolve_url

__all__ = ["Choice", "EmbeddedServer", "LiveServer", "choose_server", "find", "is_embedded", "resolve_url"]
