"""The traffic of the soak: who sends, and who gathers what came of it. Before and after each send a line is written outside
of Redis; so is one for everything that comes out. Nothing of it is kept in memory."""

from __future__ import annotations

import asyncio
import inspect
import json
import random
import time
import uuid
from collections.abc import Callable
from typing import Any

import redis.asyncio
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from nooble.clients import BaseRedisClient
from nooble.errors import CallTimeout, ReplyLost, ServerUnavailable
from tests.chaos.ledger import Ledger
from tests.chaos.soak_worker import NOTE, SERVICE

KINDS = {
    "send": 32,
    "call": 20,
    "answer": 10,
    "callback": 10,
    "retry": 6,
    "follow": 8,
    "transfer": 16,
    "long": 0.6,
    "doomed": 0.2,
}
"""Kinds of traffic and their shares. `answer` is a call whose answers are counted in the list itself, `retry` fails some
times before it is done, `follow` is done by the action that it sends, `long` runs longer than a lease, `doomed` always
fails."""

CLIENT = "soakclient"
CALL_TIMEOUT, LATE = 8.0, 1.5
"""Seconds to an answer, and seconds after which a call that has not ended is late: one of them is a look at why nobody has
answered."""

MOST_WAITING = 4_000
"""Actions in the stream above which the producer pauses, as any sender should."""

ACCOUNTS = 10
RUNS = 5
"""How often a failing action runs in all."""


class Stalls:
    """How long this process itself has stood still: what was late meanwhile was not late by the fault of others."""

    def __init__(self) -> None:
        self.seconds = self.longest = 0.0

    async def watch(self) -> None:
        """Look until cancelled."""
        while True:
            since = time.monotonic()
            await asyncio.sleep(0.05)
            stalled = time.monotonic() - since - 0.1
            if stalled > 0:
                self.seconds += stalled
                self.longest = max(self.longest, stalled)


class Producer:
    """Sends actions of every kind.

    Args:
        client: by a link that is not good.
        ledger: where it writes what it intends, and what it then knows.
        dice: what chance decides.
        lease: seconds; actions of the kind `long` run longer.
        stalls: how long this process stood still.

    Attributes:
        sent: numbers given out so far.
        paused: seconds in which it sent nothing because too many waited.
        answers: the list to which the answers of the kind `answer` go.
        keyed: sends with an idempotency key, every other one: they are repeated if their reply was lost.
    """

    def __init__(
        self, client: BaseRedisClient, ledger: Ledger, dice: random.Random, lease: float, stalls: Stalls
    ) -> None:
        self.sent = self.keyed = 0
        self.paused = 0.0
        self.answers = client.queue_manager.get_response_queue(CLIENT, "soak.item.answer", "all")
        self._client, self._ledger, self._dice, self._lease, self._stalls = client, ledger, dice, lease, stalls
        self._tasks: set[asyncio.Task[None]] = set()
        self._has_keys = "idempotency_key" in inspect.signature(client.send).parameters

    async def run(self, rate: float, is_crowded: Callable[[], bool]) -> None:
        """Send *rate* actions a second until cancelled; none while it *is_crowded*."""
        due, before = 0.0, time.monotonic()
        while True:
            await asyncio.sleep(0.01)
            now = time.monotonic()
            if is_crowded() or len(self._tasks) > 2_000:
                self.paused += now - before
                due = 0.0
            else:
                due = min(due + rate * (now - before), rate / 2)
            before = now
            while due >= 1:
                due -= 1
                kind = self._dice.choices(list(KINDS), list(KINDS.values()))[0]
                task = asyncio.create_task(self._one(self.sent, kind, self._data(kind)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                self.sent += 1

    async def finish(self) -> None:
        """Wait until every send and every call has ended."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _data(self, kind: str) -> dict[str, Any]:
        dice, data = self._dice, {"n": self.sent}
        match kind:
            case "long":
                return data | {"seconds": self._lease * dice.uniform(1.3, 2.5)}
            case "retry":
                return data | {"failures": dice.randint(1, RUNS - 2)}
            case "doomed":
                return data | {"failures": RUNS}
            case "transfer":
                source, target = dice.sample(range(ACCOUNTS), 2)
                return data | {"source": source, "target": target, "amount": dice.randint(1, 100)}
        return data

    async def _one(self, number: int, kind: str, data: dict[str, Any]) -> None:
        write = self._ledger.write
        write("intent", number, kind)
        try:
            known = await (self._call if kind == "call" else self._send)(f"{SERVICE}.item.{kind}", data)
        except ReplyLost:
            known = "unknown"
        except ServerUnavailable:
            known = "unsent"
        except Exception as error:  # whatever else: it is no answer to a fault of these kinds
            known = "unknown"
            write("odd", number, type(error).__name__)
        write(known, number)

    async def _send(self, action_type: str, data: dict[str, Any]) -> str:
        keyed = self._has_keys and data["n"] % 2 == 0  # the others go the way without one
        self.keyed += keyed
        fields: dict[str, Any] = {"idempotency_key": uuid.uuid4().hex} if keyed else {}
        if action_type.endswith(".callback"):
            fields |= {"callback_action_type": f"{CLIENT}.item.done"}
        elif action_type.endswith(".answer"):
            fields |= {"callback_queue_name": self.answers, "correlation_id": uuid.UUID(int=data["n"])}
        send = self._client.call_back if action_type.endswith(".callback") else self._client.send
        lost = False
        while True:
            try:
                await send(action_type, data, **fields)
            except ServerUnavailable as error:
                lost = lost or isinstance(error, ReplyLost)
                if not (lost and keyed):
                    raise
                await asyncio.sleep(0.1)  # with its key a repetition is the same action
            else:
                return "acked"

    async def _call(self, action_type: str, data: dict[str, Any]) -> str:
        """Returns what is then known: `acked` once there was an answer that says that it was done."""
        began, stalled = time.monotonic(), self._stalls.seconds
        number, known = data["n"], "unknown"
        try:
            answer = await self._client.call(action_type, data, timeout=CALL_TIMEOUT)
        except CallTimeout:
            self._ledger.write("timeout", number)
        else:
            if answer.success:
                known = "acked"
                self._ledger.write("right" if answer.data == {"n": number} else "wrong", number)
            elif answer.error is not None and answer.error.error_code == "EXPIRED":
                known = "unsent"
                self._ledger.write("expired", number)
            else:
                self._ledger.write("odd", number, "answered-with-an-error")
        took = time.monotonic() - began - (self._stalls.seconds - stalled)
        if took > CALL_TIMEOUT + LATE:
            self._ledger.write("late", number, f"{took:.2f}")
        return known


class Collector:
    """Gathers the notes, the callbacks and the answers, by a link of its own without faults.

    Args:
        url: where the server is.
        producer: whose answers.
        ledger: where it writes what it finds, before it removes it.

    Attributes:
        backlog: how many entries the stream held when it last looked.
        notes: how many it has found.
    """

    def __init__(self, url: str, producer: Producer, ledger: Ledger) -> None:
        self.redis = redis.asyncio.Redis.from_url(url, socket_timeout=5, retry=Retry(NoBackoff(), 0))
        self.backlog = self.notes = 0
        self._ledger = ledger
        self._answers = producer.answers
        self._streams = {
            f"nooble4:test:{NOTE.partition('.')[0]}:streams:main": "note",
            f"nooble4:test:{CLIENT}:streams:main": "callback",
        }
        self._last: dict[str, set[str]] = {}

    async def run(self) -> None:
        """Gather until cancelled; a server that is away is waited for."""
        while True:
            try:
                await self.gather()
            except (RedisError, OSError):
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.05)

    async def gather(self) -> int:
        """Take what is there. Returns how much that was."""
        self.backlog = int(await self.redis.xlen(f"nooble4:test:{SERVICE}:streams:main"))
        found = 0
        for stream, word in self._streams.items():
            while entries := await self.redis.xrange(stream, count=1_000):
                items = [(entry_id.decode(), json.loads(fields[b"data"])["data"]["n"]) for entry_id, fields in entries]
                found += self._write(word, items, [entry_id.partition("-")[0] for entry_id, _ in items])
                await self.redis.xdel(stream, *(entry_id for entry_id, _ in items))
        while raw := await self.redis.lrange(self._answers, -1_000, -1):
            answers = [json.loads(one) for one in raw]
            items = [(answer["action_id"], uuid.UUID(answer["correlation_id"]).int) for answer in answers]
            found += self._write("answer", items, ["right" if is_right(answer) else "wrong" for answer in answers])
            await self.redis.ltrim(self._answers, 0, -len(raw) - 1)
        return found

    def _write(self, word: str, items: list[tuple[str, int]], facts: list[str]) -> int:
        """What was found before, and could not be removed, is the same thing again and not a second one."""
        known = self._last.get(word, set())
        new = [(number, fact) for (key, number), fact in zip(items, facts, strict=True) if key not in known]
        for number, fact in new:
            self._ledger.write(word, number, fact)
        self._last[word] = {key for key, _ in items}
        if word == "note":
            self.notes += len(new)
        return len(new)


def is_right(answer: dict[str, Any]) -> bool:
    """Whether an answer says what its question wants to hear."""
    return bool(answer["success"] and answer["data"] == {"n": uuid.UUID(answer["correlation_id"]).int})
