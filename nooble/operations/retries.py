"""What waits for its next attempt in a service: looked through in the order in which it is due, run at once or given up, by
atomic, repeatable steps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self

import msgspec

from nooble.config import CommonAppSettings
from nooble.errors import ForbiddenCallback, MalformedAction
from nooble.models import DomainAction, ErrorDetail
from nooble.operations.message import Message, delivery_of_retry, retry_id
from nooble.operations.messages import LOOK_RETRIES, MessagePage, Messages
from nooble.operations.searching import CHUNK_BYTES
from nooble.wire.codec import codec_of, decode_action, encode_failure, salvage
from nooble.wire.connection import Endpoint, Link
from nooble.wire.keys import QueueManager
from nooble.wire.scripts import Script

if TYPE_CHECKING:
    from redis.asyncio import Redis

RUN = Script("run_retries", keys=2)
CANCEL = Script("cancel_retries", keys=2)
CANCELLED = "CANCELLED"
"""The reason of the dead letter of a retry that was given up."""
_CHUNK = 200
_MOST_NEEDLES = 20
Ids = str | Iterable[str] | Literal["all"]


class RetriesDone(msgspec.Struct, frozen=True, kw_only=True):
    """What was done.

    Attributes:
        done: retries that were moved to the stream, or given up.
        gone: those that were not there any more: run or given up before.
        answered: of those given up, how many whose caller was told.
        kept: those that stay, by their id, each with the reason.
    """

    done: int = 0
    gone: int = 0
    answered: int = 0
    kept: dict[str, str] = {}


Progress = Callable[[RetriesDone], None]


class RetrySet:
    """What waits for its next attempt in one service. To be closed, or used as an async context manager.

    A retry is named by its first id, as a page shows it (`Message.entry_id`). Every method raises `ServerUnavailable` if the
    server cannot be reached, and `ServerRefused` if it does not let us or the key holds something else; what was done before
    stays done, and doing it again goes on from there.

    Args:
        redis: a connection to the server.
        settings: whose: service, prefix and environment.
    """

    def __init__(self, redis: Redis, settings: CommonAppSettings) -> None:
        self._keys = QueueManager(settings.queue_prefix, settings.environment, settings.service_aliases)
        self._service = settings.service_name
        self._stream = self._keys.get_service_action_stream(settings.service_name)
        self._letters = self._keys.get_dead_letter_stream(settings.service_name)
        self._records = self._keys.get_once_record(settings.service_name, "")
        self._answer_ttl_ms = int(settings.response_ttl_seconds * 1000)
        self._messages = Messages(redis, settings)
        self._link = Link(Endpoint(redis))
        self.key = self._keys.get_retry_set(settings.service_name)

    # ── looking ──
    async def list(self, limit: int = 50, cursor: str | None = None, *, with_payload: bool = False) -> MessagePage:
        """A page, in the order in which they are due: `Message.due_ms` says when.

        Raises:
            ConfigurationFault: *cursor* is none.
        """
        return await self._messages.retries(self._service, limit=limit, cursor=cursor, with_payload=with_payload)

    async def count(self) -> int:
        """How many there are."""
        return int(await self._link.execute(b"ZCARD", self.key))

    # ── doing ──
    async def run_now(self, which: Ids, *, progress: Progress | None = None) -> RetriesDone:
        """Move retries to the end of the stream before they are due. They keep their attempts and their deadline.

        Args:
            which: an id, ids, or `"all"` that there are now.
            progress: called after every bounded step with what was done so far.
        """
        return await self._do(which, self._run, progress)

    async def cancel(
        self, which: Ids, *, by: str = "", reason: str = "", progress: Progress | None = None
    ) -> RetriesDone:
        """Give retries up: each becomes a dead letter with the reason `CANCELLED`, and can be replayed.

        A caller that still waits for an answer is told in the same step; `answered` says how many were. Where the action
        names no queue that we may write to, or the queue holds something else, nobody is told.

        Args:
            which: an id, ids, or `"all"` that there are now.
            by: who does it; becomes the letter's worker.
            reason: why, for the letter and for the caller.
            progress: called after every bounded step with what was done so far.
        """
        text = f"cancelled by {by or 'a person'} while it waited for its next attempt" + (
            f": {reason}" if reason else ""
        )

        async def step(members: Sequence[bytes]) -> Any:
            arguments: list[Any] = []
            for member in members:
                arguments += (member, *self._answer(member, text))
            head = (self.key, self._letters, text, by or "nooble", self._answer_ttl_ms, self._records)
            return await CANCEL.run(self._link, *head, *arguments)

        return await self._do(which, step, progress)

    async def close(self) -> None:
        """Close the connections; a later use opens them again."""
        await self._messages.close()
        await self._link.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    # ── steps ──
    async def _run(self, members: Sequence[bytes]) -> Any:
        return await RUN.run(self._link, self.key, self._stream, *members)

    async def _do(self, which: Ids, step: Callable[[Sequence[bytes]], Any], progress: Progress | None) -> RetriesDone:
        wanted = None if which == "all" else set(dict.fromkeys([which] if isinstance(which, str) else which))
        done = gone = answered = 0
        kept: dict[str, str] = {}
        missing = set(wanted or ())
        async for members in self._meant(wanted):
            told = await step(members)
            for member, state, why in zip(members, told[::2], told[1::2], strict=True):
                name = retry_id(member)
                missing.discard(name)
                done += state in (b"sent", b"answered", b"silent")
                gone += state == b"gone"
                answered += state == b"answered"
                if state == b"kept":
                    kept[name] = why.decode("utf-8", "replace")
            if progress is not None:
                progress(RetriesDone(done=done, gone=gone, answered=answered, kept=dict(kept)))
        return RetriesDone(done=done, gone=gone + len(missing), answered=answered, kept=kept)

    async def _meant(self, wanted: set[str] | None) -> AsyncIterator[Sequence[bytes]]:
        """The members that are meant and are there when this begins, part by part. What runs and fails meanwhile comes back
        under the same name, and is not taken twice."""
        count = await self.count()
        most = count if wanted is None else len(wanted)
        needles = sorted(wanted) if wanted and len(wanted) <= _MOST_NEEDLES else []
        if not all("-" in one for one in needles):
            needles = []  # the digest of a member does not stand in it
        taken: set[str] = set()
        score, seen, looked = b"", 0, 0
        while len(taken) < most and looked < 2 * count + _CHUNK:
            rows, score, seen, some, _ = await LOOK_RETRIES.run(
                self._link, self.key, score, seen, _CHUNK, _CHUNK, CHUNK_BYTES, b"", *needles
            )
            looked += some
            members = []
            for member, due in rows:
                name = retry_id(member)
                if name not in taken and (wanted is None or name in wanted) and len(taken) < most:
                    members.append(member)
                    taken.add(name)
                    seen -= due == score  # it leaves its place
            if members:
                yield members
            if not score:
                return

    def _answer(self, member: bytes, text: str) -> tuple[str, bytes]:
        """The queue of who waits, or nothing, and what is told there."""
        delivery = delivery_of_retry(member)
        data = delivery.data or b""
        action: DomainAction | None
        try:
            action = decode_action(data, delivery.entry_id or b"0-0")
        except MalformedAction:
            action = salvage(data)
        if action is None:
            return "", b""
        detail = ErrorDetail(error_type="Cancelled", error_code=CANCELLED, message=f"{action.action_type}: {text}")
        answer = encode_failure(action, detail, codec_of(data))
        queue = action.callback_queue_name
        if queue is None or action.callback_action_type is not None:
            return "", answer
        try:
            self._keys.accept_callback(queue, None)
        except ForbiddenCallback:
            return "", answer
        return queue, answer


__all__ = ["CANCELLED", "Message", "RetriesDone", "RetrySet"]
