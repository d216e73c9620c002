"""The form of a dead letter: what is kept of an action that could not be done, as fields of a stream entry."""

from __future__ import annotations

import hashlib
import traceback

from nooble.errors import NoobleError, code_of
from nooble.wire.delivery import DATA, Delivery

_MOST_TEXT = 4_000
_HEAD = 1_024


def dead_letter(
    delivery: Delivery, error: BaseException, *, worker: str, attempts: int, max_payload_bytes: int
) -> list[str | bytes]:
    """The fields that keep *delivery*, which ended with *error*.

    Its bytes are kept as they came. Of one that is larger than *max_payload_bytes* only size, SHA-256 and the first
    kilobyte are kept.

    Args:
        delivery: what could not be done.
        error: why.
        worker: name of the consumer that gave up.
        attempts: how often its handler has run.
        max_payload_bytes: largest size that is kept whole.
    """
    fields: list[str | bytes] = [
        *("reason", code_of(error)),
        *("error", _cut(f"{type(error).__name__}: {error}")),
        *("traceback", _traceback(error)),
        *("attempts", str(attempts)),
        *("deliveries", str(delivery.deliveries)),
        *("first_id", delivery.first_id),
        *("entry_id", delivery.entry_id),
        *("worker", worker),
    ]
    data = delivery.data
    if data is None:
        return fields
    if len(data) <= max_payload_bytes:
        return [*fields, DATA, data]
    return [
        *fields,
        *("data_size", str(len(data))),
        *("data_sha256", hashlib.sha256(data).hexdigest()),
        *("data_head", data[:_HEAD]),
    ]


def _traceback(error: BaseException) -> str:
    """Where a handler failed; errors that nooble itself raises about an action say all in their message."""
    if isinstance(error, NoobleError) and not error.retryable:
        return ""
    return _cut("".join(traceback.format_exception(error)), from_end=True)


def _cut(text: str, from_end: bool = False) -> str:
    safe = text.encode("utf-8", "replace").decode()
    return safe[-_MOST_TEXT:] if from_end else safe[:_MOST_TEXT]
