"""Every page is there, says what there is, and has a twin in JSON; what is not there is said to be not there."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from nooble.dashboard import pages_kept
from nooble.dashboard.app import KEPT, LIVE
from nooble.dashboard.live import events
from nooble.dashboard.watch import Watch
from nooble.errors import ServerRefused
from nooble.operations.system import System
from tests.dashboard.conftest import HIDDEN
from tests.support.settings import NOBODY
from tests.support.waiting import wait_until

pytestmark = pytest.mark.leaves_keys("routes and the audit outlive a worker")


@pytest.fixture
def places(bury: Any, redis: Any) -> Any:
    """The address of every page of a shop with a worker and a dead letter."""

    async def found() -> dict[str, str]:
        [letter] = await bury()
        return {"{service}": "pagos", "{action:path}": "pagos.cargo.cobrar", "{id}": letter}

    return found


def address(path: str, values: dict[str, str]) -> str:
    for name, value in values.items():
        path = path.replace(name, value)
    return path


async def test_every_page_and_its_twin(browse: Any, shop: Any, places: Any) -> None:
    values = await places()
    client = browse()
    async with shop():
        answer = await wait_until(lambda: workers_of(client), "the worker has given a sign of life")
        values["{consumer}"] = answer[0]["consumer"]
        for path in [*LIVE, *KEPT]:
            there = address(path, values)
            page = await client.get(there)
            assert page.status_code == 200, (there, page.text)
            assert page.text.count("<h1>") == 1, there
            assert "<main" in page.text
            twin = await client.get("/api/overview" if there == "/" else f"/api{there}")
            assert twin.status_code == 200, there
            assert twin.headers["content-type"] == "application/json"
            assert isinstance(twin.json(), dict)
            assert not [name for name in twin.json() if name.startswith("_")]


async def workers_of(client: Any) -> list[dict[str, Any]]:
    return (await client.get("/api/workers")).json()["workers"]


async def test_an_empty_server(browse: Any) -> None:
    client = browse()
    for path in ("/", "/services", "/streams", "/messages", "/dead", "/retries", "/workers", "/server", "/audit"):
        assert (await client.get(path)).status_code == 200, path


async def test_what_is_not_there(browse: Any) -> None:
    client = browse()
    for path in (
        "/nowhere",
        "/services/nobody",
        "/services/nobody/actions/no.thing.there",
        "/streams/nobody",
        "/workers/nobody/no-worker",
        "/messages/nobody/1-1",
        "/dead/pagos/1-1",
        "/services/%3Cscript%3E",
        "/dead/a%3Ab",
    ):
        assert (await client.get(path)).status_code == 404, path
        assert (await client.get(f"/api{path}")).status_code == 404, path
    for path in (
        "/dead/pagos?since=tomorrow",
        "/dead/pagos?cursor=x",
        "/messages?service=x&cursor=y",
        "/audit?cursor=z",
    ):
        assert (await client.get(path)).status_code == 400, path


async def test_mounted_under_a_path_all_links_stay_there(browse: Any, bury: Any) -> None:
    [letter] = await bury()
    client = browse(mount="/ops")
    for path in ("/", "/services", "/dead/pagos", f"/dead/pagos/{letter}", "/messages"):
        page = (await client.get(f"/ops{path}")).text
        links = [part.split('"')[0] for name in ('href="', 'action="', 'src="') for part in page.split(name)[1:]]
        assert len(links) > 5
        assert [link for link in links if not link.startswith(("/ops/", "#"))] == []
    assert 'hx-sse:connect="/ops/live/overview"' in (await client.get("/ops/")).text


async def test_it_can_be_mounted_in_another_application(redis: Any, settings: Any) -> None:
    import httpx2
    from starlette.applications import Starlette
    from starlette.routing import Mount

    from nooble.dashboard import dashboard

    app = dashboard(redis, settings("dash"))
    around = Starlette(routes=[Mount("/ops", app)])
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(around), base_url="http://localhost") as client:
        assert 'href="/ops/services"' in (await client.get("/ops/")).text
        assert (await client.get("/ops/static/nooble.css")).status_code == 200
        assert (await client.get("/ops/api/overview")).status_code == 200
    await app.state.desk.close()


async def test_a_message_and_its_conversation(browse: Any, sender: Any, redis: Any) -> None:
    sent = await sender.send("pagos.cargo.cobrar", {"pedido": 7, "importe": 1, "password": "tortilla"})
    client = browse()
    found = (await client.get(f"/api/messages?id={sent}")).json()["messages"]
    assert [one["place"] for one in found] == ["waiting"]
    entry = found[0]["entry_id"]
    page = (await client.get(f"/messages/pagos/{entry}")).text
    assert str(sent) in page
    assert "tortilla" not in page
    told = (await client.get(f"/api/messages/pagos/{entry}")).json()
    assert told["message"]["envelope"]["data"] == {"pedido": 7, "importe": 1, "password": HIDDEN}
    assert [one["entry_id"] for one in told["conversation"]] == [entry]
    by_text = (await client.get("/api/messages", params={"service": "pagos", "text": '"PEDIDO":7'})).json()["messages"]
    assert [one["entry_id"] for one in by_text] == [entry]
    assert (await client.get("/api/messages?service=pagos&action=pagos.other.*")).json()["messages"] == []


async def test_nothing_is_found_in_what_is_hidden(browse: Any, sender: Any, redis: Any) -> None:
    for _ in range(60):
        await sender.send("pagos.cargo.cobrar", {"pedido": 7, "importe": 1, "password": "tortilla"})
    key = "nooble4:test:pagos:dead_letters:main"
    await redis.xadd(key, {"reason": "X", "error": "no way to redis://u:tortilla@h", "data": b"{}"})
    client = browse()
    told = []
    for text in ("tort", "nothing like it"):
        page = (await client.get("/api/messages", params={"service": "pagos", "text": text})).json()
        told.append([page[name] for name in ("messages", "cursor", "scanned", "cut")])
        letters = (await client.get("/api/dead/pagos", params={"text": text})).json()
        assert letters["letters"] == []
    assert told[0] == told[1], "what is hidden makes a difference"
    assert len((await client.get("/api/dead/pagos", params={"text": "no WAY to"})).json()["letters"]) == 1
    assert len((await client.get("/api/messages?service=pagos&text=importe")).json()["messages"]) == 60


async def test_a_search_goes_on_where_it_stopped(browse: Any, sender: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages_kept, "_SEARCHED", 4)
    monkeypatch.setattr(pages_kept, "_SEARCHED_AT_ONCE", 2)
    for number in range(9):
        await sender.send(
            "pagos.cargo.cobrar", {"pedido": number, "importe": 1, "nota": "even" if number == 1 else "x"}
        )
    client, cursor, found, scanned = browse(), "", [], []
    while cursor is not None:
        query = {"service": "pagos", "text": "even", "cursor": cursor}
        page = (await client.get("/api/messages", params=query)).json()
        cursor, found = page["cursor"], [*found, *page["messages"]]
        scanned.append(page["scanned"])
    assert len(found) == 1
    assert sum(scanned) == 9
    assert len(scanned) == 3


async def test_what_nobody_knows_to_be_sensitive_is_hidden(
    browse: Any, sender: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(self: System, service: str) -> Any:
        raise ServerRefused("the worker cards may not be read")

    monkeypatch.setattr(System, "routes", refuse)
    await sender.send("pagos.cargo.cobrar", {"pedido": 7, "deep": [{"tarjeta": "4242", "none": None}]})
    client = browse()
    [found] = (await client.get("/api/messages?service=pagos")).json()["messages"]
    there = f"/messages/pagos/{found['entry_id']}"
    told = (await client.get(f"/api{there}")).json()
    expected = {"pedido": HIDDEN, "deep": [{"tarjeta": HIDDEN, "none": None}]}
    assert told["message"]["envelope"]["data"] == expected
    page = (await client.get(there)).text
    assert "4242" not in page
    assert "the worker cards may not be read" in page


async def test_a_rule_of_ones_own_hides_more(browse: Any, sender: Any) -> None:
    await sender.send("pagos.cargo.cobrar", {"pedido": 7, "importe": 1, "cliente": "Ana"})
    client = browse(redact=lambda action_type, payload: {**payload, "cliente": action_type})
    [found] = (await client.get("/api/messages?service=pagos")).json()["messages"]
    told = (await client.get(f"/api/messages/pagos/{found['entry_id']}")).json()
    assert told["message"]["envelope"]["data"]["cliente"] == "pagos.cargo.cobrar"


async def test_a_server_that_is_away_is_told_and_comes_back(browse: Any, launch: Any) -> None:
    from redis.asyncio import Redis

    server = launch()
    async with Redis.from_url(server.url) as connection:
        client = browse(of=connection)
        assert (await client.get("/")).status_code == 200
        server.stop()

        async def away() -> Any:
            page = await client.get("/")
            return page if page.status_code == 503 else None

        page = await wait_until(away, "the page says that the server is away")
        assert "The server is away" in page.text
        for path in ("/messages?service=pagos", "/dead/pagos", "/retries/pagos", "/audit"):
            page = await client.get(path)
            assert page.status_code == 503, path
            assert 'http-equiv="refresh"' in page.text
        server.start()

        async def back() -> bool:
            return (await client.get("/")).status_code == 200

        await wait_until(back, "the page is whole again")


async def test_a_server_that_was_never_there(browse: Any) -> None:
    from redis.asyncio import Redis

    client = browse(of=Redis.from_url(NOBODY))
    for path in ("/", "/services", "/workers", "/server", "/services/pagos", "/dead/pagos", "/audit"):
        assert (await client.get(path)).status_code == 503, path
        assert (await client.get(f"/api{path if path != '/' else '/overview'}")).status_code == 503, path


async def test_a_line_that_the_page_does_not_mean_ends_no_line_of_the_stream(redis: Any, settings: Any) -> None:
    async with System(redis, settings()) as system:
        watch = Watch(system.read, every=0.05)

        async def draw(seen: Any) -> str:
            return '<p title="a\r\rdata: <b>b\r\n">\nc'

        stream = events(watch, ("/",), draw)
        parts = [await anext(stream), await anext(stream)]
        await stream.aclose()
        await watch.close()
    lines = b"".join(parts).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
    assert [line for line in lines if line.startswith(b"data:")] == [
        b'data: <p title="a&#13;&#13;data: <b>b&#13;',
        b'data: ">',
        b"data: c",
    ]


async def test_many_who_watch_cost_one_reading(redis: Any, settings: Any) -> None:
    from nooble.operations.system import System

    async with System(redis, settings()) as system:
        watch = Watch(system.read, every=0.05)
        drawn: list[int] = []

        async def draw(seen: Any) -> str:
            drawn.append(seen.version)
            return f"<p>{seen.version}</p>"

        async def browser() -> list[bytes]:
            parts = []
            async for part in events(watch, ("/",), draw):
                parts.append(part)
                if len(parts) == 4:
                    break
            return parts

        told = await asyncio.gather(*(browser() for _ in range(20)))
        assert all(parts == told[0] for parts in told)
        assert drawn == sorted(set(drawn))  # every version once, for all
        assert watch.reads <= len(drawn) + 1
        await wait_until(lambda: watch.watchers == 0, "all have left")
        await asyncio.sleep(0.06)
        before = watch.reads
        await asyncio.sleep(0.2)
        assert watch.reads == before, "nobody looks, and it reads"
        await watch.close()
