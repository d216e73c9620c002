"""On which kinds of server a test runs that is too long to run on every one each time."""

from __future__ import annotations

import pytest

from tests.support.servers import KINDS, find_binary

_MISSING = {
    kind: pytest.mark.skipif(not find_binary(kind), reason=f"this machine has no {kind} server") for kind in KINDS
}
slowly_on_each = pytest.mark.parametrize(
    "server_kind", [pytest.param(kind, marks=[pytest.mark.slow, _MISSING[kind]]) for kind in KINDS]
)
"""Runs a test on every kind of server, all of them with the slow ones and none at night."""
here_and_slowly_there = pytest.mark.parametrize(
    "server_kind",
    [
        KINDS[0],
        *(
            pytest.param(
                kind,
                marks=[
                    pytest.mark.slow,
                    _MISSING[kind],
                ],
            )
            for kind in KINDS[1:]
        ),
    ],
)
"""Runs a test on the first kind of server always, and on the others where there is time for slow rows."""
