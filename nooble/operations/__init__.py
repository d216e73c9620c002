"""What people do to a running system: looked at by bounded reads, changed by atomic steps."""

from nooble.operations.adopt import Adoption, adopt

__all__ = ["Adoption", "adopt"]
