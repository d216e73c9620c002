"""Whatever lies among the answers of a client, whoever waits hears of what is theirs: the answer, or at once what is wrong
with it."""

from __future__ import annotations

import asyncio
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nooble.clients import BaseRedisClient
from nooble.errors import MalformedAction, NoobleError
from nooble.models import DomainAction
from tests.properties.hostility import ONLY_PYTHON_READS, envelopes
from tests.properties.workplace import Workplace, some
from tests.support.waiting import wait_until

pytestmark = [
    pytest.mark.every_server,
    pytest.mark.leaves_keys("strangers' keys, which must stay as they are"),
    pytest.mark.filterwarnings("ignore:Generating overly large repr"),
]


@some(60)
@given(items=st.lists(st.binary(max_size=200) | envelopes, min_size=1, max_size=5))
def test_any_bytes_among_the_answers_of_a_client(workplace: Workplace, items: list[bytes]) -> None:
    """What is no answer is passed over; the answer beside it is heard."""

    async def call() -> None:
        async with BaseRedisClient("shop", workplace.redis, workplace.settings) as client:
            action = DomainAction(action_type="demo.thing.do", data={"n": 1})
            calling = asyncio.create_task(client.call(action, timeout=5))
            await wait_until(lambda: action.callback_queue_name, "it is on its way")
            await workplace.redis.lpush(action.callback_queue_name or "", *items)
            assert (await calling).data == {"data": {"n": 1}, "extra": {}}
            await workplace.redis.delete(action.callback_queue_name or "")

    workplace.runner.run(call())


ANSWERS = [b"null", b"7", b'"yes"', b"true", b"false", b"[]", b"{}", b'{"a":1}', b'"\\u0000"', b"1e99"]


@some(40)
@given(
    broken=st.dictionaries(
        st.sampled_from(["success", "data", "error", "timestamp", "action_id", "x"]), st.sampled_from(ANSWERS)
    )
)
def test_an_answer_that_is_nearly_right_is_told_to_whoever_waits(
    workplace: Workplace, broken: dict[str, bytes]
) -> None:
    """At once, as an answer or as an error: nobody waits for what has come."""

    async def call() -> None:
        async with BaseRedisClient("shop", workplace.redis, workplace.settings) as client:
            action = DomainAction(action_type="nobody.serves.this", data={})
            calling = asyncio.create_task(client.call(action, timeout=5))
            await wait_until(lambda: action.callback_queue_name, "it is on its way")
            members = {"success": b"true", **broken, "correlation_id": json.dumps(str(action.correlation_id)).encode()}
            said = b"{" + b",".join(b'"%s":%s' % (name.encode(), value) for name, value in members.items()) + b"}"
            await workplace.redis.lpush(action.callback_queue_name or "", said)
            try:
                async with asyncio.timeout(4):
                    await calling
            except NoobleError:
                pass
            await workplace.redis.delete(workplace.platform.stream.replace("demo", "nobody"))

    workplace.runner.run(call())


@pytest.mark.parametrize("value", ONLY_PYTHON_READS, ids=lambda value: repr(value[:9]))
def test_an_answer_with_something_unreadable_inside_is_told_to_whoever_waits(
    workplace: Workplace, value: bytes
) -> None:
    """The standard library's `json` writes such things by default."""

    async def call() -> None:
        async with BaseRedisClient("shop", workplace.redis, workplace.settings) as client:
            action = DomainAction(action_type="nobody.serves.this", data={})
            calling = asyncio.create_task(client.call(action, timeout=1))
            await wait_until(lambda: action.callback_queue_name, "it is on its way")
            said = b'{"success":true,"correlation_id":"%s","data":{"n":%s}}' % (
                str(action.correlation_id).encode(),
                value,
            )
            await workplace.redis.lpush(action.callback_queue_name or "", said)
            with pytest.raises(MalformedAction):
                await calling

    workplace.runner.run(call())
