"""What is done from a page is done once, to what was meant, told on the next page and written to the audit."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from nooble.clients import BaseRedisClient
from nooble.dashboard import deeds
from nooble.operations.dead_letters import DeadLetters
from tests.dashboard.conftest import HIDDEN
from tests.support.waiting import wait_until

pytestmark = pytest.mark.leaves_keys("the audit outlives what was done")
DEAD = "nooble4:test:pagos:dead_letters:main"
STREAM = "nooble4:test:pagos:streams:main"


async def follow(client: Any, answer: Any) -> str:
    """The text of the page that follows a deed."""
    assert answer.status_code == 303, answer.text
    page = await client.get(answer.headers["location"])
    assert page.status_code == 200
    return str(page.text)


async def audit(client: Any) -> list[dict[str, Any]]:
    return list((await client.get("/api/audit")).json()["deeds"])


async def payloads(redis: Any) -> list[Any]:
    return [json.loads(fields[b"data"])["data"] for _, fields in await redis.xrange(STREAM)]


# ── dead letters ──


async def test_selected_letters_are_replayed(browse: Any, bury: Any, redis: Any) -> None:
    letters = await bury(3)
    client = browse()
    page = await follow(client, await client.post("/dead/pagos/replay", data={"id": letters[:2]}))
    assert "2 letters replayed" in page
    assert await redis.xlen(DEAD) == 1
    assert [one["pedido"] for one in await payloads(redis)] == [0, 1]
    page = await follow(client, await client.post("/dead/pagos/replay", data={"id": letters[:2]}))
    assert "0 letters replayed, 2 already gone" in page
    deeds = await audit(client)
    assert [(deed["what"], deed["service"]) for deed in deeds] == [("dead_letters.replay", "pagos")] * 2
    assert letters[0] in deeds[0]["on"]
    assert "2 letters replayed" in deeds[1]["outcome"]


async def test_all_that_match_are_replayed_once_that_was_confirmed(browse: Any, bury: Any, redis: Any) -> None:
    await bury(3)
    client = browse()
    meant = {"every": "yes", "text": "does not answer for 1"}
    page = await client.post("/dead/pagos/replay", data=meant)
    assert page.status_code == 200
    assert "Replay 1 dead letter of" in page.text
    assert await redis.xlen(DEAD) == 3
    page = await follow(client, await client.post("/dead/pagos/replay", data={**meant, "sure": "yes"}))
    assert "1 letter replayed" in page
    assert [one["pedido"] for one in await payloads(redis)] == [1]


async def test_letters_are_discarded_only_once_that_was_confirmed(browse: Any, bury: Any, redis: Any) -> None:
    letters = await bury(3)
    client = browse()
    page = await client.post("/dead/pagos/discard", data={"id": letters[:1]})
    assert "Discard 1 dead letter of" in page.text
    assert f'value="{letters[0]}"' in page.text
    assert await redis.xlen(DEAD) == 3
    await follow(client, await client.post("/dead/pagos/discard", data={"id": letters[:1], "sure": "yes"}))
    assert await redis.xlen(DEAD) == 2
    assert "Discard 2 dead letters" in (await client.post("/dead/pagos/discard", data={"every": "yes"})).text
    await follow(client, await client.post("/dead/pagos/discard", data={"every": "yes", "sure": "yes"}))
    assert await redis.xlen(DEAD) == 0
    assert await redis.xlen(STREAM) == 0


async def test_nothing_selected_is_told(browse: Any, bury: Any, redis: Any) -> None:
    await bury()
    client = browse()
    for data in ({}, {"id": "no-id", "sure": "yes"}):
        answer = await client.post("/dead/pagos/discard", data=data)
        assert answer.status_code == 400, data
    assert await redis.xlen(DEAD) == 1


async def test_a_letter_is_edited_and_replayed_and_keeps_what_was_hidden(
    browse: Any, bury: Any, redis: Any, shop: Any
) -> None:
    [letter] = await bury(tarjeta="4242-4242", password="tortilla", nota="a\x00b")
    client = browse()
    async with shop():  # whose worker says that the card is sensitive
        await wait_until(lambda: _workers(client), "the worker is seen")
        shown = (await client.get(f"/api/dead/pagos/{letter}")).json()["letter"]["payload"]
        assert shown["tarjeta"] == shown["password"] == HIDDEN
        page = (await client.get(f"/dead/pagos/{letter}")).text
        assert "4242" not in page
        assert "tortilla" not in page
    edited = json.dumps({**shown, "pedido": 77})
    page = await follow(client, await client.post(f"/dead/pagos/{letter}", data={"payload": edited}))
    assert "sent with its edited payload" in page
    [sent] = await payloads(redis)
    assert sent == {"pedido": 77, "importe": 9.5, "tarjeta": "4242-4242", "password": "tortilla", "nota": "a\x00b"}
    assert (await audit(client))[0]["what"] == "dead_letters.edit"
    assert (await client.post(f"/dead/pagos/{letter}", data={"payload": "{}"})).status_code == 404


async def _workers(client: Any) -> Any:
    return (await client.get("/api/workers")).json()["workers"]


@pytest.mark.parametrize("typed", ["", "[]", "{", '"x"', '{"a": NaN}', '{"a": "***"}', "[" * 100_000])
async def test_an_edit_that_cannot_be_meant_sends_nothing(browse: Any, bury: Any, redis: Any, typed: str) -> None:
    [letter] = await bury()
    answer = await browse().post(f"/dead/pagos/{letter}", data={"payload": typed})
    assert answer.status_code == 422
    assert "Nothing was sent" in answer.text
    assert await redis.xlen(DEAD) == 1


async def test_what_fails_or_is_interrupted_is_in_the_audit(
    browse: Any, bury: Any, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    [letter] = await bury()
    client = browse()
    begun = asyncio.Event()

    async def hang(*_: Any, **__: Any) -> Any:
        begun.set()
        await asyncio.Event().wait()

    async def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("torn")

    monkeypatch.setattr(DeadLetters, "replay", hang)
    posts = (("/dead/pagos/replay", {"id": letter}), (f"/dead/pagos/{letter}", {"payload": '{"pedido": 1}'}))
    for path, data in posts:
        begun.clear()
        doing = asyncio.create_task(client.post(path, data=data))
        await begun.wait()
        doing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await doing
    monkeypatch.setattr(DeadLetters, "replay", fail)
    for path, data in posts:
        with pytest.raises(RuntimeError, match="torn"):
            await client.post(path, data=data)
    told = [(deed["what"], deed["outcome"]) for deed in reversed(await audit(client))]
    broken, failed = "interrupted; part of it may be done", "failed: torn"
    whats = ("dead_letters.replay", "dead_letters.edit")
    assert told == [(what, outcome) for outcome in (broken, failed) for what in whats]


async def test_a_deed_that_takes_too_long_ends_between_two_steps(
    browse: Any, redis: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(700):
        await redis.xadd(DEAD, {"reason": "X", "error": str(number), "data": b"{}"})
    monkeypatch.setattr(deeds, "MOST_SECONDS", 0.0)
    client = browse()
    rounds = 0
    while left := await redis.xlen(DEAD):
        page = await follow(client, await client.post("/dead/pagos/discard", data={"every": "yes", "sure": "yes"}))
        done = left - await redis.xlen(DEAD)
        assert 0 < done < 700
        assert f"{done} letters discarded" in page
        assert "do it again to go on" in page
        rounds += 1
    assert rounds > 1


# ── retries ──


async def test_retries_run_now_and_are_given_up(browse: Any, shop: Any, sender: Any, redis: Any) -> None:
    client = browse()
    async with shop(retry_attempts=2, retry_backoff_seconds=600, retry_max_delay_seconds=600) as service:
        service.is_broken = True
        for number in range(2):
            await sender.send("pagos.cargo.cobrar", {"pedido": number, "importe": 1})

        async def both() -> Any:
            found = (await client.get("/api/retries/pagos")).json()["messages"]
            return found if len(found) == 2 else None

        first, second = await wait_until(both, "both wait for their next attempt")
        assert "in " in (await client.get("/retries/pagos")).text
    page = await follow(client, await client.post("/retries/pagos/run", data={"id": first["entry_id"]}))
    assert "1 retry moved" in page
    assert await redis.xlen(STREAM) == 1
    page = await follow(client, await client.post("/retries/pagos/cancel", data={"id": second["entry_id"]}))
    assert "1 retry given up" in page
    [(_, letter)] = await redis.xrange(DEAD)
    assert letter[b"reason"] == b"CANCELLED"
    assert [deed["what"] for deed in await audit(client)] == ["retries.cancel", "retries.run"]


# ── workers ──


async def test_a_worker_is_quieted_resumed_and_stopped(browse: Any, shop: Any) -> None:
    client = browse()
    async with shop():
        [worker] = await wait_until(lambda: _workers(client), "the worker is seen")
        there = f"/workers/pagos/{worker['consumer']}"

        def state(wanted: str) -> Any:
            async def seen() -> bool:
                return [one["state"] for one in await _workers(client)] == ([wanted] if wanted else [])

            return seen

        assert "was asked" in await follow(client, await client.post(f"{there}/quiet"))
        await wait_until(state("quiet"), "it is quiet")
        await follow(client, await client.post(f"{there}/resume"))
        await wait_until(state("working"), "it works again")
        page = await client.post(f"{there}/stop")
        assert "Stop this worker?" in page.text
        await follow(client, await client.post(f"{there}/stop", data={"sure": "yes"}))
        await wait_until(state(""), "it has gone")
        assert (await client.post(f"{there}/dance")).status_code == 404
        assert "not there any more" in await follow(client, await client.post("/workers/pagos/nobody/quiet"))
    whats = [deed["what"] for deed in await audit(client)]
    assert whats == ["workers.quiet", "workers.stop", "workers.resume", "workers.quiet"]


# ── trying an action ──
TRY = "/services/pagos/actions/pagos.cargo.cobrar"


async def test_an_action_is_called_from_its_form(browse: Any, shop: Any, redis: Any) -> None:
    client = browse()
    async with shop():
        await wait_until(lambda: _workers(client), "the worker is seen")
        page = (await client.get(TRY)).text
        assert 'name="field.pedido"' in page
        assert "In euros." in page
        fields = {"field.pedido": "5", "field.importe": "9.5", "field.urgente": "true", "how": "call", "as": "fields"}
        page = await follow(client, await client.post(TRY, data=fields))
        assert "Answered." in page
        assert "R-5" in page
        page = await follow(client, await client.post(TRY, data={**fields, "field.pedido": "-1"}))
        assert "HANDLER_ERROR" in page
        page = await follow(client, await client.post(TRY, data={**fields, "field.importe": "-1"}))
        assert "INVALID_PAYLOAD" in page
        as_json = {"as": "json", "payload": '{"pedido": 6, "importe": 1}', "how": "call"}
        assert "R-6" in await follow(client, await client.post(TRY, data=as_json))
        assert "Sent." in await follow(client, await client.post(TRY, data={**as_json, "how": "send"}))
    assert [deed["what"] for deed in await audit(client)] == ["actions.send", *["actions.call"] * 4]


async def test_what_does_not_fit_the_form_is_told_beside_its_field(browse: Any, shop: Any, redis: Any) -> None:
    client = browse()
    async with shop():
        await wait_until(lambda: _workers(client), "the worker is seen")
        wrong = {"field.pedido": "many", "field.importe": "", "as": "fields"}
        page = await client.post(TRY, data=wrong)
        assert page.status_code == 422
        assert "is no whole number" in page.text
        assert "is required" in page.text
        assert 'value="many"' in page.text
        for more in ({"as": "json", "payload": "[1]"}, {"as": "json", "payload": "{}", "timeout": "1e9"}):
            assert (await client.post(TRY, data=more)).status_code == 422
    assert await audit(client) == []


async def test_a_call_that_nobody_answers_says_so(browse: Any, shop: Any, redis: Any, settings: Any) -> None:
    client = browse()
    async with shop():
        await wait_until(lambda: _workers(client), "the worker is seen")
        await client.get(TRY)
    typed = {"as": "json", "payload": '{"pedido": 6, "importe": 1}', "how": "call", "timeout": "0.05"}
    answer = await client.post(TRY, data=typed)
    assert "pagos.cargo.cobrar" in await follow(client, answer)
    assert (await audit(client))[0]["what"] == "actions.call"


async def test_a_try_that_fails_is_in_the_audit(browse: Any, shop: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def rule(action_type: str, payload: Any) -> Any:
        return {**payload, "pedido": payload["pedido"]}  # of an answer, which has none, it fails

    async def torn(*_: Any, **__: Any) -> Any:
        raise RuntimeError("torn")

    client = browse(redact=rule)
    typed = {"as": "json", "payload": '{"pedido": 6, "importe": 1}', "how": "call"}
    async with shop():
        await wait_until(lambda: _workers(client), "the worker is seen")
        page = await follow(client, await client.post(TRY, data=typed))
        assert "Answered." in page
        assert "The answer is not shown" in page
        assert "R-6" not in page
        monkeypatch.setattr(BaseRedisClient, "call", torn)
        with pytest.raises(RuntimeError, match="torn"):
            await client.post(TRY, data=typed)
    newest, first = await audit(client)
    assert (newest["what"], newest["outcome"]) == ("actions.call", "failed: torn")
    assert first["outcome"].startswith("Answered.")


async def test_a_secret_that_was_typed_is_not_shown_again(browse: Any, shop: Any) -> None:
    client = browse()
    async with shop():
        await wait_until(lambda: _workers(client), "the worker is seen")
        assert 'name="field.tarjeta" value="" aria-describedby' in (await client.get(TRY)).text
        for typed in (
            {"as": "fields", "field.pedido": "5", "field.importe": "1", "field.tarjeta": "4242"},
            {"as": "json", "payload": '{"pedido": 5, "importe": 1, "tarjeta": "4242"}'},
        ):
            page = await follow(client, await client.post(TRY, data={**typed, "how": "call"}))
            assert "R-5" in page
            assert "4242" not in page
        wrong = {"as": "fields", "field.pedido": "x", "field.tarjeta": "4242"}
        page = (await client.post(TRY, data=wrong)).text
        assert 'value="x"' in page
        assert "4242" not in page
