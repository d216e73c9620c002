"""What is sensitive is shown nowhere: in no line, no error, no `repr`. Nothing that is shown does anything to a terminal."""

from __future__ import annotations

import json
import logging
import re
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import msgspec
import pytest
import structlog
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import (
    AliasChoices,
    BaseModel,
    ConfigDict,
    Field,
    SecretBytes,
    SecretStr,
    ValidationError,
    field_validator,
)
from typing_extensions import TypedDict

from nooble.config import CommonAppSettings
from nooble.errors import ExternalServiceError, InvalidPayload, InvalidResponse
from nooble.logger import get_logger
from nooble.models import ActionContext, DomainAction, DomainActionResponse, ErrorDetail
from nooble.models import redaction as module
from nooble.models.context import set_current
from nooble.models.redaction import HIDDEN, MOST_TEXT, NAMES, is_secret, masked, redact_names, redacted
from nooble.models.sensitive import Sensitive, sensitive_names
from nooble.observability.logging import init_logging
from nooble.observability.redaction import printable, unmistakable
from nooble.routing import action
from nooble.services import BaseService
from nooble.wire.dead_letters import dead_letter
from nooble.wire.delivery import Delivery
from tests.support.settings import make_settings

Card = Annotated[str, Sensitive()]


class Inner(BaseModel):
    pin: Card
    colour: str = "red"


class Model(BaseModel):
    model_config = ConfigDict(extra="allow", populate_by_name=True)

    card: Card = Field(validation_alias=AliasChoices("card", "cardNumber"))
    code: SecretStr = SecretStr("0000")
    maybe: Card | None = None
    inner: list[Inner] = []
    amount: int = 1


class Struct(msgspec.Struct, rename="camel"):
    card_number: Card
    amount: int = 1
    inner: Inner | None = None


@dataclass
class Data:
    card: Card
    amount: int = 1
    inners: dict[str, Inner] = field(default_factory=dict)


class Typed(TypedDict):
    card: Card
    amount: int


KINDS: dict[str, tuple[Any, Callable[[str], dict[str, Any]]]] = {
    "model": (
        Model,
        lambda secret: {"cardNumber": secret, "code": secret, "maybe": secret, "inner": [{"pin": secret}]},
    ),
    "struct": (Struct, lambda secret: {"cardNumber": secret, "inner": {"pin": secret}}),
    "dataclass": (Data, lambda secret: {"card": secret, "inners": {"a": {"pin": secret}}}),
    "typed dict": (Typed, lambda secret: {"card": secret, "amount": 1}),
    "optional": (Model | None, lambda secret: {"card": secret}),
}
SECRETS = st.text(st.characters(codec="ascii", categories=["L", "N"]), min_size=12, max_size=40).map(
    lambda text: f"s3{text}"
)
"""No part of any word that lines, errors and tracebacks are made of."""
kinds = pytest.mark.parametrize(("kind", "wire"), KINDS.values(), ids=KINDS)


@pytest.fixture(autouse=True)
def _put_back() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = list(root.handlers), root.level
    yield
    redact_names()
    set_current(None)
    structlog.reset_defaults()
    logging.captureWarnings(False)
    root.handlers[:], root.level = handlers, level


def service_for(kind: Any) -> BaseService:
    class PayService(BaseService):
        @action("pay.card.charge")
        async def charge(self, payment: kind) -> None:  # type: ignore[valid-type]
            """Take the money."""

        @action("pay.card.show")
        async def show(self, data: dict[str, Any]) -> kind:  # type: ignore[valid-type]
            return data

    PayService.charge.function.__annotations__["payment"] = kind
    PayService.show.function.__annotations__["return"] = kind
    return PayService(make_settings("pay"))


# ── declared ──


@kinds
def test_a_declaration_counts_by_every_name_on_the_wire_and_at_every_depth(kind: Any, wire: Any) -> None:
    names = sensitive_names(kind)
    assert {name for name in wire("x") if name != "inner" and name != "inners" and name != "amount"} <= names
    assert "amount" not in names
    assert ("pin" in names) is (kind is not Typed)


def test_a_schema_that_says_so_declares_it_and_a_declaration_is_in_the_schema() -> None:
    class Said(BaseModel):
        card: str = Field(json_schema_extra={"writeOnly": True})
        pin: Card
        shown: str = Field(json_schema_extra={"examples": ["x"]})

    class Struct(msgspec.Struct):
        iban: Annotated[str, msgspec.Meta(extra_json_schema={"writeOnly": True})]
        shown: Annotated[str, msgspec.Meta(max_length=5)]

    assert (sensitive_names(Said), sensitive_names(Struct)) == ({"card", "pin"}, {"iban"})
    said = Said.model_json_schema()["properties"]
    assert [name for name, one in said.items() if one.get("writeOnly")] == ["card", "pin"]


def test_what_cannot_be_resolved_declares_nothing() -> None:
    class Unready:
        card: Nowhere  # type: ignore[name-defined]  # noqa: F821

    assert sensitive_names(dataclass(Unready)) == sensitive_names(int) == sensitive_names(None) == frozenset()


class Recursive(BaseModel):
    card: Card
    inside: list[Recursive] = []


def test_types_and_values_that_contain_themselves_are_looked_at_once() -> None:
    assert sensitive_names(Recursive) == {"card"}
    loop: list[Any] = ["x"]
    loop += [loop, loop]
    assert json.dumps(redacted(loop))


@given(secret=SECRETS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@kinds
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_declared_secret_is_in_no_line_however_it_is_logged(
    capfd: pytest.CaptureFixture[str], kind: Any, wire: Any, form: str, secret: str
) -> None:
    init_logging("debug", log_format=form)
    log = get_logger()
    service_for(kind)
    data = wire(secret)
    declared = kind if isinstance(kind, type) else Model
    value = (
        data
        if declared is Typed
        else msgspec.convert(data, declared, dec_hook=read)
        if declared is not Model
        else Model(**data)
    )
    request = DomainAction(action_type="pay.card.charge", data=data)
    set_current(ActionContext(request))
    log.info("got", payment=None if declared is Typed else value, deep={"a": [request]}, data=data)
    log.info("said", text=str(request), action=request)
    logging.getLogger("library").warning("said %s", request, extra={"payment": request})
    assert secret not in "".join(capfd.readouterr())


def read(kind: type, data: Any) -> Any:
    return kind.model_validate(data)


@given(secret=SECRETS)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@kinds
async def test_a_declared_secret_is_in_no_error_and_no_repr(kind: Any, wire: Any, secret: str) -> None:
    assume("amount" not in secret)
    service = service_for(kind)
    data = wire(secret)
    request = DomainAction(action_type="pay.card.charge", data=data | {"amount": "none"})
    assert secret not in repr(request) + str(request)
    for broken in ({"amount": "none"}, {name: [secret] for name in data}, {name: {"x": secret} for name in data}):
        for action_type, expected in (("pay.card.charge", InvalidPayload), ("pay.card.show", InvalidResponse)):
            sent = DomainAction(action_type=action_type, data=data | broken)
            with pytest.raises(expected) as caught:
                await service.process_action(sent)
            error = caught.value
            detail = ErrorDetail.of(error)
            kept = dead_letter(Delivery(b"1-0", b"{}"), error, worker="w", attempts=1, max_payload_bytes=1000)
            shown = [*traceback.format_exception(error), repr(detail), str(kept)]
            assert secret not in "".join(shown)


# ── by name ──

SENSITIVE = [
    "password",
    "db_password",
    "Password",
    "accessToken",
    "X-Api-Key",
    "apikey",
    "APIKey",
    "client-secret",
    "AUTHORIZATION",
]
HARMLESS = ["max_tokens", "tokenizer", "passing", "secretary", "author", "key", "count", "", "compass"]


@pytest.mark.parametrize("name", SENSITIVE)
def test_some_names_are_sensitive_without_a_declaration(name: str) -> None:
    assert redacted({"headers": {name: "hunter2"}}) == {"headers": {name: HIDDEN}}


@pytest.mark.parametrize("name", HARMLESS)
def test_names_that_only_look_like_it_are_shown(name: str) -> None:
    assert not is_secret(name)


def test_the_setting_says_which_names(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_REDACT", "iban, birth_date")
    names = CommonAppSettings(service_name="x").log_redact
    assert names == ("iban", "birth_date")
    init_logging(log_format="json", redact=names)
    get_logger().info("x", iban="DE1", birthDate="1.1.", password="shown")
    line = json.loads(capfd.readouterr().err)
    assert (line["iban"], line["birthDate"], line["password"]) == (HIDDEN, HIDDEN, "shown")


@pytest.mark.parametrize(("text", "names"), [("", ()), ('["a"]', ("a",)), ("a,,b ,", ("a", "b"))])
def test_the_setting_takes_names_or_json(text: str, names: tuple[str, ...]) -> None:
    assert CommonAppSettings(service_name="x", log_redact=text).log_redact == names  # type: ignore[arg-type]
    redact_names(names)
    assert masked("password=1 a='2'").startswith("password=1")


def test_setting_and_redaction_have_the_same_defaults() -> None:
    assert CommonAppSettings(service_name="x").log_redact == NAMES


def test_an_action_hides_names_in_payload_metadata_and_undeclared_fields() -> None:
    request = DomainAction(
        action_type="a.b", data={"password": "hunter2", "n": 1}, metadata={"authorization": "hunter2"}, token="hunter2"
    )
    assert "hunter2" not in repr(request)
    assert "'n': 1" in repr(request)
    assert "hunter2" not in repr(DomainActionResponse(success=True, data={"token": "hunter2"}))
    assert request.data["password"] == "hunter2"


# ── text ──

MASKED = {
    "redis://user:hunter2@host:6379/0": "redis://user:***@host:6379/0",
    "redis://:hunter2@host": "redis://:***@host",
    "no way to postgres://a:hunter2@b/c (refused), amqp://d:hunter2@e": "no way to postgres://a:***@b/c (refused), amqp://d:***@e",
    "redis://u:hunt@er/2@host": "redis://u:***@host",
    "https://h/?a=1&password=hunter2&b=2": "https://h/?a=1&password=***&b=2",
    "host=h password=hunter2 port=1": "host=h password=*** port=1",
    "{'password': 'hunter2', 'n': 1}": "{'password': ***, 'n': 1}",
    '{"api_key": "hunter2"}': '{"api_key": ***}',
    "Authorization: Bearer hunter2": "Authorization: ***",
    "[type=int_parsing, input_value='hunter2', input_type=str]": "[type=int_parsing, input_value=***, input_type=str]",
    "$.data.token: Field required": "$.data.token: Field required",
    "wait: http://host:80/path?x=1, mail me@host": "wait: http://host:80/path?x=1, mail me@host",
}


@pytest.mark.parametrize(("text", "shown"), MASKED.items())
def test_text_is_shown_without_what_is_secret_in_it(text: str, shown: str) -> None:
    assert masked(text) == shown


@given(st.text(max_size=200))
def test_masking_never_raises_and_does_nothing_to_plain_words(text: str) -> None:
    masked(text)
    words = "".join(letter for letter in text if letter not in ":=@")
    assert masked(words) == words


HOSTILE = ["://a:", "password=", ", input_value=", "[input_value=", "password:'", "authorization: bearer ", "a=", "x"]


@pytest.mark.parametrize("text", HOSTILE)
def test_long_hostile_text_is_cut_and_costs_no_more_than_its_beginning(text: str) -> None:
    shown = masked(text * 400_000)
    assert len(shown) < MOST_TEXT + 100


BEFORE = re.compile(r"(?<=://)([^\s:@/?#'\"<>]{0,256}:)[^\s'\"<>]{0,1024}(?=@)")
"""What a password in a URL is, as an expression: short, and slow on hostile text."""
PIECES = st.sampled_from(["://", ":", "@", "/", " ", "'", "a", "s3cret", "u:", "x" * 255, "x" * 1000, "y" * 24, "é"])


@given(st.lists(PIECES, max_size=30).map("".join))
def test_passwords_of_urls_are_found_as_the_expression_finds_them(text: str) -> None:
    assert module._without_passwords(text) == BEFORE.sub(rf"\1{HIDDEN}", text)


class Counted(str):
    """A text that counts how many characters were looked at."""

    looked = 0

    def find(self, *args: Any) -> int:
        found = super().find(*args)
        Counted.looked += (len(self) if found < 0 else found) - args[1]
        return found

    def rfind(self, *args: Any) -> int:
        found = super().rfind(*args)
        Counted.looked += args[2] - found
        return found


class CountingPattern:
    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def search(self, text: str, start: int = 0) -> re.Match[str] | None:
        found = self._pattern.search(text, start)
        Counted.looked += (found.end() if found else len(text)) - start
        return found


@pytest.mark.parametrize(
    "one", ["://a:", "://a:@", "://a: ", "://a:" + "x" * 1030, "://", "@", "://a:@" + "://b:" * 200]
)
@pytest.mark.parametrize("end", ["", "@", " @"])
def test_hostile_text_is_looked_through_a_few_times_at_most(
    one: str, end: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("_USER", "_END_OF_URL"):
        monkeypatch.setattr(module, name, CountingPattern(getattr(module, name)))
    text = Counted(one * (40_000 // len(one)) + end)
    Counted.looked = 0
    module._without_passwords(text)
    assert 0 < Counted.looked < 6 * len(text) + 2_000


def test_an_error_is_told_up_to_a_length() -> None:
    told = ErrorDetail.of(OSError("x" * 1_000_000)).message
    assert told.endswith("(1,000,000 characters)")
    assert len(told) < 51_000


class Refuses(Enum):
    RED = "red"


class Silent:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_whatever_is_shown_becomes_plain_data() -> None:
    plain = {"n": 1, "f": 1.5, "id": UUID(int=1), "d": Decimal("1.5"), "none": None}
    assert redacted(plain) == plain
    assert redacted({"e": Refuses.RED, "t": (1, {2}), 3: b"x", "cls": Model, "s": SecretBytes(b"x")}) == {
        "e": "red",
        "t": [1, [2]],
        "3": "b'x'",
        "cls": repr(Model),
        "s": repr(SecretBytes(b"x")),
    }
    assert redacted(Silent()) == "<a Silent that cannot be shown: RuntimeError>"


def deep(levels: int) -> Any:
    value: Any = "end"
    for _ in range(levels):
        value = {"x": [value]}
    return value


def test_what_is_left_out_says_so_where_it_was() -> None:
    many = {"first": list(range(4_998)), "second": [1, 2, 3], "third": 3}
    assert redacted(many) == {"first": [*range(4_998)], "second": ["… (3 more)"], "…": "… (1 more)"}
    assert redacted([1, 2, 3], items=1) == [1, "… (2 more)"]
    assert "nested too deeply" in str(redacted(deep(20)))


def test_all_is_shown_of_what_is_asked_for_whole() -> None:
    whole: Any = {"items": [{"n": n} for n in range(20_000)], "deep": deep(50), "name" * 100 + "a": 1, "name" * 100: 2}
    assert redacted(whole, most=10**9, items=10**9, deepest=200) == whole
    endless = redacted(deep(5_000), most=10**9, items=10**9, deepest=10**9)  # deeper than Python goes
    assert "cannot be shown" in msgspec.json.encode(endless).decode()


# ── exceptions in logs ──


class Strict(BaseModel):
    number: int

    @field_validator("number", mode="before")
    @classmethod
    def _fits(cls, value: Any) -> Any:
        return value


@pytest.mark.parametrize("form", ["json", "console", None])
def test_a_traceback_has_neither_passwords_nor_payloads(capfd: pytest.CaptureFixture[str], form: str | None) -> None:
    if form is not None:
        init_logging(log_format=form)
    log, wrong = get_logger(), {"number": "hunter2"}
    try:
        try:
            Strict(**wrong)  # type: ignore[arg-type]
        except ValidationError as error:
            raise ExternalServiceError("redis://u:hunter2@host is away") from error
    except ExternalServiceError as error:
        error.add_note("password=hunter2")
        log.error("failed", exc_info=error)
        log.error("failed", error=error, message=str(error.__cause__))
    text = "".join(capfd.readouterr())
    assert "hunter2" not in text
    assert text.count("is away") >= 2
    assert "ExternalServiceError" in text


def test_an_answer_does_not_tell_what_pydantic_quotes() -> None:
    with pytest.raises(ValidationError) as caught:
        Strict(number="hunter2")  # type: ignore[arg-type]
    detail = ErrorDetail.of(caught.value)
    assert "hunter2" not in repr(detail)
    assert "number" in detail.message


# ── the terminal ──

OBEYED = "\x00\x07\x08\x1b[31m\x7f\x9b2J\r\n\u061c\u200b\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\ufeff"


@pytest.mark.parametrize("form", ["json", "console", None])
def test_no_line_does_anything_to_a_terminal_wherever_it_comes_from(
    capfd: pytest.CaptureFixture[str], form: str | None
) -> None:
    if form is not None:
        init_logging(log_format=form)
    hostile = f"a{OBEYED}b"
    log = get_logger()
    log.error(hostile, text=hostile, inside=[hostile], **{hostile: 1})
    if form is not None:
        logging.getLogger(hostile).error(hostile)
    log.error("failed", exc_info=RuntimeError(hostile))
    text = "".join(capfd.readouterr())
    lines = text.split("\n")
    assert not set(OBEYED) - {"\n", "[", "m", "3", "1", "2", "J"} & set(text) - set(OBEYED)
    assert not {letter for letter in text if letter in OBEYED and not letter.isprintable()} - {"\n"}
    assert not [line for line in lines if line.startswith(("b", "[31m"))]


def test_nobody_can_write_a_line_that_passes_for_another(capfd: pytest.CaptureFixture[str]) -> None:
    init_logging(log_format="console")
    forged = "x\n12:00:00 [error    ] all is lost"
    get_logger().error("failed", why=forged, exc_info=RuntimeError(forged))
    assert not [line for line in capfd.readouterr().err.split("\n") if line.startswith("12:00:00")]


@given(st.text())
def test_what_is_printable_stays_and_json_stays_the_same_json(text: str) -> None:
    assert printable(text).replace("\\", "") or not text
    try:
        encoded = msgspec.json.encode(text)
    except (UnicodeEncodeError, ValueError):
        return
    assert json.loads(unmistakable(encoded)) == text
    assert not set(unmistakable(encoded).decode()) & set(OBEYED) - set("[31m2J")


def test_letters_of_all_languages_stay() -> None:
    text = "señor Ünïcode 漢字 עברית العربية 👩‍👩‍👧 ✓"
    assert printable(text) == text
    assert unmistakable(json.dumps(text, ensure_ascii=False).encode()).decode() == f'"{text}"'
