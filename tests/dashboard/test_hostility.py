"""Whatever stands in an action, an error or a name is shown as text: it is never run, never turns the text around it, and
never makes a page long."""

from __future__ import annotations

import json
from typing import Any

import pytest

from nooble.dashboard.text import ACTING

pytestmark = pytest.mark.leaves_keys("written by hand")

SCRIPT = "<script>alert(1)</script>"
HOSTILE = {
    "html": f"{SCRIPT}\"><img src=x onerror=alert(2)> ' {{{{7*7}}}} {{% raw %}}",
    "ansi": "\x1b[2J\x1b]0;title\x07\x9b31m red",
    "direction": "\u202egnp.exe\u2066 \u200f \u061c",
    "control": "a\x00b\rc\x08d\x7f\x85\u2028e",
    "halves": "\\ud800 \\udfff",
    "long": "x" * 1_000_000,
    "wide": "\U0001f4a9" * 50_000,
}
STREAM, DEAD, RETRIES = (f"nooble4:test:pagos:{kind}:main" for kind in ("streams", "dead_letters", "retries"))


def action(text: str) -> bytes:
    payload = {"note": text, text[:100]: [text[:1000], {"deep": text[:1000]}]}
    whole = {
        "action_type": text[:200],
        "action_id": text[:200],
        "origin_service": text[:500],
        "data": payload,
        "task_id": text[:300],
    }
    return json.dumps(whole, ensure_ascii=False).encode("utf-8", "surrogatepass")


def assert_harmless(page: str, where: str) -> None:
    assert SCRIPT not in page, where
    assert "onerror=alert" not in page.replace("onerror=alert(2)&gt;", ""), where
    acting = ACTING.search(page)
    assert acting is None, (where, acting and page[max(0, acting.start() - 80) : acting.end() + 20])
    assert len(page) < 1_200_000, (where, len(page))


@pytest.mark.parametrize("kind", HOSTILE)
async def test_hostile_text_is_text_on_every_page(browse: Any, redis: Any, kind: str) -> None:
    text = HOSTILE[kind]
    data = action(text)
    raw = text.encode("utf-8", "surrogatepass")
    entry = (await redis.xadd(STREAM, {"data": data})).decode()
    broken = (await redis.xadd(STREAM, {"data": raw, raw[:500]: raw[:500]})).decode()
    fields = {
        "reason": raw,
        "error": raw,
        "traceback": raw,
        "worker": raw,
        "first_id": raw,
        "attempts": raw,
        "data": data,
        raw[:99]: raw,
    }
    letter = (await redis.xadd(DEAD, fields)).decode()
    odd = (await redis.xadd(DEAD, {"reason": raw, "data": raw})).decode()
    await redis.zadd(RETRIES, {b"1-1\n" + data: 4e12, raw[:9000]: 5e12})
    await redis.xgroup_create(STREAM, "pagos-group", id="0")
    await redis.xreadgroup("pagos-group", raw[:300], {STREAM: ">"}, count=1)
    await redis.xadd("nooble4:test:nooble:audit:main", {"who": raw, "what": raw, raw[:50]: raw, "outcome": raw})
    client = browse()
    for path in (
        *(
            "/",
            "/services",
            "/services/pagos",
            "/streams",
            "/streams/pagos",
            "/messages",
            "/messages?service=pagos&order=oldest",
        ),
        *(
            f"/messages/pagos/{entry}",
            f"/messages/pagos/{broken}",
            f"/messages/pagos/{letter}",
            f"/messages/pagos/{odd}",
        ),
        *(
            "/dead",
            "/dead/pagos",
            f"/dead/pagos/{letter}",
            f"/dead/pagos/{odd}",
            "/retries",
            "/retries/pagos",
            "/audit",
        ),
    ):
        page = await client.get(path)
        assert page.status_code == 200, (path, page.text[-500:])
        assert_harmless(page.text, path)
        twin = await client.get("/api/overview" if path == "/" else f"/api{path}")
        assert twin.status_code == 200, path
        json.loads(twin.content)


@pytest.mark.parametrize("kind", [kind for kind in HOSTILE if kind not in ("long", "wide")])
async def test_hostile_questions_are_text(browse: Any, redis: Any, kind: str) -> None:
    client = browse()
    text = HOSTILE[kind]
    for path in ("/messages", "/dead/pagos"):
        for name in ("service", "action", "text", "reason", "id", "note", "since", "cursor"):
            answer = await client.get(path, params={name: text})
            assert answer.status_code in (200, 400, 404, 503), (path, name, answer.status_code)
            page = answer.text
            assert SCRIPT not in page
            assert "<img" not in page
    for data in ({"every": "yes", "reason": text, "action": text}, {"id": text}, {"every": "yes", "text": text}):
        for path in ("/dead/pagos/replay", "/dead/pagos/discard"):
            answer = await client.post(path, data=data)
            assert answer.status_code in (200, 400), path
            assert SCRIPT not in answer.text


async def test_a_name_breaks_no_line(browse: Any, redis: Any) -> None:
    name = "a\r\rdata <i>b\x1b"
    await redis.xadd(f"nooble4:test:{name}:streams:main", {"data": action("x")})
    client = browse()
    for path in ("/", "/services", "/streams"):
        page = (await client.get(path)).text
        assert "data-testid" in page
        assert_harmless(page, path)
        assert "a\\x0d\\x0ddata" in page, path


async def test_keys_of_another_kind_are_told(browse: Any, redis: Any) -> None:
    for key in (STREAM, DEAD, RETRIES):
        await redis.set(key, "something else")
    client = browse()
    for path in ("/", "/services", "/services/pagos", "/streams", "/streams/pagos", "/dead", "/retries"):
        assert (await client.get(path)).status_code == 200, path
    for path in ("/messages?service=pagos", "/dead/pagos", "/retries/pagos"):
        page = await client.get(path)
        assert page.status_code == 503, path
        assert "The server refuses" in page.text
    await redis.delete("nooble4:test:nooble:audit:main")
    await redis.set("nooble4:test:nooble:audit:main", "x")
    assert (await client.get("/audit")).status_code == 503


async def test_a_stream_that_vanishes_while_it_is_looked_at(browse: Any, redis: Any) -> None:
    await redis.xadd(STREAM, {"data": action("x")})
    client = browse()
    assert (await client.get("/services/pagos")).status_code == 200
    await redis.delete(STREAM)
    for path in ("/services/pagos", "/streams/pagos", "/messages?service=pagos", "/messages/pagos/1-1"):
        assert (await client.get(path)).status_code in (200, 404), path
