"""The deciding parts of the dashboard, each without a server: text, figures, drawings, forms, and what is hidden."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from nooble.dashboard import figures
from nooble.dashboard.charts import lines_of
from nooble.dashboard.history import ALL, POINTS, History
from nooble.dashboard.notes import MOST, Note, Notes
from nooble.dashboard.redaction import HIDDEN, Redactor, hidden, merged
from nooble.dashboard.schema_forms import Unfit, fields_of, payload_of, payload_of_json
from nooble.dashboard.text import ACTING, as_json, encoded, pieces, plain
from nooble.operations.reading import Reading, Server, Service, Stream
from nooble.operations.sensitive import sensitive_fields

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8) | st.just("password"), inner, max_size=4)
    ),
    max_leaves=12,
)


# ── text ──


@given(st.text())
def test_nothing_that_acts_is_left(text: str) -> None:
    told = pieces(text, 10_000)
    assert not ACTING.search("".join(piece for _, piece in told))
    assert "".join(piece for acts, piece in told if not acts) == ACTING.sub("", text)


def test_what_acts_is_named_and_what_is_long_is_cut() -> None:
    assert pieces("a\x1b[1mb") == [(False, "a"), (True, "\\x1b"), (False, "[1mb")]
    assert plain("\u202ex\U000e0041") == "\\u202ex\\U000e0041"
    assert plain("x" * 5_000, 10) == "x" * 10 + " … 5,000 characters"
    assert pieces(None) == []
    assert plain(5) == "5"


@pytest.mark.parametrize(
    "value", ["\ud800", {"\udfff": ["\ud800"]}, b"\xff", 10**30, float("nan"), object, {1: 2}, (1, {2}), [[]] * 3]
)
def test_whatever_there_is_can_be_said_as_json(value: Any) -> None:
    json.loads(encoded(value))
    assert as_json(value)


@given(JSON)
def test_json_for_a_person_is_the_value_and_nothing_in_it_acts(value: Any) -> None:
    told = as_json(value)
    assert not ACTING.search(told)
    assert json.loads(told) == value


def test_what_is_nested_too_deeply_is_said_as_well() -> None:
    deep: Any = []
    for _ in range(100_000):
        deep = [deep]
    json.loads(encoded(deep))


# ── figures ──


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (figures.count(None), "–"),
        (figures.count(12345), "12,345"),
        (figures.count(1_234_567), "1.2 M"),
        (figures.rate(0), "0"),
        (figures.rate(0.01), "<0.1"),
        (figures.rate(1234.5), "1,234"),
        (figures.size(1536), "1.5 KB"),
        (figures.size(0), "0 B"),
        (figures.span(0), "0 ms"),
        (figures.span(3_200), "3.2 s"),
        (figures.span(60_000), "1 min"),
        (figures.span(61_000), "1 min 1 s"),
        (figures.span(7_800_000), "2 h 10 min"),
        (figures.span(100 * 86_400_000), "100 d"),
        (figures.ago(1_000, 4_000), "3.0 s ago"),
        (figures.ago(9_000, 4_000), "in 5.0 s"),
        (figures.moment(0), "–"),
        (figures.iso(1_700_000_000_123), "2023-11-14T22:13:20.123Z"),
    ],
)
def test_figures_are_what_people_read(told: str, expected: str) -> None:
    assert told == expected


@given(st.floats(0, 1e30))
def test_no_moment_is_too_late(ms: float) -> None:
    assert figures.moment(ms)
    assert figures.span(ms)


# ── drawings ──


def test_a_line_has_gaps_where_nothing_was_read() -> None:
    [line] = lines_of(
        [[(0, 0), (1_000, 5), (2_000, None), (3_000, 10), (90_000, 10)]],
        100_000,
        width=100,
        height=12,
        window_ms=100_000,
        gap_ms=9_000,
    )
    assert line.line == "M0,11 L1,6 M2,1 L3,1 M89,1 L90,1"
    assert (line.last, line.most) == (10, 10)


def test_lines_share_a_scale_and_nothing_is_no_line() -> None:
    low, high, none = lines_of(
        [[(1, 1), (2, 1)], [(1, 10), (2, 10)], [(1, None)]], 2, width=2, height=12, window_ms=2, gap_ms=5
    )
    assert low.most == high.most == 10
    assert low.line == "M1,10 L2,10"
    assert (none.line, none.area, none.last) == ("", "", None)


# ── what moved ──


def reading(at_ms: int, added: int, length: int, names: tuple[str, ...] = ("a",)) -> Reading:
    services = tuple(
        Service(name=name, stream=Stream(key=name, length=length, added=added, lag=length)) for name in names
    )
    return Reading(at_ms=at_ms, prefix="p", environment="e", services=services, server=Server())


def test_rates_are_told_between_near_readings_only_and_the_ring_is_bounded() -> None:
    history = History()
    history.add(reading(0, 0, 0))
    assert history.of("a")[0].added is None
    history.add(reading(2_000, 10, 2))
    assert (history.rates["a"].added, history.rates["a"].ended) == (5, 4)
    assert history.rates[ALL].added == 5
    history.add(reading(3_600_000, 1_000, 2))
    assert history.of("a")[-1].added is None
    for turn in range(POINTS + 5):
        history.add(reading(3_600_000 + turn * 2_000, turn, 0, ("b",)))
    assert history.of("a") == ()
    assert len(history.of("b")) == len(history.of(ALL)) == POINTS


def test_notes_are_bounded_and_found_by_their_name() -> None:
    notes = Notes()
    names = [notes.keep(Note(text=str(number))) for number in range(MOST + 1)]
    assert notes.find(names[0]) is None
    found = notes.find(names[-1])
    assert found is not None
    assert found.text == str(MOST)
    assert notes.find("") is None


# ── what is hidden ──


@given(JSON)
def test_what_was_not_edited_is_sent_as_it_was(value: Any) -> None:
    shown = hidden(value, {"note"})
    assert merged(shown, shown, value) == value


def test_secrets_are_hidden_at_any_depth_and_come_back() -> None:
    payload = {
        "password": "x",
        "a": [{"apiKey": "y", "n": 1}],
        "card": "4242",
        "url": "redis://u:geheim@h",
        "token": None,
    }
    shown = hidden(payload, {"card"})
    assert shown == {
        "password": HIDDEN,
        "a": [{"apiKey": HIDDEN, "n": 1}],
        "card": HIDDEN,
        "url": "redis://u:***@h",
        "token": None,
    }
    edited = {**shown, "card": "4343", "more": True}
    assert merged(edited, shown, payload) == {**payload, "card": "4343", "more": True}
    assert merged({**shown, "password": "new"}, shown, payload)["password"] == "new"
    for wrong in ({**shown, "url": "redis://u:***@other"}, {"new": HIDDEN}, {**shown, "a": [HIDDEN, 2]}):
        with pytest.raises(ValueError, match="write the value itself"):
            merged(wrong, shown, payload)


PEOPLE = {"people": [{"name": "Ana", "pin": "1", "token": "x"}, {"name": "Eva", "pin": "2", "token": "y"}], "n": 1}


def test_an_element_of_a_list_gets_back_only_its_own_secrets() -> None:
    shown = hidden(PEOPLE, {"pin"})
    ana, eva = shown["people"]
    assert merged({**shown, "n": 2}, shown, PEOPLE) == {**PEOPLE, "n": 2}
    told = merged({"people": [{**ana, "pin": "9"}, eva], "n": 1}, shown, PEOPLE)
    assert told["people"] == [{**PEOPLE["people"][0], "pin": "9"}, PEOPLE["people"][1]]
    luz = {"name": "Luz", "pin": "3", "token": "z"}
    assert merged({"people": [luz, eva], "n": 1}, shown, PEOPLE)["people"] == [luz, PEOPLE["people"][1]]
    for people in (
        [eva, ana],
        [eva],
        [eva, luz],
        [{**ana, "name": "Luz"}, eva],
        [ana, eva, luz],
        [{**ana, "more": 1}, eva],
    ):
        with pytest.raises(ValueError, match="write the value itself"):
            merged({**shown, "people": people}, shown, PEOPLE)


def test_a_text_of_a_list_gets_back_only_its_own_password() -> None:
    urls = ["redis://u:a@one", "redis://u:b@two", "*** plain"]
    shown = hidden(urls)
    assert merged([shown[0], "x", shown[2]], shown, urls) == [urls[0], "x", urls[2]]
    for wrong in ([shown[1], shown[0], shown[2]], shown[1:], [[shown[0]], "x", "y"], [{"a": shown[0]}, "x", "y"]):
        with pytest.raises(ValueError, match="write the value itself"):
            merged(wrong, shown, urls)
    assert merged(["*** more", 1], ["*** plain", 1], ["*** plain", 1]) == ["*** more", 1]


def test_an_action_that_is_not_declared_is_hidden_as_all_that_are() -> None:
    redact = Redactor(declared={"a": frozenset({"card"}), "b": frozenset({"pin"})})
    payload = {"card": "1", "pin": "2", "n": 3}
    assert redact("a", payload) == {"card": HIDDEN, "pin": "2", "n": 3}
    assert redact("other", payload) == {"card": HIDDEN, "pin": HIDDEN, "n": 3}
    assert Redactor(unread="x")("a", payload) == dict.fromkeys(payload, HIDDEN)


def test_true_is_not_one() -> None:
    assert merged({"a": True}, {"a": 1}, {"a": 1}) == {"a": True}
    assert merged({"a": 1.0}, {"a": 1}, {"a": 1})["a"].__class__ is float


def test_what_a_service_declares_is_hidden() -> None:
    schema = {
        "properties": {"pin": {"writeOnly": True}, "n": {}},
        "$defs": {"X": {"properties": {"y": {"format": "password"}}}},
    }
    assert sensitive_fields(schema, "card, cvv") == {"pin", "y", "card", "cvv"}
    assert sensitive_fields(None) == frozenset()


# ── forms ──


class Inner(BaseModel):
    x: int


class Typed(BaseModel):
    name: str = Field(min_length=1, max_length=40, description="Who.")
    count: int = Field(gt=0)
    price: float = 1.5
    yes: bool = False
    kind: str = Field(default="a", json_schema_extra={"enum": ["a", "b"]})
    maybe: str | None = None
    inner: Inner | None = None
    many: list[int] = []


class AsStruct(msgspec.Struct):
    producto: str
    cantidad: int = 1


def test_a_form_is_made_of_a_schema() -> None:
    fields = {one.name: one for one in fields_of(Typed.model_json_schema()) or ()}
    assert {name: one.kind for name, one in fields.items()} == {
        "name": "text",
        "count": "integer",
        "price": "number",
        "yes": "yes_no",
        "kind": "choice",
        "maybe": "text",
        "inner": "json",
        "many": "json",
    }
    assert [name for name, one in fields.items() if one.required] == ["name", "count"]
    assert (fields["name"].about, fields["name"].limits) == (
        "Who.",
        "string, at least 1 character, at most 40 characters",
    )
    assert fields["price"].value == "1.5"
    assert [one.name for one in fields_of(msgspec.json.schema(AsStruct)) or ()] == ["producto", "cantidad"]
    assert fields_of(None) is None
    assert fields_of({"type": "array"}) is None


def test_a_payload_is_made_of_what_was_typed() -> None:
    fields = fields_of(Typed.model_json_schema()) or []
    typed = {
        "name": "Ana",
        "count": "2",
        "price": "3",
        "yes": "true",
        "kind": '"b"',
        "maybe": "",
        "inner": '{"x": 1}',
        "many": "[1]",
    }
    payload = payload_of(fields, typed)
    assert payload == {"name": "Ana", "count": 2, "price": 3, "yes": True, "kind": "b", "inner": {"x": 1}, "many": [1]}
    assert Typed.model_validate(payload)
    assert payload_of(fields, {"name": "", "count": "1"}) == {"name": "", "count": 1}


@pytest.mark.parametrize(
    ("typed", "wrong"),
    [
        ({"name": "x"}, "count"),
        ({"name": "x", "count": "1.5"}, "count"),
        ({"name": "x", "count": "1", "price": "nan"}, "price"),
        ({"name": "x", "count": "1", "price": "1e999"}, "price"),
        ({"name": "x", "count": "1", "yes": "perhaps"}, "yes"),
        ({"name": "x", "count": "1", "kind": '"c"'}, "kind"),
        ({"name": "x", "count": "1", "inner": "{"}, "inner"),
        ({"name": "x", "count": "9" * 5_000}, "count"),
    ],
)
def test_what_does_not_fit_is_told_by_its_field(typed: dict[str, str], wrong: str) -> None:
    with pytest.raises(Unfit) as told:
        payload_of(fields_of(Typed.model_json_schema()) or [], typed)
    assert set(told.value.by_field) == {wrong}


@given(JSON)
def test_any_schema_makes_a_form_or_none(schema: Any) -> None:
    for one in (schema, {"properties": {"a": schema}}, {"properties": schema, "required": schema, "$ref": "#/a"}):
        fields = fields_of(one)
        if fields is not None:
            assert [field.name for field in fields] == [str(name) for name in one["properties"]]


@pytest.mark.parametrize("text", ["[]", "1", "{", '{"a": Infinity}', "[" * 100_000])
def test_json_that_is_no_payload_is_told(text: str) -> None:
    with pytest.raises(Unfit):
        payload_of_json(text)
