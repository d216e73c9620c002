"""Protections that can be switched off in the worker process of a test, one by one. A test that cannot see the fault which a
protection guards against would pass without it; with these, each is seen to fail.

The product knows nothing of them: its methods are replaced, and single lines of its scripts. A line that is not there any
more is an error, so that no control goes on working on what it does not touch."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Any

from nooble.wire import redis_stream
from nooble.wire.delivery import Delivery
from nooble.wire.faults import ERROR_REPLIES, fault
from nooble.wire.redis_stream import OWN, POST, RETRY, ActionStream, Committed, Ending
from nooble.wire.scripts import COMMIT, RENEW, Script
from nooble.workers import consumer, in_flight, settlement
from nooble.workers.engine import Engine
from nooble.workers.lease import Lease
from tests.chaos.points import Trap


def switch_off(names: Iterable[str], trap: Trap) -> None:
    """Switch off the protections with these *names*, here and for good. *trap* can spring in what takes their place."""
    for name in names:
        CONTROLS[name](trap)


def _rewritten(script: Script, *changes: tuple[str, str]) -> None:
    """Replace single passages of *script*."""
    for old, new in changes:
        assert script.text.count(old) == 1, f"{script.name}.lua does not have this once any more: {old}"
        script.text = script.text.replace(old, new)
    script.bare = script.text.partition("\n")[2]
    script.digest, script.bare_digest = (
        hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest() for text in (script.text, script.bare)
    )


# ── the fence ──


def _commit_unfenced(_: Trap) -> None:
    """Whoever has an outcome writes it, whoever has the entry by now."""
    _rewritten(COMMIT, ("if count and count == tonumber(ARGV[a + 1]) then", "if true then"))


def _renew_unfenced(_: Trap) -> None:
    """A bare XCLAIM: it takes back what others have taken over."""
    _rewritten(RENEW, ("if count == tonumber(ARGV[a + 1]) then mine[#mine + 1] = id end", "mine[#mine + 1] = id"))


def _no_renewal(_: Trap) -> None:
    """What is held grows old."""

    async def renew(lease: Lease) -> None:
        server_ms, _ = await lease._stream.renew([])
        lease._clock.set(server_ms)

    Lease.renew = renew  # type: ignore[method-assign]


# ── one step ──


async def _in_order(stream: ActionStream, commands: list[tuple[Any, ...]]) -> None:
    for reply in await stream.work.pipeline(commands):
        if isinstance(reply, ERROR_REPLIES):
            raise fault(reply)


def _outputs_of(stream: ActionStream, ending: Ending) -> list[tuple[Any, ...]]:
    commands: list[tuple[Any, ...]] = []
    for write in ending.writes:
        if write.kind == RETRY:
            commands.append((b"ZADD", write.key, 0, write.arguments[-1]))
        else:
            assert write.kind in {OWN, POST}, f"no scenario here has a write of the kind {write.kind!r}"
            commands.append((b"XADD", write.key, b"*", *write.arguments))
    if ending.reply is not None:
        commands.append((b"LPUSH", ending.reply.queue, ending.reply.value))
        commands.append((b"PEXPIRE", ending.reply.queue, 30_000))
    return commands


def _commit_in_two_steps(trap: Trap, *, acknowledged_first: bool) -> None:
    async def commit(stream: ActionStream, endings: list[Ending], *_: Any, **__: Any) -> Committed:
        outputs = [command for ending in endings for command in _outputs_of(stream, ending)]
        ids = [ending.delivery.entry_id for ending in endings]
        end = [(b"XACK", stream.stream, stream.group, *ids), (b"XDEL", stream.stream, *ids)]
        first, second = (end, outputs) if acknowledged_first else (outputs, end)
        await _in_order(stream, first)
        trap.reached("commit:between")
        await _in_order(stream, second)
        return Committed(len(endings), [], [], [])

    ActionStream.commit = commit  # type: ignore[assignment,method-assign]


def _outputs_before_the_end(trap: Trap) -> None:
    """First what an action has to say, then its acknowledgement."""
    _commit_in_two_steps(trap, acknowledged_first=False)


def _outputs_after_the_end(trap: Trap) -> None:
    """First the acknowledgement, then what the action has to say."""
    _commit_in_two_steps(trap, acknowledged_first=True)


def _retries_in_two_steps(trap: Trap) -> None:
    """Retries are added to the stream first, and then removed from the set."""

    async def move(stream: ActionStream, *_: Any, **__: Any) -> tuple[int, float | None]:
        members = await stream.work.execute(b"ZRANGE", stream.retry_set, 0, 0)
        for member in members:
            facts, _, data = member.partition(b"\n")
            first_id, *rest = facts.split(b" ")
            await _in_order(stream, [(b"XADD", stream.stream, b"*", b"data", data, b"first_id", first_id, *rest)])
            trap.reached("move_retries:between")
            await _in_order(stream, [(b"ZREM", stream.retry_set, member)])
        return len(members), 0.02

    ActionStream.move_retries = move  # type: ignore[assignment,method-assign]


# ── the rest ──


def _retries_without_their_first_id(_: Trap) -> None:
    """Two retries of equal bytes are one member of the set."""
    made: Callable[..., bytes] = redis_stream.retry_member

    def member(delivery: Delivery, *args: Any, **options: Any) -> bytes:
        _, rest = made(delivery, *args, **options).split(b" ", 1)
        return b"1-1 " + rest

    settlement.retry_member = member  # type: ignore[attr-defined]


def _no_isolation(_: Trap) -> None:
    """What was delivered before without an end runs beside others."""

    async def at_once(_: consumer.Consumer) -> None:
        return

    in_flight.is_suspect = lambda _: False
    consumer.Consumer._quiet = at_once  # type: ignore[method-assign]


def _no_second_look(_: Trap) -> None:
    """What a read whose reply was lost has been given is not looked up."""

    async def nothing(*_: Any) -> list[Delivery]:
        return []

    ActionStream.unseen = nothing  # type: ignore[assignment,method-assign]


def _nothing_is_handed_back(_: Trap) -> None:
    """A worker that stops keeps what it had read ahead."""
    Engine._release = lambda *_: None  # type: ignore[assignment,method-assign]


CONTROLS: dict[str, Callable[[Trap], None]] = {
    "the fence of the commit": _commit_unfenced,
    "the fence of the renewal": _renew_unfenced,
    "the renewal": _no_renewal,
    "one step, outputs first": _outputs_before_the_end,
    "one step, acknowledged first": _outputs_after_the_end,
    "one step for retries": _retries_in_two_steps,
    "first ids in retries": _retries_without_their_first_id,
    "isolation": _no_isolation,
    "the second look": _no_second_look,
    "handing back": _nothing_is_handed_back,
}
"""What can be switched off, by name."""
