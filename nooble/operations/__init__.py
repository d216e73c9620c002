"""What people do to a running system: looked at by bounded reads, changed by atomic steps."""

from nooble.operations.adopt import Adoption, adopt
from nooble.operations.dead_letters import DeadLetters
from nooble.operations.which import Which
from nooble.wire.dead_letters import DeadLetter

__all__ = ["Adoption", "DeadLetter", "DeadLetters", "Which", "adopt"]
