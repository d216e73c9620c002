"""What an action may be called: dotted text whose first segment names the service. The one place that says so."""

from __future__ import annotations

import re

MAX_ACTION_TYPE = 200
"""Most characters of an action type."""

_ACTION_TYPE = re.compile(r"[a-z0-9_-]+(\.[a-z0-9_-]+)+")


def is_action_type(text: str) -> bool:
    """Whether *text* is dotted, of two segments or more, in lower case: `[a-z0-9_-]`."""
    return len(text) <= MAX_ACTION_TYPE and _ACTION_TYPE.fullmatch(text) is not None
