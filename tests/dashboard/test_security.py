"""Who is let in, from where, and with which headers; and that nothing is changed by who is not."""

from __future__ import annotations

import base64
from functools import partial
from typing import Any

import pytest

from nooble.dashboard.access import COOKIE, Access, check_bind, identity, name_of, session
from nooble.dashboard.app import DEEDS
from nooble.errors import ConfigurationFault
from tests.dashboard.conftest import FROM_A_PAGE, HOME

TOKEN = "a-token-that-is-long-enough"
pytestmark = pytest.mark.leaves_keys("the audit outlives what was done")


def addresses() -> list[str]:
    values = {
        "{service}": "pagos",
        "{action:path}": "pagos.cargo.cobrar",
        "{id}": "1-1",
        "{consumer}": "w",
        "{order}": "stop",
    }
    found = []
    for path in DEEDS:
        for name, value in values.items():
            path = path.replace(name, value)
        found.append(path)
    return found


# ── where it listens ──


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_on_this_machine_nobody_has_to_be_asked(host: str) -> None:
    check_bind(host, Access())


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "ops.example.com", ""])
def test_elsewhere_somebody_has_to_be_asked(host: str) -> None:
    with pytest.raises(ConfigurationFault, match=r"--token.*NOOBLE_DASHBOARD_TOKEN"):
        check_bind(host, Access())
    check_bind(host, Access(token=TOKEN))
    check_bind(host, Access(users={"ana": "secreto-largo"}))
    check_bind(host, Access(who=lambda request: "ana"))


@pytest.mark.parametrize("address", ["10.0.0.7", "::ffff:10.0.0.7", "testclient", ""])
async def test_where_nobody_is_asked_a_stranger_is_not_served_whatever_name_is_written(
    browse: Any, address: str
) -> None:
    client = browse(address=address)
    for path in ("/", "/api/overview", "/static/nooble.css", "/live/overview", "/login"):
        answer = await client.get(path, headers={"Host": "localhost"})
        assert answer.status_code == 403, path
        assert "give it a token, users or who=" in answer.text
    for path in addresses():
        assert (await client.post(path)).status_code == 403, path
    assert (await browse(address=address, token=TOKEN).get("/login")).status_code == 200


@pytest.mark.parametrize("address", ["127.0.0.1", "::1", "::ffff:127.0.0.1"])
async def test_this_machine_is_served(browse: Any, address: str) -> None:
    assert (await browse(address=address).get("/")).status_code == 200


def test_names_of_elsewhere_need_somebody_who_is_asked() -> None:
    for hosts in (["ops.example.com"], ["localhost", "10.0.0.7"], ["127.0.0.1.evil.example"]):
        with pytest.raises(ConfigurationFault, match="give it a token"):
            Access(hosts=hosts)
        Access(hosts=hosts, token=TOKEN)
    Access(hosts=["localhost", "127.0.0.1:8420", "::1", "[::1]:1"])


def test_what_is_too_short_to_protect_is_refused() -> None:
    with pytest.raises(ConfigurationFault, match="fewer than 16"):
        Access(token="short")
    with pytest.raises(ConfigurationFault, match="8 characters"):
        Access(users={"ana": "short"})
    assert TOKEN not in repr(Access(token=TOKEN, users={"ana": "secreto-largo"}))
    assert "secreto" not in repr(Access(users={"ana": "secreto-largo"}))


# ── under which name ──


@pytest.mark.parametrize(
    ("host", "name"), [("LocalHost:80", "localhost"), ("[::1]:8420", "::1"), ("127.0.0.1", "127.0.0.1"), ("", "")]
)
def test_the_name_in_a_host_header(host: str, name: str) -> None:
    assert name_of(host) == name


async def test_a_page_on_the_web_does_not_reach_it_under_a_name_of_its_own(browse: Any) -> None:
    client = browse()
    for host in (
        "evil.example",
        "evil.example:8420",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "10.0.0.1",
        "",
    ):
        for path in ("/", "/api/overview", "/static/nooble.css", "/live/overview"):
            assert (await client.get(path, headers={"Host": host})).status_code == 403, (host, path)
    for host in ("localhost:1", "127.0.0.1", "[::1]:8420"):
        assert (await client.get("/", headers={"Host": host})).status_code == 200, host
    named = browse(token=TOKEN, hosts=["ops.example.com"])
    assert (await named.get("/login", headers={"Host": "ops.example.com"})).status_code == 200
    assert (await named.get("/login")).status_code == 403


# ── who ──


async def test_without_the_token_there_is_only_the_login_page(browse: Any) -> None:
    client = browse(token=TOKEN)
    page = await client.get("/dead/pagos?reason=x")
    assert (page.status_code, page.headers["location"]) == (303, "/login?next=/dead/pagos%3Freason%3Dx")
    for path in ("/api/overview", "/live/overview"):
        assert (await client.get(path)).status_code == 401
    assert (await client.get("/login")).status_code == 200
    assert (await client.get("/static/nooble.css")).status_code == 200
    for path in addresses():
        assert (await client.post(path)).status_code == 303, path
    for path in ("/static/none", "/login/", "/loginx", "/static/../audit"):
        page = await client.get(path)
        assert page.status_code in (303, 404), path
        assert "<nav" not in page.text, path
    wrong = await client.post("/login", data={"token": "another-token-as-long"})
    assert wrong.status_code == 403
    assert COOKIE not in wrong.cookies


async def test_who_logs_in_is_let_in_and_out(browse: Any) -> None:
    client = browse(token=TOKEN)
    done = await client.post("/login", data={"token": TOKEN, "name": "Ana", "next": "/dead"})
    assert (done.status_code, done.headers["location"]) == (303, "/dead")
    cookie = done.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    page = await client.get("/")
    assert page.status_code == 200
    assert "Ana" in page.text
    await client.post("/logout")
    assert (await client.get("/")).status_code == 303


@pytest.mark.parametrize(
    "there", ["//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\nx"]
)
async def test_a_login_leads_nowhere_else(browse: Any, there: str) -> None:
    done = await browse(token=TOKEN).post("/login", data={"token": TOKEN, "next": there})
    assert done.headers["location"] == "/"


async def test_programs_send_the_token_or_a_password(browse: Any) -> None:
    client = browse(token=TOKEN, users={"ana": "secreto-largo"})

    async def status(authorization: str) -> int:
        answer = await client.get("/api/overview", headers={"Authorization": authorization.encode()})
        return int(answer.status_code)

    def basic(words: str) -> str:
        return "Basic " + base64.b64encode(words.encode()).decode()

    assert await status(f"Bearer {TOKEN}") == 200
    assert await status(basic("ana:secreto-largo")) == 200
    for wrong in (
        *(
            "Bearer",
            f"Bearer {TOKEN}x",
            f"Basic {TOKEN}",
            "Basic ",
            "Basic ñ",
            basic("ana:"),
            basic("ana"),
            basic("luis:secreto-largo"),
        ),
        *(basic("ana:secreto-largo2"), basic(":"), f"Negotiate {TOKEN}"),
    ):
        assert await status(wrong) == 401, wrong


def test_a_session_ends_and_cannot_be_made_up() -> None:
    access = Access(token=TOKEN)
    cookie = session(TOKEN, "Ana.María; x", now=1000)
    assert identity(access, "", cookie, now=1000) == "Ana.María; x"
    assert identity(access, "", cookie, now=1000 + 13 * 3600) is None
    assert identity(Access(token=f"{TOKEN}2"), "", cookie, now=1000) is None
    ends, _, rest = cookie.partition(".")
    for forged in (
        f"{int(ends) + 9}.{rest}",
        cookie[:-1],
        "",
        ".",
        "..",
        "9" * 400 + ".a.b",
        "1e9.a.b",
        cookie.replace("Ana", "Eva"),
    ):
        assert identity(access, "", forged, now=1000) is None, forged


async def test_the_application_around_says_who(browse: Any) -> None:
    client = browse(who=lambda request: request.headers.get("x-user"))
    assert (await client.get("/")).status_code == 401
    page = await client.get("/", headers={"X-User": "eva"})
    assert page.status_code == 200
    assert "eva" in page.text


@pytest.mark.parametrize("said", ["", 0, 7, True, b"eva", ["eva"], {"name": "eva"}, object()])
async def test_only_a_name_lets_in(browse: Any, said: Any) -> None:
    assert (await browse(who=lambda request: said).get("/")).status_code == 401


async def test_who_has_to_be_awaited_lets_nobody_in(browse: Any) -> None:
    async def who(request: Any) -> str | None:
        return None

    with pytest.raises(ConfigurationFault, match="plain function"):
        Access(who=who)
    with pytest.raises(ConfigurationFault, match="plain function"):
        await browse(who=partial(lambda request, later: later(request), later=who)).get("/")


async def test_a_read_only_dashboard_can_be_left(browse: Any) -> None:
    client = browse(read_only=True, token=TOKEN)
    await client.post("/login", data={"token": TOKEN})
    assert (await client.get("/")).status_code == 200
    assert (await client.post("/logout")).headers["location"] == "/login"
    assert (await client.get("/")).status_code == 303
    foreign = browse(read_only=True, token=TOKEN, headers={"Sec-Fetch-Site": "cross-site"})
    foreign.headers["Authorization"] = f"Bearer {TOKEN}"
    assert (await foreign.post("/logout")).status_code == 403


async def test_of_a_stranger_little_is_read(browse: Any) -> None:
    client, read = browse(token=TOKEN), 0

    async def body() -> Any:
        nonlocal read
        for part in (f"token={TOKEN}&name=".encode(), *[b"x" * 4_096] * 100):
            read += len(part)
            yield part

    answer = await client.post("/login", content=body(), headers={"Content-Length": "1"})
    assert (answer.status_code, COOKIE in answer.cookies) == (403, False)
    assert read < 4 * 8_192
    long = {"token": TOKEN, "name": "x" * 10_000}
    assert (await client.post("/login", data=long)).status_code == 403
    assert (await client.post("/login", data={"token": TOKEN, "next": "/" + "x" * 2_000})).status_code == 303


# ── what ──


@pytest.mark.parametrize(
    "headers",
    [
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "none"},
        {"Sec-Fetch-Site": "cross-site", "Origin": HOME},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "http://["},
        {"X-Nothing": "of it"},
    ],
)
async def test_a_change_that_comes_from_elsewhere_is_refused(
    browse: Any, headers: dict[str, str], bury: Any, redis: Any
) -> None:
    [letter] = await bury()
    client = browse(headers=headers)
    for path in ["/dead/pagos/discard", *addresses(), "/login", "/logout"]:
        answer = await client.post(path, data={"id": letter, "sure": "yes"})
        assert answer.status_code == 403, path
    assert await redis.xlen("nooble4:test:pagos:dead_letters:main") == 1


@pytest.mark.parametrize("headers", [FROM_A_PAGE, {"Origin": HOME}])
async def test_a_change_that_comes_from_a_page_is_done(
    browse: Any, headers: dict[str, str], bury: Any, redis: Any
) -> None:
    [letter] = await bury()
    answer = await browse(headers=headers).post("/dead/pagos/discard", data={"id": letter, "sure": "yes"})
    assert answer.status_code == 303
    assert await redis.xlen("nooble4:test:pagos:dead_letters:main") == 0


async def test_a_program_with_the_token_needs_no_page(browse: Any, bury: Any, redis: Any) -> None:
    [letter] = await bury()
    client = browse(token=TOKEN, headers={"Authorization": f"Bearer {TOKEN}"})
    answer = await client.post("/dead/pagos/discard", data={"id": letter, "sure": "yes"})
    assert answer.status_code == 303


async def test_read_only_nothing_can_be_changed_and_nothing_pretends_to(browse: Any, bury: Any) -> None:
    [letter] = await bury()
    client = browse(read_only=True)
    for path in addresses():
        assert (await client.post(path, data={"id": letter, "sure": "yes"})).status_code == 403, path
    for path in ("/", "/dead/pagos", f"/dead/pagos/{letter}", "/workers", "/retries/pagos"):
        page = (await client.get(path)).text
        assert 'method="post"' not in page, path
    with_token = browse(read_only=True, token=TOKEN)
    assert (await with_token.post("/login", data={"token": TOKEN})).status_code == 303
    assert (await with_token.post("/dead/pagos/discard", data={"id": letter, "sure": "yes"})).status_code == 403


async def test_nothing_is_changed_by_looking(browse: Any) -> None:
    client = browse()
    for path in addresses():
        answer = await client.get(path)
        assert answer.status_code in (200, 400, 404, 405), path


# ── headers ──


async def test_every_answer_keeps_the_browser_in_bounds(browse: Any) -> None:
    client = browse(token=TOKEN)
    answers = [
        await client.get(path) for path in ("/", "/login", "/static/nooble.css", "/static/none", "/api/x", "/nowhere")
    ]
    answers.append(await client.get("/", headers={"Host": "evil.example"}))
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert "frame-ancestors 'none'" in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "same-origin"
        assert answer.headers["cache-control"] == "no-store"
    versioned = await client.get("/static/nooble.css?v=1")
    assert "immutable" in versioned.headers["cache-control"]


async def test_a_page_has_nothing_that_the_policy_forbids(browse: Any, bury: Any) -> None:
    [letter] = await bury()
    client = browse()
    for path in ("/", "/dead/pagos", f"/dead/pagos/{letter}", f"/messages/pagos/{letter}", "/streams/pagos", "/server"):
        page = (await client.get(path)).text
        assert " style=" not in page
        assert "<style" not in page
        assert " onclick" not in page
        assert "://" not in page.replace("http://www.w3.org", ""), path
        assert all("src=" in part.split(">")[0] for part in page.split("<script")[1:])


async def test_too_much_is_not_read(browse: Any, settings: Any) -> None:
    client = browse()
    answer = await client.post("/dead/pagos/replay", content=b"a=" + b"x" * 5_000_000)
    assert answer.status_code == 413
    answer = await client.post("/dead/pagos/replay", content=b"&".join(b"id=1-1" for _ in range(3_000)))
    assert answer.status_code == 413
    answer = await client.post("/dead/pagos/replay", content=b"&".join(b"id=%d-1" % n for n in range(600)))
    assert answer.status_code == 400
