"""Nothing of nooble's stays in a server for ever, but for the kinds of key named here."""

from __future__ import annotations

import re

import redis

PERMANENT_KINDS = ("streams", "retries", "dead_letters", "workers", "limits", "audit")
"""Kinds of key (fourth part of a name) that need no lifetime: each service has a fixed, small number of them."""

_PERMANENT = re.compile(rf"[^:]+:[^:]+:[^:]+:({'|'.join(PERMANENT_KINDS)}):.+")


def immortal_keys(client: redis.Redis) -> list[str]:
    """Names of the keys that have no lifetime and need one, as the decoding *client* sees them."""
    names = list(client.scan_iter(count=1000))
    with client.pipeline(transaction=False) as lifetimes:
        for name in names:
            lifetimes.pttl(name)
        without = [name for name, left in zip(names, lifetimes.execute(), strict=True) if left == -1]
    return sorted(name for name in without if not _PERMANENT.fullmatch(name))
