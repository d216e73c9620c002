"""The dashboard in a real browser: it lives, it is used by keyboard and without scripts, it asks nobody else for anything,
its policy holds, and a screen reader has what it needs."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from nooble.dashboard import Access, dashboard
from nooble.dashboard.app import KEPT, LIVE
from nooble.dashboard.serving import address_of, listening, serve
from tests.support.waiting import wait_until

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
AXE = Path(__file__).parent / "axe.min.js"
TOKEN = "a-token-that-is-long-enough"

pytest.importorskip("playwright.async_api", reason="playwright is not installed: pip install playwright")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.leaves_keys("routes and the audit outlive a worker"),
    pytest.mark.skipif(CHROMIUM is None, reason="there is no chromium on this machine: apt-get install chromium"),
    pytest.mark.timeout(180),
]


class Window:
    """A browser window, and what it has complained of and asked for."""

    def __init__(self, page: Any, home: str) -> None:
        self.page = page
        self.home = home
        self.complaints: list[str] = []
        self.asked: list[str] = []
        page.on("console", lambda told: told.type in ("error", "warning") and self.complaints.append(told.text))
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("request", lambda request: self.asked.append(request.url))

    async def go(self, path: str) -> Any:
        return await self.page.goto(self.home.rstrip("/") + path)

    async def violations(self) -> list[str]:
        """What axe finds that is serious or worse."""
        found = await self.page.evaluate("async () => (await axe.run(document)).violations")
        return [
            f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0]['failureSummary'][:300]}"
            for one in found
            if one["impact"] in ("serious", "critical")
        ]

    @property
    def strangers(self) -> list[str]:
        """Requests that went elsewhere."""
        here = urlsplit(self.home).netloc
        return [url for url in self.asked if urlsplit(url).netloc != here and not url.startswith("data:")]


@pytest.fixture
async def served(settings: Any, redis: Any) -> AsyncIterator[Callable[..., Any]]:
    """`await served()`: the address of a dashboard on a port of its own."""
    stopped, tasks = asyncio.Event(), []

    def start(of: Any = None, **access: Any) -> str:
        protected = Access(**access)
        app = dashboard(of or redis, settings("dash"), access=protected, every=0.2)
        sock = listening("127.0.0.1", 0, protected)
        tasks.append(asyncio.create_task(serve(app, protected, sock, stopped.wait)))
        return address_of(sock)

    yield start
    stopped.set()
    await asyncio.gather(*tasks)


@pytest.fixture
async def window() -> AsyncIterator[Callable[..., Any]]:
    """`async with window(home) as w`: a new window, with the options of a context."""
    from playwright.async_api import async_playwright, expect

    expect.set_options(timeout=20_000)
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])

        @asynccontextmanager
        async def opened(home: str, **options: Any) -> AsyncIterator[Window]:
            context = await browser.new_context(**options)
            if options.get("java_script_enabled", True):
                await context.add_init_script(path=AXE)
            context.set_default_timeout(15_000)
            try:
                yield Window(await context.new_page(), home)
            finally:
                await context.close()

        yield opened
        await browser.close()


LOOKS = [
    {"color_scheme": "light", "viewport": {"width": 1280, "height": 800}},
    {"color_scheme": "dark", "viewport": {"width": 1280, "height": 800}},
    {"color_scheme": "light", "viewport": {"width": 375, "height": 700}, "has_touch": True},
]


@pytest.mark.parametrize("look", LOOKS, ids=["light", "dark", "phone"])
async def test_every_page_is_accessible_and_keeps_to_itself(
    served: Any, window: Any, shop: Any, bury: Any, sender: Any, look: Any
) -> None:
    [letter] = await bury(nota="<script>alert(1)</script>\u202e", password="x")
    home = served()
    async with (
        shop(retry_attempts=2, retry_backoff_seconds=600, retry_max_delay_seconds=600) as service,
        window(home, **look) as w,
    ):
        service.is_broken = True
        await sender.send("pagos.cargo.cobrar", {"pedido": 1, "importe": 1})
        consumer = await wait_until(lambda: first_worker(w), "the worker is seen")
        values = {"{service}": "pagos", "{action:path}": "pagos.cargo.cobrar", "{id}": letter, "{consumer}": consumer}
        for path in [*LIVE, *KEPT, "/nowhere"]:
            for name, value in values.items():
                path = path.replace(name, value)
            answer = await w.go(path)
            assert answer.status == (404 if path == "/nowhere" else 200), path
            assert await w.violations() == [], path
            wide = await w.page.evaluate("() => document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{path} is wider than the window"
        complaints = [one for one in w.complaints if "404" not in one]
        assert complaints == []
        assert w.strangers == []


async def first_worker(w: Window) -> str:
    await w.go("/workers")
    rows = w.page.locator("tbody th a")
    return str(await rows.first.get_attribute("title")) if await rows.count() else ""


async def test_a_page_lives_without_being_loaded_again(served: Any, window: Any, sender: Any) -> None:
    from playwright.async_api import expect

    async with window(served()) as w:
        await w.go("/")
        await expect(w.page.get_by_test_id("beat")).to_have_text("live")
        await w.page.evaluate("() => { document.body.dataset.same = 'yes' }")
        await sender.send("pagos.cargo.cobrar", {"pedido": 1, "importe": 1})
        await expect(w.page.get_by_test_id("service-pagos")).to_be_visible()
        await w.page.get_by_test_id("service-pagos").get_by_role("link").first.focus()
        await sender.send("pagos.cargo.cobrar", {"pedido": 2, "importe": 1})
        await expect(w.page.locator(".tile", has_text="Waiting").locator(".value")).to_have_text("2")
        assert await w.page.evaluate("() => document.body.dataset.same") == "yes"
        focused = await w.page.evaluate("() => document.activeElement.textContent")
        assert focused.strip() == "pagos", "what had the focus has lost it"
        assert w.complaints == []


async def test_the_story_of_a_failure(served: Any, window: Any, shop: Any, sender: Any) -> None:
    """Seen on the overview, understood in the letter, edited, replayed, done."""
    from playwright.async_api import expect

    async with shop(), window(served()) as w:
        await sender.send("pagos.cargo.cobrar", {"pedido": -5, "importe": 1, "password": "tortilla"})
        await w.go("/")
        row = w.page.get_by_test_id("service-pagos")
        await expect(row.get_by_role("link", name="1 dead letters of pagos")).to_be_visible()
        await row.get_by_role("link", name="1 dead letters of pagos").click()
        await expect(w.page.locator("tbody")).to_contain_text("the bank does not answer for -5")
        await w.page.locator("tbody th a").first.click()
        area = w.page.locator("textarea")
        text = await area.input_value()
        assert "tortilla" not in text
        await area.fill(text.replace("-5", "5"))
        await w.page.get_by_role("button", name="Replay with this payload").click()
        await expect(w.page.get_by_test_id("note")).to_contain_text("sent with its edited payload")
        await expect(w.page.locator("tbody")).to_contain_text("There are no dead letters here")
        await w.go("/audit")
        await expect(w.page.get_by_test_id("deed")).to_have_count(1)
        assert w.complaints == []


async def test_an_action_is_tried_by_keyboard_alone(served: Any, window: Any, shop: Any) -> None:
    from playwright.async_api import expect

    async with shop(), window(served()) as w:
        await wait_until(lambda: first_worker(w), "the worker is seen")
        await w.go("/services/pagos/actions/pagos.cargo.cobrar")
        keyboard = w.page.keyboard
        await keyboard.press("Tab")
        assert await w.page.evaluate("() => document.activeElement.textContent") == "Skip to the content"
        await keyboard.press("Enter")
        assert await w.page.evaluate("() => document.activeElement.id") == "main"
        for _ in range(20):
            await keyboard.press("Tab")
            if await w.page.evaluate("() => document.activeElement.name") == "field.pedido":
                break
        await keyboard.type("5")
        await keyboard.press("Tab")
        await keyboard.type("9.5")
        await keyboard.press("Enter")
        await expect(w.page.get_by_test_id("answer")).to_contain_text("R-5")
        assert w.complaints == []


async def test_without_scripts_it_is_read_and_used(served: Any, window: Any, bury: Any, redis: Any) -> None:
    from playwright.async_api import expect

    letters = await bury(3)
    async with window(served(), java_script_enabled=False) as w:
        await w.go("/")
        await expect(w.page.get_by_test_id("service-pagos")).to_be_visible()
        await w.go("/dead/pagos")
        await w.page.get_by_test_id(f"letter-{letters[0]}").get_by_role("checkbox").check()
        await w.page.get_by_role("button", name="Replay selected").click()
        await expect(w.page.get_by_test_id("note")).to_contain_text("1 letter replayed")
        await w.page.get_by_role("button", name="Discard all").click()
        await w.page.get_by_role("button", name="Discard 2").click()
        await expect(w.page.get_by_test_id("note")).to_contain_text("2 letters discarded")


async def test_one_box_ticks_all(served: Any, window: Any, bury: Any) -> None:
    from playwright.async_api import expect

    await bury(3)
    async with window(served()) as w:
        await w.go("/dead/pagos")
        boxes = w.page.locator("input[name=id]")
        await w.page.get_by_label("Select all on this page").check()
        assert [await box.is_checked() for box in await boxes.all()] == [True] * 3
        await boxes.first.uncheck()
        assert await w.page.evaluate("() => document.querySelector('[data-all]').indeterminate")
        await w.page.get_by_role("button", name="Replay selected").click()
        await expect(w.page.get_by_test_id("note")).to_contain_text("2 letters replayed")


async def test_a_server_that_goes_away_and_comes_back_needs_no_hand(served: Any, window: Any, launch: Any) -> None:
    from playwright.async_api import expect
    from redis.asyncio import Redis

    server = launch()
    async with Redis.from_url(server.url) as connection, window(served(of=connection)) as w:
        await w.go("/")
        await expect(w.page.get_by_test_id("beat")).to_have_text("live")
        server.stop()
        await expect(w.page.get_by_test_id("away")).to_be_visible()
        server.start()
        await expect(w.page.get_by_test_id("away")).to_have_count(0)


async def test_who_has_the_token_comes_in(served: Any, window: Any) -> None:
    from playwright.async_api import expect

    async with window(served(token=TOKEN)) as w:
        await w.go("/workers")
        assert await w.violations() == []
        await w.page.get_by_label("Token").fill(TOKEN)
        await w.page.get_by_label("Your name").fill("Ana")
        await w.page.get_by_role("button", name="Log in").click()
        await expect(w.page.locator("h1")).to_have_text("Workers")
        await expect(w.page.get_by_test_id("beat")).to_have_text("live")
        assert await w.page.evaluate("() => document.cookie") == ""
        await w.page.get_by_role("button", name="Log out").click()
        await expect(w.page.get_by_label("Token")).to_be_visible()
        assert w.complaints == []
