"""What settlement costs before anything is written: from an outcome to its writes.

python -m benchmarks.micro_settlement
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from benchmarks.entries import entry
from benchmarks.micro import CALLS, ROUNDS, show
from nooble.models.outcomes import Buried, Completed, Post, Released, Reply, Retried
from nooble.wire.delivery import Delivery
from nooble.workers.settlement import Settlement


def cases() -> dict[str, Callable[[], Any]]:
    """What is timed."""
    names: Any = SimpleNamespace(stream="s", retry_set="r", dead_letters="d", consumer="c")
    nothing: Any = None
    settlement = Settlement(
        stream=names, flight=nothing, patience=nothing, execution=nothing, reports=nothing, max_payload_bytes=1_048_576
    )
    delivery = Delivery(b"1700000000000-0", entry(1, answered=True), 1, 0)
    error = ValueError("x")
    outcomes = {
        "completed": Completed(),
        "completed with an answer": Completed(Reply("queue", b"{}")),
        "completed with an action sent": Completed(posts=(Post("stream", b"{}"),)),
        "retried": Retried(error, 1.0, 1),
        "buried": Buried(error, 3),
        "released": Released(),
    }
    return {name: lambda outcome=outcome: settlement.ending(delivery, outcome) for name, outcome in outcomes.items()}


def main(rounds: int = ROUNDS, calls: int = CALLS) -> None:
    """Time and print."""
    show(cases(), rounds, calls)


if __name__ == "__main__":
    main()
