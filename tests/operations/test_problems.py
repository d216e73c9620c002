"""What a person should look at, and what not: one row for each problem, and a system that is well has none."""

from __future__ import annotations

import shlex
from typing import Any

import pytest

from nooble.operations.problems import graver_first, is_served, problems_of, problems_of_server
from nooble.operations.reading import (
    Consumer,
    Dead,
    Pending,
    Problem,
    Retries,
    Server,
    Service,
    Stream,
    Worker,
)
from nooble.operations.server import ServerFacts

NOW, LEASE = 1_700_000_000_000, 30_000
ALIVE = Worker(service="demo", consumer="demo-worker-a-nb0123456789", lease_ms=LEASE)
NO_RETRIES, NO_DEAD = Retries(), Dead()


def service(
    *,
    stream: dict[str, Any] | None = None,
    retries: Retries = NO_RETRIES,
    dead: Dead = NO_DEAD,
    workers: tuple[Worker, ...] = (ALIVE,),
    vanished: tuple[str, ...] = (),
    name: str = "demo",
) -> Service:
    """A service that is well, but for what is said."""
    key = f"nooble4:test:{name}:streams:main"
    return Service(
        name=name,
        stream=Stream(key=key, **(stream or {})),
        retries=retries,
        dead=dead,
        workers=workers,
        vanished=vanished,
    )


def judged(it: Service, *complaints: tuple[str, str]) -> tuple[Problem, ...]:
    return problems_of(it, complaints, at_ms=NOW, lease_ms=LEASE, max_deliveries=3)


def consumer(name: str = "old-1", *, ours: bool = False, alive: bool = False, pending: int = 3, idle_ms: int = 90_000):
    return Consumer(name=name, ours=ours, alive=alive, pending=pending, idle_ms=idle_ms)


def pending(deliveries: int = 1, holder: str = ALIVE.consumer) -> Pending:
    return Pending(entry_id="1-0", consumer=holder, idle_ms=10, deliveries=deliveries)


LOST = consumer("demo-worker-b-nb0123456789", ours=True)
OWN = consumer(ALIVE.consumer, ours=True, alive=True, pending=1, idle_ms=10)

TOLD: dict[str, tuple[Service, bool, str, str]] = {
    "no_worker": (service(stream={"length": 3}, workers=()), True, "3 actions", "nooble run"),
    "no_worker, and never had one": (
        service(stream={"length": 1, "has_group": False}, workers=()),
        True,
        "never had one",
        "nooble run",
    ),
    "no_worker, for retries": (
        service(retries=Retries(count=1, next_due_ms=NOW - 1), workers=()),
        True,
        "retries are due",
        "nooble run",
    ),
    "all_quiet": (
        service(stream={"length": 1}, workers=(Worker(service="demo", consumer="x", state="quiet"),)),
        True,
        "quiet",
        "nooble workers resume demo",
    ),
    "stuck_pending": (
        service(stream={"length": 3, "pending": 3, "consumers": (OWN, LOST)}),
        True,
        "3 entries",
        "nooble workers list",
    ),
    "foreign_pending": (
        service(stream={"length": 3, "pending": 3, "consumers": (consumer(), OWN)}),
        False,
        "old-1",
        "nooble adopt demo",
    ),
    "delivered_often": (
        service(stream={"length": 1, "pending": 1, "consumers": (OWN,), "pendings": (pending(2),)}),
        False,
        "2 times",
        "nooble inspect 1-0",
    ),
    "backlog_near": (service(stream={"length": 80, "bound": 100}), False, "80 of at most 100", "nooble run -w"),
    "backlog_full": (service(stream={"length": 100, "bound": 100}), True, "is refused", "nooble run -w"),
    "dead_letters": (
        service(dead=Dead(count=9, recent=2, by_reason={"HANDLER_ERROR": 8, "X": 1})),
        False,
        "most often: HANDLER_ERROR",
        "nooble dead list demo",
    ),
    "retries_overdue": (
        service(retries=Retries(count=1, next_due_ms=NOW - 60_000)),
        True,
        "due since 1 min",
        "nooble retry list demo",
    ),
    "worker_vanished": (service(vanished=("a", "b", "c", "d")), False, "a, b, c and 1 more", "nooble workers list"),
}


@pytest.mark.parametrize(("name", "row"), TOLD.items(), ids=list(TOLD))
def test_a_problem_is_told_with_what_was_found_and_the_command_that_helps(
    name: str, row: tuple[Service, bool, str, str]
) -> None:
    it, grave, found, mend = row
    (problem,) = judged(it)
    assert (problem.code, problem.grave, problem.service) == (name.partition(",")[0], grave, "demo")
    assert found in problem.text
    assert mend in problem.mend


WELL: dict[str, Service] = {
    "nothing at all": service(workers=()),
    "at work": service(stream={"length": 5, "pending": 1, "consumers": (OWN,), "pendings": (pending(),)}),
    "an idle stream that was never served": service(stream={"has_group": False}, workers=()),
    "an old platform worker does it": service(
        stream={"length": 5, "pending": 3, "consumers": (consumer(alive=True, idle_ms=10),)}, workers=()
    ),
    "a worker that is not in the registry": service(stream={"length": 5, "consumers": (OWN,)}, workers=()),
    "quiet with nothing to do": service(workers=(Worker(service="demo", consumer="x", state="quiet"),)),
    "one of two is quiet": service(
        stream={"length": 1}, workers=(ALIVE, Worker(service="demo", consumer="x", state="quiet"))
    ),
    "lost, and about to be taken over": service(
        stream={"length": 3, "consumers": (OWN, consumer("demo-worker-b-nb0123456789", ours=True, idle_ms=45_000))}
    ),
    "a longer lease than ours": service(
        stream={"length": 3, "consumers": (OWN, LOST)},
        workers=(Worker(service="demo", consumer="x", lease_ms=60_000),),
    ),
    "dead without holding anything": service(stream={"consumers": (consumer(pending=0), OWN)}),
    "half full": service(stream={"length": 79, "bound": 100}),
    "no bound": service(stream={"length": 10**9}),
    "old dead letters": service(dead=Dead(count=9, by_reason={"X": 9}, newest_ms=1)),
    "retries that wait": service(retries=Retries(count=3, next_due_ms=NOW + 1), workers=()),
    "a retry that is just due": service(retries=Retries(count=3, next_due_ms=NOW - 500)),
}


@pytest.mark.parametrize("it", WELL.values(), ids=list(WELL))
def test_what_is_well_is_no_problem(it: Service) -> None:
    assert judged(it) == ()


def test_what_stands_still_is_told_once_and_not_in_every_way() -> None:
    """Without a worker nothing is taken over and no retry is moved: that follows, and needs no words of its own."""
    it = service(
        stream={"length": 3, "pending": 3, "consumers": (LOST,)},
        retries=Retries(count=1, next_due_ms=NOW - 60_000),
        workers=(),
    )
    assert [problem.code for problem in judged(it)] == ["no_worker"]


@pytest.mark.parametrize(("code", "grave"), [("wrong_type", True), ("unread", False), ("crowded", False)])
def test_what_cannot_be_read_is_told_in_the_words_of_the_server(code: str, grave: bool) -> None:
    (problem,) = judged(service(), (code, "something is a list"))
    assert (problem.code, problem.text, problem.grave) == (code, "something is a list", grave)
    assert "nooble " in problem.mend


def test_grave_problems_come_first_and_the_others_stay_in_order() -> None:
    it = service(stream={"length": 100, "bound": 100}, dead=Dead(count=1, recent=1), vanished=("a",))
    assert [(problem.code, problem.grave) for problem in judged(it)] == [
        ("backlog_full", True),
        ("dead_letters", False),
        ("worker_vanished", False),
    ]
    assert graver_first([]) == ()


def test_a_command_that_somebody_may_copy_does_only_what_it_says() -> None:
    name = "x; rm -rf ~"
    (problem,) = judged(service(name=name, dead=Dead(count=1, recent=1)))
    assert shlex.split(problem.mend)[:4] == ["nooble", "dead", "list", name]


def test_whoever_gives_a_sign_of_life_serves() -> None:
    assert is_served(service())
    assert is_served(service(stream={"consumers": (consumer(alive=True),)}, workers=()))
    assert not is_served(service(stream={"consumers": (consumer(),)}, workers=()))


# ── the server ──


def facts(**values: Any) -> ServerFacts:
    sound: dict[str, Any] = {"append_only": True, "snapshots": "", "fsync": "everysec", "eviction": "noeviction"}
    rest: dict[str, Any] = {"kind": "valkey", "version": "9", "compatible": "7.2", "memory_limit": 0, "role": "master"}
    return ServerFacts(**(sound | rest | values))


def test_a_sound_server_has_no_problem() -> None:
    assert problems_of_server(Server(memory_used=89, memory_limit=100), facts()) == ()
    assert problems_of_server(Server(memory_used=10**12, memory_limit=0), facts()) == ()
    assert problems_of_server(Server(), None) == ()


@pytest.mark.parametrize(("used", "grave"), [(90, False), (98, True), (130, True)])
def test_a_server_whose_memory_is_nearly_full(used: int, grave: bool) -> None:
    (problem,) = problems_of_server(Server(memory_used=used, memory_limit=100), facts())
    assert (problem.code, problem.grave, problem.service) == ("memory", grave, "")
    assert f"{used} %" in problem.text


def test_the_risks_of_a_server_are_problems() -> None:
    found = problems_of_server(Server(), facts(append_only=False, eviction="allkeys-lru", memory_limit=10))
    assert [(problem.code, problem.grave) for problem in found] == [("persistence", True), ("eviction", True)]
    assert all("nooble check" in problem.mend for problem in found)


def test_a_server_that_hides_something_is_told() -> None:
    (problem,) = problems_of_server(Server(unread="NOPERM info"), None)
    assert (problem.code, problem.grave) == ("unread", False)
    assert "NOPERM info" in problem.text
