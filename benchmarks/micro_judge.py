"""What judging costs: from an error to an outcome. Paid only by actions that fail.

python -m benchmarks.micro_judge
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmarks.micro import CALLS, ROUNDS, show
from nooble.errors import ActionExpired, MalformedAction
from nooble.models.outcomes import Reply
from nooble.retry import Retry
from nooble.workers.judgement import NO_TERMS, Terms, judge


def cases() -> dict[str, Callable[[], Any]]:
    """What is timed."""
    terms = Terms(retry=Retry(attempts=3))
    reply = Reply("queue", b"{}")
    broken, late, unreadable = ValueError("x"), ActionExpired("late"), MalformedAction("no")
    return {
        "retried": lambda: judge(broken, attempt=1, terms=terms),
        "buried after its last run": lambda: judge(broken, attempt=3, terms=terms),
        "told to a waiting caller": lambda: judge(broken, attempt=1, terms=terms, waits=True, tell=lambda: reply),
        "expired": lambda: judge(late, attempt=0, terms=terms, waits=True, tell=lambda: reply),
        "unreadable": lambda: judge(unreadable, attempt=0, terms=NO_TERMS),
    }


def main(rounds: int = ROUNDS, calls: int = CALLS) -> None:
    """Time and print."""
    show(cases(), rounds, calls)


if __name__ == "__main__":
    main()
