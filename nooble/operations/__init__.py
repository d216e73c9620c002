"""What people do to a running system: looked at by bounded reads, changed by atomic steps."""

from nooble.operations.adopt import Adoption, adopt
from nooble.operations.dead_letters import DeadLetters
from nooble.operations.message import Message
from nooble.operations.messages import MessagePage, Messages
from nooble.operations.purge import Purged, purge
from nooble.operations.retries import RetriesDone, RetrySet
from nooble.operations.system import System
from nooble.operations.which import Which
from nooble.wire.dead_letters import DeadLetter

__all__ = [
    "Adoption",
    "DeadLetter",
    "DeadLetters",
    "Message",
    "MessagePage",
    "Messages",
    "Purged",
    "RetriesDone",
    "RetrySet",
    "System",
    "Which",
    "adopt",
    "purge",
]
