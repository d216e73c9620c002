"""What can be wrong with a test, told to who writes it: what happened, where, and the mend."""

from __future__ import annotations

from nooble.errors import ConfigurationFault, NoobleError


class HarnessMistake(ConfigurationFault):
    """The harness is used in a way that cannot work."""

    error_code = "HARNESS_MISTAKE"


class Unstubbed(NoobleError):
    """A handler or a test calls an action of a service that is not in the harness, and no stub answers it."""

    error_code = "UNSTUBBED"
    retryable = False


class UnusedStub(AssertionError):
    """A stub answers an action that nobody has sent."""


class StillBusy(AssertionError):
    """The services did not come to rest in time; the message says what they are at."""
