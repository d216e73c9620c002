"""The wire as it ought to be: stream, pending list, retry set and dead letters of one service as plain values, and what
every verb does to them. Nothing here talks to a server, and nothing of nooble decides anything here."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from nooble.wire.delivery import Delivery
from tests.properties.picture import Entry, Letter, Picture, place

MOST_HANDS = 60


class Row(msgspec.Struct):
    """A row of the pending list; it is `old` if nobody has renewed it for longer than a lease."""

    owner: str
    count: int
    old: bool = False


class Hand(NamedTuple):
    """A delivery that a consumer was once given, whatever has become of it since."""

    owner: str
    delivery: Delivery
    run: int


class Act(NamedTuple):
    """How one delivery is to end.

    Attributes:
        hand: which.
        kind: `reply`, `post`, `both`, `fail`, `bury`, `tell` (buried, and its caller is told) or `release`.
        queue: where its answer goes.
        hours: how long a retry waits.
    """

    hand: Hand
    kind: str
    queue: str
    hours: int

    @property
    def mark(self) -> bytes:
        """What its answer and its follow-up say: of which action they are, and of which run."""
        return b"%s %d" % (self.hand.delivery.first_id, self.hand.run)

    @property
    def answer(self) -> bytes | None:
        """Its answer, if it has one."""
        if self.kind not in ("reply", "both", "tell"):
            return None
        return (b"error " if self.kind == "tell" else b"result ") + self.mark


class Model:
    """One service.

    Args:
        places: names of the keys `retries`, `letters` and `posts`, and of the answer queues.
        is_ours: whether a consumer of this name is one of the framework's.

    Attributes:
        spoiled: keys in which a stranger has put something of another type.
        excused: first ids of actions that a stranger has taken away or whose answer could not be written: they may be
            in no place, and never in two.
        origins: by the id of every entry that there ever was, the id under which its action was sent.
        arrivals: entries that were added and whose ids are not known yet; those without a first id begin anew.
    """

    def __init__(self, retries: str, letters: str, posts: str, queues: Iterable[str], is_ours: Any) -> None:
        self.retry_key, self.letter_key, self.post_key = retries, letters, posts
        self.is_ours = is_ours
        self.group: bytes | None = b"0-0"
        self.entries: dict[bytes, Entry] = {}
        self.pending: dict[bytes, Row] = {}
        self.retries: list[tuple[Entry, int]] = []
        self.letters: list[Letter] = []
        self.answers: dict[str, list[bytes]] = {queue: [] for queue in queues}
        self.posts: list[bytes] = []
        self.spoiled: set[str] = set()
        self.excused: set[bytes] = set()
        self.origins: dict[bytes, bytes] = {}
        self.arrivals: list[tuple[Entry, bytes]] = []
        self.hands: list[Hand] = []
        self.runs = 0

    # ── looking ──
    def picture(self) -> Picture:
        """What a look at the server has to show. Retries that wait equally long are in no order."""
        rows = {entry_id: (row.owner, row.count) for entry_id, row in self.pending.items()}
        answers = {queue: list(said) for queue, said in self.answers.items()}
        parts = self.retries, self.letters, answers, self.posts
        return Picture(self.group, dict(self.entries), rows, *parts)

    def unread(self) -> list[bytes]:
        """Ids of the entries that the group has not read."""
        return [entry_id for entry_id in self.entries if place(entry_id) > place(self.group or b"0-0")]

    def holds(self, hand: Hand) -> bool:
        """Whether the fence lets *hand* through: same owner, same count."""
        row = self.pending.get(hand.delivery.entry_id)
        return row is not None and (row.owner, row.count) == (hand.owner, hand.delivery.token)

    def left_behind(self, me: str) -> set[bytes]:
        """Ids of what *me* may take over."""
        rows = self.pending.items()
        return {entry_id for entry_id, row in rows if row.old and row.owner != me and self.is_ours(row.owner)}

    # ── arriving ──
    def sent(self, entry_id: bytes, data: bytes, version: bytes | None) -> None:
        """Somebody has added an entry."""
        self.arrivals = [(Entry(entry_id, data, version), entry_id)]
        self.name_arrivals([entry_id])

    def name_arrivals(self, ids: Sequence[bytes]) -> None:
        """What was added has got these *ids*."""
        assert len(ids) == len(self.arrivals), f"{len(self.arrivals)} entries ought to have been added, not {len(ids)}"
        for entry_id, (entry, origin) in zip(ids, self.arrivals, strict=True):
            self.entries[entry_id] = entry if entry.first_id else entry._replace(first_id=entry_id)
            self.origins[entry_id] = origin
        self.arrivals = []

    # ── taking ──
    def read(self, owner: str, count: int) -> list[bytes]:
        """Ids that *owner* is given."""
        ids = self.unread()[:count]
        for entry_id in ids:
            self.pending[entry_id] = Row(owner, 1)
            self.group = entry_id
        return ids

    def given(self, owner: str, deliveries: Iterable[Delivery]) -> None:
        """*owner* has these deliveries in its hands: what they say is what stands in the stream."""
        for delivery in deliveries:
            entry_id = delivery.entry_id
            row, entry = self.pending[entry_id], self.entries.get(entry_id)
            assert (row.owner, row.count) == (owner, delivery.token)
            assert delivery.data == (entry.data if entry else None)
            if entry:
                assert (delivery.first_id, delivery.attempts) == (entry.first_id, entry.attempts)
                assert delivery.deliveries == entry.deliveries + row.count
            self.runs += 1
            self.hands = [*self.hands, Hand(owner, delivery, self.runs)][-MOST_HANDS:]

    def claimed(self, owner: str, room: int, taken: list[bytes], gone: list[bytes]) -> None:
        """*owner* has taken over *taken* and found *gone*: only what is old and another's, and not nothing of it."""
        old = self.left_behind(owner)
        ghosts = old - self.entries.keys()
        assert set(taken) <= old - ghosts
        assert set(gone) <= ghosts
        assert len(set(taken)) == len(taken) <= room
        assert taken or gone or not old
        for entry_id in taken:
            self.pending[entry_id] = Row(owner, self.pending[entry_id].count + 1)
        for entry_id in gone:
            del self.pending[entry_id]
            if self.letter_key in self.spoiled:
                self.excused.add(self.origins[entry_id])
            else:
                self.letters.append(Letter(b"DATA_LOST", entry_id, None))

    def renewed(self, hands: Sequence[Hand]) -> set[bytes]:
        """The ids that are lost. What was deleted while it was pending is called off."""
        kept = {hand.delivery.entry_id for hand in hands if self.holds(hand)}
        for entry_id in kept:
            self.pending[entry_id].old = False
        ghosts = kept - self.entries.keys()
        for entry_id in ghosts:
            del self.pending[entry_id]
            self.excused.add(self.origins[entry_id])
        return {hand.delivery.entry_id for hand in hands} - (kept - ghosts)

    # ── ending ──
    def committed(self, acts: Sequence[Act]) -> tuple[int, list[tuple[Hand, bytes]], list[Hand], int]:
        """How many have ended, who was refused and why, who stays pending, and how many writes were left out."""
        refused, held, ended = [], [], []
        taken: set[bytes] = set()
        for act in acts:
            entry_id = act.hand.delivery.entry_id
            if not self.holds(act.hand) or entry_id in taken:
                refused.append((act.hand, b"taken" if entry_id in self.pending and entry_id not in taken else b"gone"))
            else:
                taken.add(entry_id)
                if self._is_stuck(act):
                    held.append(act.hand)
                else:
                    ended.append(act)
        left_out = sum(self._wrote(act) for act in ended)
        queues = {act.queue for act in ended if act.answer and act.queue in self.spoiled}
        for act in ended:
            entry_id = act.hand.delivery.entry_id
            del self.pending[entry_id]
            self.entries.pop(entry_id, None)
        return len(ended), refused, held, left_out + len(queues)

    def _is_stuck(self, act: Act) -> bool:
        if act.kind == "fail":
            return self.retry_key in self.spoiled
        if act.kind in ("bury", "tell"):
            return self.letter_key in self.spoiled
        return act.kind in ("post", "both") and {self.post_key, self.letter_key} <= self.spoiled

    def _wrote(self, act: Act) -> int:
        delivery, left_out = act.hand.delivery, 0
        facts = delivery.facts or {}
        version = facts.get(b"v")
        deliveries = delivery.deliveries - 1
        if act.kind == "fail":
            entry = Entry(delivery.first_id, delivery.data or b"", version, delivery.attempts + 1, deliveries)
            self.retries.append((entry, act.hours))
        elif act.kind == "release":
            entry = Entry(delivery.first_id, delivery.data or b"", version, delivery.attempts, deliveries)
            self.arrivals.append((entry, self.origins[delivery.entry_id]))
        elif act.kind in ("bury", "tell"):
            self.letters.append(Letter(b"HANDLER_ERROR", delivery.first_id, delivery.data))
        if act.kind in ("post", "both"):
            if self.post_key in self.spoiled:
                left_out = 1
                self.letters.append(Letter(b"UNWRITABLE_FOLLOW_UP", b"", act.mark))
            else:
                self.posts.append(act.mark)
        if act.answer is not None:
            if act.queue in self.spoiled:
                self.excused.add(self.origins[delivery.entry_id])
            else:
                self.answers[act.queue].append(act.answer)
        return left_out

    # ── retries ──
    def moved(self, due: Sequence[tuple[Entry, int]]) -> None:
        """*due* have gone back to the end of the stream, in this order."""
        for retry in due:
            self.retries.remove(retry)
            self.arrivals.append((retry[0], self.origins[retry[0].first_id]))

    # ── dead letters ──
    def replayed(self, which: int) -> bytes:
        """What becomes of a letter that is sent again: it is `sent`, or `kept` because it cannot be."""
        letter = self.letters[which]
        if letter.what is None or (not letter.first_id and self.post_key in self.spoiled):
            return b"kept"
        del self.letters[which]
        if letter.first_id:
            self.arrivals.append((Entry(b"", letter.what, b"1"), self.origins[letter.first_id]))
        else:
            self.posts.append(letter.what)
        return b"sent"

    # ── strangers ──
    def acknowledged(self, owner: str) -> list[bytes]:
        """The platform's code acknowledges and does not delete. Returns the ids of what *owner* had."""
        ids = [entry_id for entry_id, row in self.pending.items() if row.owner == owner]
        for entry_id in ids:
            del self.pending[entry_id]
            if entry_id not in self.entries:
                self.excused.add(self.origins[entry_id])
        return ids

    def deleted(self, entry_id: bytes) -> None:
        """A hand has taken the entry away; if it was pending, it still is."""
        del self.entries[entry_id]
        if entry_id not in self.pending:
            self.excused.add(self.origins[entry_id])

    def group_destroyed(self) -> None:
        """The group is gone, and with it what was known only to the pending list."""
        self.excused |= {self.origins[entry_id] for entry_id in self.pending.keys() - self.entries.keys()}
        self.pending.clear()
        self.group = None

    def stream_deleted(self) -> None:
        """The stream is gone with everything in it."""
        self.excused |= {self.origins[entry_id] for entry_id in self.entries}
        self.group_destroyed()
        self.entries.clear()
