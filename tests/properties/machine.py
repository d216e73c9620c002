"""What can happen to the wire, as the rules of a state machine: workers that live, leave, crash and act late, strangers who
delete and spoil; and what must hold after every step. The server does it, the model says what it must have done."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, TypeVar

import pytest
import redis as redis_library
import redis.asyncio as redis_asyncio
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from nooble.errors import GroupMissing, ServerRefused
from nooble.models.outcomes import Reply
from nooble.operations.dead_letters import REPLAY
from nooble.wire.connection import Endpoint
from nooble.wire.dead_letters import dead_letter
from nooble.wire.delivery import DATA, Delivery
from nooble.wire.keys import QueueManager
from nooble.wire.redis_stream import OWN, POST, RETRY, ActionStream, Ending, Write, retry_member
from tests.properties.model import Act, Hand, Model
from tests.properties.picture import HOUR, doubled, look, place, whereabouts
from tests.support.servers import Server

T = TypeVar("T")
KEYS = QueueManager(environment="test")
QUEUES = [f"nooble4:test:shop:responses:inbox:{number}" for number in (1, 2)]
POSTS = KEYS.get_service_action_stream("billing")
LEASE, AGED, ANSWER_TTL = 30_000, 60_000, 20_000
STRANGER = "orders-worker-instance1"

DISTURBANCES = ["read", "acknowledge", "delete", "delete", "spoil", "spoil", "mend", "destroy", "flush"]

indices = st.integers(0, 9)
workers = st.integers(0, 1)
acts = st.tuples(
    indices,
    st.sampled_from(["reply", "post", "both", "fail", "bury", "tell", "release"]),
    st.sampled_from(QUEUES),
    st.integers(0, 2),
)


class Bench:
    """One server, and one pair of connections that speaks for every consumer in turn."""

    def __init__(self, server: Server) -> None:
        self.runner = asyncio.Runner()
        self.client = redis_library.Redis.from_url(server.url)
        endpoint = Endpoint(redis_asyncio.Redis.from_url(server.url))
        self.stream = ActionStream(endpoint, KEYS, "orders", "nobody", answer_ttl_ms=ANSWER_TTL)

    def close(self) -> None:
        """Let go of everything."""
        self.runner.run(self.stream.close())
        self.runner.close()
        self.client.close()


class Wire(RuleBasedStateMachine):
    """Workers that live, crash and come back as ghosts; strangers that delete, spoil and acknowledge.

    Args:
        bench: where.
    """

    def __init__(self, bench: Bench) -> None:
        super().__init__()
        self.runner, self.redis, self.stream = bench.runner, bench.client, bench.stream
        self.key, self.name_of_group = self.stream.stream, self.stream.group
        self.model = Model(self.stream.retry_set, self.stream.dead_letters, POSTS, QUEUES, lambda name: "-nb" in name)
        self.workers: list[str] = []
        self.named = self.endings = 0

    @initialize()
    def begin(self) -> None:
        self.redis.flushall()
        self.workers = [self.new_name() for _ in range(2)]
        assert self.ask(self.workers[0], self.stream.ensure_group)

    def new_name(self) -> str:
        """As `get_consumer_name` makes them, but the same in every repetition: the server looks at them in their order."""
        self.named += 1
        return f"orders-worker-w-nb{self.named:010x}"

    def ask(self, consumer: str, verb: Callable[[], Awaitable[T]]) -> T:
        """What the wire says to *consumer*."""

        async def asked() -> T:
            return await verb()

        self.stream.consumer = consumer
        return self.runner.run(asked())

    def has_group(self, consumer: str, verb: Callable[[], Awaitable[Any]]) -> bool:
        """Whether there is a group. Where there is none, *verb* says so and does nothing, and the group is made anew."""
        if self.model.group is not None:
            return True
        with pytest.raises(GroupMissing):
            self.ask(consumer, verb)
        assert self.ask(consumer, self.stream.ensure_group)
        self.model.group = b"0-0"
        return False

    # ── arriving and taking ──
    @rule(count=st.integers(1, 4), version=st.booleans())
    def send(self, count: int, version: bool) -> None:
        for number in range(count):
            data = b'{"n":%d}\n' % (len(self.model.origins) + number)
            entry_id = self.redis.xadd(self.key, {"data": data, **({"v": "1"} if version else {})})
            self.model.sent(entry_id, data, b"1" if version else None)

    @rule(who=workers, count=st.integers(1, 5))
    def read(self, who: int, count: int) -> None:
        worker = self.workers[who]
        if not self.model.unread():
            self.send(count, version=True)
        if self.has_group(worker, lambda: self.stream.read(count, 1)):
            found = self.ask(worker, lambda: self.stream.read(count, 1))
            assert [one.entry_id for one in found] == self.model.read(worker, count)
            self.model.given(worker, found)

    @rule(who=workers, room=st.integers(1, 4), aged=st.sampled_from([True, True, False]))
    def take_over(self, who: int, room: int, aged: bool) -> None:
        """A worker takes over what the others have not renewed: what is old, which is everything if a lease passes."""
        worker = self.workers[who]
        if not self.has_group(worker, lambda: self.stream.claim(room, LEASE)):
            return
        if aged:
            self.let_grow_old(self.model.pending.keys() & self.model.entries.keys())
        left = self.model.left_behind(worker)
        assert bool(self.ask(worker, lambda: self.stream.abandoned(LEASE))) is bool(left)
        taken, gone = self.ask(worker, lambda: self.stream.claim(room, LEASE))
        self.model.claimed(worker, room, [one.entry_id for one in taken], gone)
        self.model.given(worker, taken)

    @rule(who=workers, room=st.integers(1, 4))
    def take_over_and_back(self, who: int, room: int) -> None:
        """Two workers are asleep in turn: each has old deliveries of what is its own again."""
        for worker in (who, 1 - who, who):
            self.take_over(worker, room, aged=True)

    @rule(picked=st.lists(indices, min_size=1, max_size=4), who=workers, all_known=st.booleans())
    def lose_time_and_replies(self, picked: list[int], who: int, all_known: bool) -> None:
        """For some of what is pending a lease passes; a worker looks for what it may have been given unseen."""
        ids = sorted(self.model.pending.keys() & self.model.entries.keys(), key=place)
        self.let_grow_old({ids[index % len(ids)] for index in picked if ids})
        worker = self.workers[who]
        known = [hand.delivery.entry_id for hand in self.model.hands if all_known and hand.owner == worker]
        if self.has_group(worker, lambda: self.stream.unseen(known)):
            found = self.ask(worker, lambda: self.stream.unseen(known))
            mine = [entry_id for entry_id, row in self.model.pending.items() if row.owner == worker]
            assert {one.entry_id for one in found} == set(mine) - set(known)
            self.model.given(worker, found)

    def let_grow_old(self, ids: Iterable[bytes]) -> None:
        for entry_id in ids:
            row = self.model.pending[entry_id]
            aged: dict[str, Any] = {"idle": AGED, "retrycount": row.count, "justid": True}
            self.redis.xclaim(self.key, self.name_of_group, row.owner, 0, [entry_id], **aged)
            row.old = True

    # ── ending and keeping ──
    @rule(which=indices, plan=st.lists(acts, min_size=1, max_size=4))
    def settle(self, which: int, plan: list[Any]) -> None:
        """A worker ends some of what it holds."""
        live = [hand for hand in self.model.hands if self.model.holds(hand)]
        if not live:
            return self.read(0, len(plan))
        owner = live[-1 - which % len(live)].owner
        return self.commit(owner, [hand for hand in live if hand.owner == owner], plan)

    @precondition(lambda self: self.model.hands)
    @rule(which=indices, plan=st.lists(acts, min_size=1, max_size=4), among_others=st.booleans())
    def settle_late(self, which: int, plan: list[Any], among_others: bool) -> None:
        """A worker ends what it was once given and has lost, asleep, crashed or done with it; perhaps beside what is its
        own."""
        pending = self.model.pending
        stale = [hand for hand in self.model.hands if not self.model.holds(hand)] or self.model.hands
        stale.sort(key=lambda hand: hand.delivery.entry_id in pending)
        owner = stale[-1 - which % len(stale)].owner
        among = self.model.hands if among_others else stale
        self.commit(owner, [hand for hand in among if hand.owner == owner], plan)

    def commit(self, owner: str, hands: list[Hand], plan: list[Any]) -> None:
        chosen: dict[Any, Act] = {}
        for index, kind, queue, hours in plan:
            hand = hands[-1 - index % len(hands)]
            if hand.delivery.data is None and kind != "tell":  # deleted while pending: nothing else can be done with it
                kind = "bury"
            chosen.setdefault(hand.run, Act(hand, kind, queue, hours))
        batch = sorted(chosen.values(), key=lambda act: act.hand.delivery.order)
        endings = [self.ending(act) for act in batch]
        if not self.has_group(owner, lambda: self.stream.commit(endings, 1)):
            return
        said = self.ask(owner, lambda: self.stream.commit(endings, 1))
        count, refused, held, unwritten = self.model.committed(batch)
        assert {(id(one), why) for one, why in said.refused} == {(id(hand.delivery), why) for hand, why in refused}
        assert {id(one) for one, _ in said.held} == {id(hand.delivery) for hand in held}
        assert (said.count, len(said.unwritten)) == (count, unwritten)

    def ending(self, act: Act) -> Ending:
        stream, delivery = self.stream, act.hand.delivery
        self.endings += 1
        due_ms = act.hours * HOUR + self.endings  # no two at once: a repetition moves them in the same order
        reply = None if act.answer is None else Reply(act.queue, act.answer)
        writes = {
            "post": lambda: Write(POST, POSTS, (DATA, act.mark)),
            "both": lambda: Write(POST, POSTS, (DATA, act.mark)),
            "release": lambda: Write(OWN, stream.stream, delivery.onward()),
            "bury": lambda: Write(OWN, stream.dead_letters, letter_of(delivery)),
            "tell": lambda: Write(OWN, stream.dead_letters, letter_of(delivery)),
            "fail": lambda: Write(RETRY, stream.retry_set, (due_ms, retry_member(delivery, delivery.attempts + 1))),
        }
        return Ending(delivery, reply, (writes[act.kind](),) if act.kind in writes else ())

    @precondition(lambda self: self.model.hands)
    @rule(which=indices, picked=st.lists(indices, max_size=3))
    def renew(self, which: int, picked: list[int]) -> None:
        """A worker renews what it was once given, rightly or not."""
        owner = self.model.hands[-1 - which % len(self.model.hands)].owner
        hands = [hand for hand in self.model.hands if hand.owner == owner]
        chosen = [hands[-1 - index % len(hands)] for index in picked] or hands
        deliveries = [hand.delivery for hand in chosen]
        if self.has_group(owner, lambda: self.stream.renew(deliveries)):
            _, lost = self.ask(owner, lambda: self.stream.renew(deliveries))
            assert lost == self.model.renewed(chosen)

    @precondition(lambda self: self.model.retries or self.model.spoiled)
    @rule(limit=st.sampled_from([1, 2, 100]), hours=st.integers(0, 2))
    def move_retries(self, limit: int, hours: int) -> None:
        verb = lambda: self.stream.move_retries(limit, hours * HOUR + HOUR // 2)  # noqa: E731
        if self.stream.retry_set in self.model.spoiled:
            with pytest.raises(ServerRefused, match="WRONGTYPE"):
                self.ask(self.workers[0], verb)
            return
        due = [
            retry for retry in look(self.redis, self.stream, POSTS, QUEUES, ANSWER_TTL).retries if retry[1] <= hours
        ][:limit]
        moved, wait = self.ask(self.workers[0], verb)
        self.model.moved(due)
        assert moved == len(due)
        assert (wait is None) is (not self.model.retries)

    @precondition(lambda self: self.model.letters)
    @rule(which=indices, times=st.integers(1, 2))
    def replay(self, which: int, times: int) -> None:
        """A person sends a dead letter again, perhaps twice."""
        letters = self.redis.xrange(self.stream.dead_letters)
        at = which % len(letters)
        target = self.key if self.model.letters[at].first_id else POSTS
        one = (letters[at][0], target, b"")
        told = self.ask(self.workers[0], lambda: REPLAY.run(self.stream.work, self.stream.dead_letters, *one * times))
        first = self.model.replayed(at)
        assert told[::2] == [first, b"gone" if first == b"sent" else first][:times]

    # ── coming and going ──
    @rule(who=workers, in_order=st.booleans())
    def go(self, who: int, in_order: bool) -> None:
        """A worker leaves, or crashes: what it had in its hands stays there, and it may only be asleep."""
        worker, self.workers[who] = self.workers[who], self.new_name()
        if in_order and self.has_group(worker, self.stream.leave):
            known = [row["name"].decode() for row in self.redis.xinfo_consumers(self.key, self.name_of_group)]
            owns = any(row.owner == worker for row in self.model.pending.values())
            assert self.ask(worker, self.stream.leave) is (worker in known and not owns)
            assert self.ask(worker, self.stream.forget_dead) == []

    # ── strangers ──
    @rule(what=st.sampled_from(DISTURBANCES), which=indices)
    def disturb(self, what: str, which: int) -> None:
        """Somebody who is not of this framework has a hand in it."""
        getattr(self, f"stranger_{what}")(which)

    def stranger_read(self, _: int) -> None:
        """What the platform's worker holds is its own affair, however old."""
        if self.model.group is not None:
            self.redis.xreadgroup(self.name_of_group, STRANGER, {self.key: ">"}, count=2)
            self.model.read(STRANGER, 2)

    def stranger_acknowledge(self, _: int) -> None:
        """The platform's worker acknowledges, and deletes nothing."""
        if ids := self.model.acknowledged(STRANGER):
            self.redis.xack(self.key, self.name_of_group, *ids)

    def stranger_delete(self, which: int) -> None:
        if ids := list(self.model.entries):
            entry_id = ids[which % len(ids)]
            self.redis.xdel(self.key, entry_id)
            self.model.deleted(entry_id)

    def stranger_spoil(self, which: int) -> None:
        """There is something of another type where one of our keys would be."""
        key = [self.model.retry_key, self.model.letter_key, POSTS, *QUEUES][which % 5]
        if self.redis.set(key, "a stranger's", nx=True, px=ANSWER_TTL * 10):
            self.model.spoiled.add(key)

    def stranger_mend(self, _: int) -> None:
        if self.model.spoiled:
            self.redis.delete(*self.model.spoiled)
            self.model.spoiled.clear()

    def stranger_destroy(self, _: int) -> None:
        assert self.ask(self.workers[0], self.stream.ensure_group) is (self.model.group is None)
        self.redis.xgroup_destroy(self.key, self.name_of_group)
        self.model.group_destroyed()

    def stranger_flush(self, _: int) -> None:
        self.redis.delete(self.key)
        self.model.stream_deleted()
        last = max((place(entry_id)[0] for entry_id in self.model.origins), default=0)
        while self.redis.time()[0] * 1_000 + self.redis.time()[1] // 1_000 <= last:
            pass  # a stream that is made anew in the same millisecond gives the same ids again

    # ── what must hold ──
    @invariant()
    def every_action_is_in_exactly_one_place(self) -> None:
        if not self.workers:
            return
        seen = look(self.redis, self.stream, POSTS, QUEUES, ANSWER_TTL)
        added = [entry_id for entry_id in seen.stream if entry_id not in self.model.origins]
        self.model.name_arrivals(sorted(added, key=place))
        places = whereabouts(seen, self.model.origins)
        for first_id in set(self.model.origins.values()):
            least = 0 if first_id in self.model.excused else 1
            assert least <= places[first_id] <= 1, f"{first_id!r} is in {places[first_id]} places: {seen}"
        assert not doubled(seen)
        expected = self.model.picture()
        for part in (seen, expected):
            part.retries.sort()
        for name in seen.__struct_fields__:
            assert getattr(seen, name) == getattr(expected, name), name


def letter_of(delivery: Delivery) -> list[str | bytes]:
    error = ValueError("no")
    return dead_letter(delivery, error, worker="w", attempts=1, max_payload_bytes=1_000)
