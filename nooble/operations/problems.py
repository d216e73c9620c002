"""What of a reading a person should look at, and what to do about it. Pure: a reading goes in, sentences come out."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from nooble.operations.reading import MOST_LETTERS, Problem, Server, Service
from nooble.operations.server import ServerFacts, risks_of

STUCK_LEASES = 2
"""Leases after which somebody should have taken over what is pending."""
_NEAR = 0.8
"""Share of the backlog's bound from which it is nearly full."""
_MEMORY_NEAR, _MEMORY_FULL = 0.9, 0.98
_OVERDUE_MS = 10_000
"""Milliseconds after which a retry that is due should have been moved."""
_SHOWN = 3


def problems_of(
    service: Service, complaints: Sequence[tuple[str, str]], *, at_ms: int, lease_ms: int, max_deliveries: int
) -> tuple[Problem, ...]:
    """The problems of a service, grave ones first.

    Args:
        service: what was read of it.
        complaints: why a part could not be read: code and words.
        at_ms: the server's clock.
        lease_ms: the lease of workers that do not tell theirs.
        max_deliveries: deliveries without an end after which an action is buried.
    """
    lease_ms = max([lease_ms, *(worker.lease_ms for worker in service.workers)])
    return graver_first(
        [
            *_unread(service, complaints),
            *_nobody(service, at_ms),
            *_pending(service, lease_ms, max_deliveries),
            *_retries(service, at_ms),
            *_backlog(service),
            *_dead(service),
            *_vanished(service),
        ]
    )


def problems_of_server(server: Server, facts: ServerFacts | None) -> tuple[Problem, ...]:
    """The problems of the server: what can be lost by its settings, and how full it is."""
    found = [
        Problem(
            code=risk.what,
            text=risk.found,
            mend=f"{risk.mend}; nooble check looks at it again",
            grave=risk.grave,
        )
        for risk in (risks_of(facts) if facts is not None else ())
    ]
    used, limit = server.memory_used, server.memory_limit
    if used is not None and limit and used >= limit * _MEMORY_NEAR:
        found.append(
            Problem(
                code="memory",
                text=f"{used * 100 // limit} % of its memory is used ({used} of {limit} bytes)",
                mend="raise maxmemory, or let go of something: nooble status shows what is long, nooble purge deletes it",
                grave=used >= limit * _MEMORY_FULL,
            )
        )
    if server.unread:
        found.append(
            Problem(
                code="unread",
                text=f"the server does not tell everything: {server.unread}",
                mend="ACL SETUSER grants INFO and CONFIG|GET; without them nooble status leaves out what they tell",
            )
        )
    return graver_first(found)


def graver_first(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """*problems*, the grave ones first, otherwise as they are."""
    return tuple(sorted(problems, key=lambda problem: not problem.grave))


# ── one question each ──
def _unread(service: Service, complaints: Sequence[tuple[str, str]]) -> Iterable[Problem]:
    mends = {
        "wrong_type": "rename or delete that key, or set QUEUE_PREFIX to another one; nooble status shows when it is well",
        "crowded": "nooble adopt deals with what other programs have left; XGROUP DELCONSUMER removes dead consumers",
    }
    other = "ACL SETUSER grants what is missing; nooble status shows what else cannot be read"
    for code, words in complaints:
        yield _problem(service, code, words, mends.get(code, other), grave=code == "wrong_type")


def _nobody(service: Service, at_ms: int) -> Iterable[Problem]:
    """Nobody does the work, or whoever is there takes nothing."""
    stream = service.stream
    due = service.retries.next_due_ms
    waits = [
        f"{_many(stream.length, 'action waits', 'actions wait')}" if stream.length else "",
        "retries are due" if due is not None and due <= at_ms else "",
    ]
    what = " and ".join(filter(None, waits))
    if not what:
        return
    run = f"nooble run MODULE starts a worker of {service.name}"
    if not is_served(service):
        never = "" if stream.has_group else ", and it never had one"
        yield _problem(service, "no_worker", f"{what}, but no worker is there{never}", run, grave=True)
    elif service.workers and all(worker.state == "quiet" for worker in service.workers):
        mend = f"nooble workers resume {_word(service)} --all, or {run}"
        yield _problem(service, "all_quiet", f"{what}, but all of its workers are quiet", mend, grave=True)


def _pending(service: Service, lease_ms: int, max_deliveries: int) -> Iterable[Problem]:
    stream = service.stream
    ours = {consumer.name for consumer in stream.consumers if consumer.ours}
    strangers = [one for one in stream.consumers if not one.ours and not one.alive and one.pending]
    lost = [
        one
        for one in stream.consumers
        if one.ours and not one.alive and one.pending and one.idle_ms > lease_ms * STUCK_LEASES
    ]
    if lost and is_served(service):  # otherwise nobody is there to take them over, and that is told
        text = (
            f"{sum(one.pending for one in lost)} entries are pending with workers that have given no sign of life for "
            f"{_seconds(max(one.idle_ms for one in lost))} ({_some([one.name for one in lost])}), longer than the lease of "
            f"{_seconds(lease_ms)}, and are not taken over"
        )
        mend = f"nooble workers list shows who could take them; nooble status {_word(service)} shows whether they get fewer"
        yield _problem(service, "stuck_pending", text, mend, grave=True)
    if strangers:
        count = sum(one.pending for one in strangers)
        names = _some([one.name for one in strangers])
        text = f"{count} entries were left pending by consumers of other programs ({names}): they do not run again"
        mend = f"nooble adopt {_word(service)} buries them, or runs them again"
        yield _problem(service, "foreign_pending", text, mend)
    limit = max(2, max_deliveries - 1)
    often = [row for row in stream.pendings if row.deliveries >= limit and row.consumer in ours]
    if often:
        text = (
            f"{_ids(row.entry_id for row in often)} delivered up to {max(row.deliveries for row in often)} times without an "
            f"end: it may be what ends its workers; after {max_deliveries} times it is buried"
        )
        yield _problem(service, "delivered_often", text, f"nooble inspect {often[0].entry_id} shows what it is")


def _retries(service: Service, at_ms: int) -> Iterable[Problem]:
    due = service.retries.next_due_ms
    if due is not None and at_ms - due > _OVERDUE_MS and is_served(service):
        text = f"a retry is due since {_seconds(at_ms - due)}, and no worker puts it back into the stream"
        mend = f"nooble retry list {_word(service)} shows it; the logs of its workers say what keeps them from it"
        yield _problem(service, "retries_overdue", text, mend, grave=True)


def _backlog(service: Service) -> Iterable[Problem]:
    length, bound = service.stream.length, service.stream.bound
    if bound and length >= bound * _NEAR:
        is_full = length >= bound
        text = f"{length} of at most {bound} actions are in the stream" + (
            "; who sends more is refused" if is_full else ""
        )
        mend = "nooble run -w N keeps more workers at work; or raise STREAM_MAX_BACKLOG"
        yield _problem(service, "backlog_full" if is_full else "backlog_near", text, mend, grave=is_full)


def _dead(service: Service) -> Iterable[Problem]:
    dead = service.dead
    if dead.recent:
        most = next(iter(dead.by_reason), "")
        recent = _many(dead.recent, "dead letter", "dead letters")
        if dead.recent == MOST_LETTERS:  # no more were looked at
            recent = recent.replace(" ", " or more ", 1)
        text = f"{recent} of the last ten minutes, {dead.count} in all; most often: {most or 'unknown'}"
        mend = f"nooble dead list {_word(service)} shows them, nooble dead replay sends them again when it is mended"
        yield _problem(service, "dead_letters", text, mend)


def _vanished(service: Service) -> Iterable[Problem]:
    if service.vanished:
        text = f"{len(service.vanished)} workers have ended without a word of late: {_some(service.vanished)}"
        mend = (
            "their logs, or the system's, say why: killed, out of memory, frozen; nooble workers list shows the others"
        )
        yield _problem(service, "worker_vanished", text, mend)


# ── words ──
def _word(service: Service) -> str:
    """Its name in a command that somebody may copy; anybody may have given it."""
    return shlex.quote(service.name)


def is_served(service: Service) -> bool:
    """Whether anybody is there who does its actions, old platform workers included."""
    return bool(service.workers) or any(consumer.alive for consumer in service.stream.consumers)


def _problem(service: Service, code: str, text: str, mend: str, *, grave: bool = False) -> Problem:
    return Problem(code=code, service=service.name, text=text, mend=mend, grave=grave)


def _many(count: int, one: str, several: str) -> str:
    return f"{count} {one if count == 1 else several}"


def _ids(ids: Iterable[str]) -> str:
    every = list(ids)
    return f"{_some(every)} {'is' if len(every) == 1 else 'are'}"


def _some(names: Sequence[str]) -> str:
    more = len(names) - _SHOWN
    return ", ".join(name[:100] for name in names[:_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _seconds(milliseconds: int) -> str:
    return f"{milliseconds / 1000:.1f} s" if milliseconds < 60_000 else f"{milliseconds // 60_000} min"
