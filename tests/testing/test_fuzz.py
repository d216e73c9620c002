"""Fuzzing finds each kind of fault, makes it small, says how to see it again, and leaves sound services alone."""

from __future__ import annotations

import linecache
import shlex

import pytest
import redis as redis_library

from nooble import BaseService, CommonAppSettings
from nooble.cli.payloads import read_payload
from nooble.testing.fuzz import Subject, Terms, Verdict, fuzz, fuzz_services, worker_maker
from nooble.testing.fuzz_findings import MENDS, as_json, call_line
from nooble.testing.fuzz_judging import names_the_field
from nooble.testing.mistakes import HarnessMistake
from tests.support.settings import make_settings
from tests.testing import faulty

WITHOUT_END = ("NO_END", "CALL_TIMEOUT")


def fuzzed(service: type[BaseService], server: str, examples: int = 40, patience: float = 5.0) -> dict[str, Verdict]:
    subject = Subject(make_settings("shop"), worker_maker(service))
    terms = Terms(examples=examples, seed=1)
    found = fuzz_services([subject], server=server, terms=terms, patience=patience)
    return {one.action_type: one for one in found}


def kinds_of(tested: Verdict) -> list[str]:
    return [finding.kind for finding in tested.findings]


@pytest.fixture(params=["fake", pytest.param("server", marks=pytest.mark.slow)])
def place(request: pytest.FixtureRequest) -> str:
    """Both servers that a fuzzed service can have here."""
    return "fake" if request.param == "fake" else request.getfixturevalue("redis_url")


# ── what is sound ──


def test_a_service_that_keeps_what_it_declares_passes_every_trial(place: str) -> None:
    tested = fuzzed(faulty.SoundService, place, examples=12)
    assert [one.findings for one in tested.values()] == [[]] * 4
    assert tested["shop.order.make"].counts == {"valid": 12, "invalid": 6, "hostile": 3}
    assert tested["shop.order.pay"].counts == {"valid": 12, "invalid": 6, "hostile": 3, "twice": 3}
    assert tested["shop.order.count"].counts == {"valid": 12, "hostile": 3}


def test_nothing_of_it_is_left_in_the_server_and_nothing_else_is_touched(redis_url: str) -> None:
    client = redis_library.Redis.from_url(redis_url)
    client.set("sessions", "of everybody", ex=60)
    client.xadd("nooble4:development:shop:streams:main", {"data": "{}"})
    fuzzed(faulty.EdgeService, redis_url, examples=5)
    assert sorted(client.keys("*")) == [b"nooble4:development:shop:streams:main", b"sessions"]
    assert client.xlen("nooble4:development:shop:streams:main") == 1
    client.close()


# ── what is not ──

SEEDED = [
    (faulty.EdgeService, "HANDLER_ERROR", {"name": "", "count": 0}),
    (faulty.WrongService, "INVALID_RESPONSE", {"name": "", "count": 501}),
    (faulty.DisguisedService, "INVALID_RESPONSE", {"name": "", "count": 0}),
    (faulty.SwallowedService, "SWALLOWED_RETRY", {"name": "", "count": 100}),
    (faulty.TwiceInMemoryService, "NOT_IDEMPOTENT", {"name": "", "count": 0}),
    (faulty.StubbornService, "REFUSED", {}),
]


@pytest.mark.parametrize(("service", "kind", "smallest"), SEEDED, ids=[one[0].__name__ for one in SEEDED])
def test_a_seeded_fault_is_found_and_made_small(
    service: type[BaseService], kind: str, smallest: dict[str, object], redis_url: str
) -> None:
    (tested,) = fuzzed(service, redis_url).values()
    (finding,) = tested.findings
    assert (finding.kind, finding.payload) == (kind, smallest)
    assert finding.always
    assert finding.call == f"nooble call {tested.action_type} '{as_json(smallest)}'"
    assert finding.mend == MENDS[kind]


def test_the_line_that_raised_the_error_is_told(redis_url: str) -> None:
    (tested,) = fuzzed(faulty.EdgeService, redis_url, examples=10).values()
    path, _, line = tested.findings[0].where.rpartition(":")
    assert path == faulty.__file__
    assert "order.count" in linecache.getline(path, int(line))


def test_an_effect_that_is_written_at_once_is_found_on_a_server_of_its_own() -> None:
    (tested,) = fuzzed(faulty.TwiceInRedisService, "fake").values()
    (finding,) = tested.findings
    assert finding.kind == "NOT_IDEMPOTENT"
    assert "key shop:paid" in finding.message
    assert finding.payload == {"name": "", "count": 11}


REFUSALS = [
    (faulty.OpenService, "INVALID_ACCEPTED"),
    (faulty.NamelessService, "INVALID_UNNAMED"),
    (faulty.InsistentService, "INVALID_RETRIED"),
]


@pytest.mark.parametrize(("service", "kind"), REFUSALS, ids=[kind for _, kind in REFUSALS])
def test_payloads_that_do_not_fit_have_to_be_refused_at_once_and_by_name(service: type[BaseService], kind: str) -> None:
    (tested,) = fuzzed(service, "fake", examples=10).values()
    assert kinds_of(tested) == [kind]


@pytest.mark.parametrize(
    ("service", "kind"),
    [
        (faulty.LateService, "TIMEOUT"),
        (faulty.BlockingService, "OVER_TIMEOUT"),
        (faulty.HangingService, "NO_END"),
        (faulty.CallingService, "CALL_TIMEOUT"),
    ],
)
@pytest.mark.slow
@pytest.mark.timeout(120)
def test_what_takes_too_long_is_found_and_the_rest_goes_on(
    service: type[BaseService], kind: str, redis_url: str
) -> None:
    (tested,) = fuzzed(service, redis_url, patience=1.0).values()
    assert tested.findings[0].kind == kind
    assert tested.counts["invalid"] == 20


@pytest.mark.slow
def test_who_is_asked_in_vain_is_named() -> None:
    (tested,) = fuzzed(faulty.CallingService, "fake", examples=1, patience=0.3).values()
    assert "mail was asked, and nobody answers there" in tested.findings[0].message


@pytest.mark.slow
def test_memory_that_grows_is_found() -> None:
    faulty.GrowingService.kept.clear()
    try:
        subject = Subject(make_settings("shop"), worker_maker(faulty.GrowingService))
        (tested,) = fuzz_services([subject], server="fake", terms=Terms(examples=100, seed=1, memory=16 * 2**20))
        assert kinds_of(tested) == ["MEMORY"]
    finally:
        faulty.GrowingService.kept.clear()


def test_a_model_that_cannot_be_made_is_a_finding_of_its_own() -> None:
    (tested,) = fuzzed(faulty.UnmakeableService, "fake").values()
    assert kinds_of(tested) == ["UNMAKEABLE"]
    assert "no payload can be made for Never" in tested.findings[0].message


@pytest.mark.slow
def test_the_same_seed_tries_the_same(redis_url: str) -> None:
    subject = Subject(make_settings("shop"), worker_maker(faulty.WrongService))
    once, again = (fuzz_services([subject], server=redis_url, terms=Terms(examples=30, seed=7))[0] for _ in range(2))
    assert once.findings
    assert once.as_dict() == again.as_dict()


def test_the_handlers_are_what_they_were_afterwards() -> None:
    before = faulty.EdgeService.share.binding()._function
    fuzzed(faulty.EdgeService, "fake", examples=1)
    assert faulty.EdgeService.share.binding()._function is before


# ── what is typed ──


class Silent(BaseService):
    """Declares nothing."""


def test_an_action_that_is_not_there_is_told() -> None:
    subject = Subject(make_settings("shop"), worker_maker(faulty.EdgeService))
    with pytest.raises(HarnessMistake, match=r"no action 'shop.order.shar'; did you mean 'shop.order.share'\?"):
        fuzz_services([subject], server="fake", action_types=["shop.order.shar"])


def test_a_service_without_actions_is_told() -> None:
    with pytest.raises(HarnessMistake, match="shop declares no action that could be fuzzed"):
        fuzzed(Silent, "fake")


@pytest.mark.parametrize("payload", [{}, {"a": "it's"}, {"é\x1b": "\u202e🎈"}])
def test_a_line_can_be_pasted(payload: dict[str, str]) -> None:
    line = call_line("shop.order.make", payload, "shop")
    assert line.isascii()
    assert line.isprintable()
    words = shlex.split(line)
    assert words[:3] == ["nooble", "call", "shop.order.make"]
    assert read_payload(words[3:]) == payload


def test_a_service_of_another_name_is_named_in_the_line() -> None:
    assert call_line("shop.order.make", {}, "store").endswith(" --service store")


@pytest.mark.parametrize(
    ("paths", "broken", "named"),
    [
        (["$.data.lines[0].count"], "$.data.lines[0].count", True),
        (["$.data.A.count", "$.data.B.count"], "$.data.count", True),
        (["$.data"], "$.data.kind", True),
        (["$.data.name"], "$.data.count", False),
        ([], "$.data.count", False),
    ],
)
def test_a_field_is_named_by_its_path(paths: list[str], broken: str, named: bool) -> None:
    assert names_the_field(paths, broken) is named


# ── as a decorator ──


@fuzz(faulty.SoundService, examples=4)
def test_each_action_is_a_test_of_its_own() -> None: ...


@pytest.fixture
def stock() -> list[str]:
    return ["apples"]


class Stocked(faulty.SoundService):
    def __init__(self, app_settings: CommonAppSettings, stock: list[str]) -> None:
        super().__init__(app_settings)
        assert stock == ["apples"]


@fuzz(Stocked, "shop.order.make", examples=5, seed=3)
def test_what_makes_the_service_may_take_fixtures(stock: list[str]):
    return lambda app_settings: Stocked(app_settings, stock)


def test_a_fault_fails_the_test_and_tells_the_line() -> None:
    @fuzz(faulty.EdgeService, examples=10)
    def test() -> None: ...

    (mark,) = test.pytestmark  # type: ignore[attr-defined]
    assert mark.args == ("fuzzed_action", ["shop.order.share"])
    with pytest.raises(pytest.fail.Exception, match=r"nooble call shop.order.share '\{\"name\":\"\",\"count\":0\}'"):
        test(fuzzed_action="shop.order.share")
