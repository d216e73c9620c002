"""What the codec costs: an action decoded, an answer encoded, an action encoded.

python -m benchmarks.micro_codec
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.entries import entry
from benchmarks.micro import CALLS, ROUNDS, show
from nooble.wire.codec import JSON, MSGPACK, decode_action, encode_action, encode_success


def cases() -> dict[str, Callable[[], Any]]:
    """What is timed."""
    data = entry(1, answered=True)
    action = decode_action(data)
    packed = encode_action(action, MSGPACK)
    result = {"ok": True, "id": 1}
    return {
        "decode an action, JSON": lambda: decode_action(data),
        "decode an action, MessagePack": lambda: decode_action(packed),
        "encode an answer, JSON": lambda: encode_success(action, result, JSON),
        "encode an answer, MessagePack": lambda: encode_success(action, result, MSGPACK),
        "encode an action, JSON": lambda: encode_action(action, JSON),
        "encode an action, MessagePack": lambda: encode_action(action, MSGPACK),
    }


def main(rounds: int = ROUNDS, calls: int = CALLS) -> None:
    """Time and print."""
    show(cases(), rounds, calls)


if __name__ == "__main__":
    main()
