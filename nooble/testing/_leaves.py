"""Strategies for what has no parts, as JSON writes it: texts with their formats and patterns, numbers in their bounds."""

from __future__ import annotations

import base64
import json
import math
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

Schema = dict[str, Any]
Strategy = st.SearchStrategy[Any]

LETTERS = st.characters(codec="utf-8")
LEAST, MOST = -(2**63), 2**64 - 1
"""Whole numbers that every decoder of JSON and MessagePack reads."""

DECIMAL = "^(?!^[-+.]*$)"
"""How pydantic's pattern for a decimal begins."""

_EDGES = ["", " ", "0", "-1", "null", "true", "ñ", "\x00", "\n", "🎈", "a b", "'", '"', "x" * 256]
_ONE_CLASS = re.compile(r"\^?(\[(?:\\.|[^\]\\])+\]|\\[wd]|\.)([+*])\$?")


def scalars() -> Strategy:
    """What JSON can say without parts."""
    return st.none() | st.booleans() | st.integers(-(2**53), 2**53) | _floats({}) | st.text(LETTERS, max_size=10)


def anything() -> Strategy:
    """What JSON can say."""
    return st.recursive(
        scalars(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(LETTERS, max_size=5), inner, max_size=3),
        max_leaves=5,
    )


# ── numbers ──
def integers(schema: Schema) -> Strategy:
    """Whole numbers within the bounds of *schema*."""
    low, high = _bounds(schema)
    low, high = math.ceil(max(low, LEAST)), math.floor(min(high, MOST))
    if "exclusiveMinimum" in schema and low == schema["exclusiveMinimum"]:
        low += 1
    if "exclusiveMaximum" in schema and high == schema["exclusiveMaximum"]:
        high -= 1
    step = schema.get("multipleOf", 1)
    if step != 1:
        least, most = math.ceil(low / step), math.floor(high / step)
        if least > most:
            return st.nothing()
        return st.integers(least, most).map(lambda one: int(one * step)).filter(lambda one: low <= one <= high)
    if low > high:
        return st.nothing()
    edges = [one for one in (0, 1, -1, low, high, 2**31, 2**53 + 1) if low <= one <= high]
    near = st.integers(max(low, -1000), min(high, 1000)) if max(low, -1000) <= min(high, 1000) else st.nothing()
    return near | st.integers(low, high) | st.sampled_from(edges)


def numbers(schema: Schema) -> Strategy:
    """Numbers within the bounds of *schema*, whole ones among them."""
    if "multipleOf" in schema:
        step = schema["multipleOf"]
        return st.integers(-1000, 1000).map(lambda one: one * step).filter(lambda one: fits(one, schema))
    return _floats(schema) | short_decimals(schema).map(float)


def short_decimals(schema: Schema, places: int = 2) -> Strategy:
    """Numbers with few digits within the bounds of *schema*, as `Decimal`."""
    low, high = _bounds(schema)
    low, high = max(low, -1e6), min(high, 1e6)
    if low > high:
        low, high = _bounds(schema)
    unit = 10**places
    least, most = math.ceil(Decimal(str(low)) * unit), math.floor(Decimal(str(high)) * unit)
    if least > most:
        return st.nothing() if places >= 12 else short_decimals(schema, places + 5)
    return st.integers(least, most).map(lambda one: Decimal(one) / unit).filter(lambda one: fits(one, schema))


def _floats(schema: Schema) -> Strategy:
    low, high = _bounds(schema)
    made = st.floats(
        min_value=None if low == -math.inf else float(low),
        max_value=None if high == math.inf else float(high),
        allow_nan=False,
        allow_infinity=False,
    )
    return made.filter(lambda one: fits(one, schema)) if schema else made


def _bounds(schema: Schema) -> tuple[Any, Any]:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    return low, min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))


def fits(value: Any, schema: Schema) -> bool:
    """Whether a number is within the bounds of *schema*."""
    low, high = _bounds(schema)
    return bool(low <= value <= high) and value not in (schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum"))


# ── texts ──
def texts(schema: Schema) -> Strategy:
    """Texts of the format, the pattern and the length that *schema* says.

    Raises:
        re.error: its pattern is none that Python knows.
    """
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    if schema.get("contentEncoding") == "base64":
        return st.binary(max_size=20).map(lambda one: base64.b64encode(one).decode())
    form = FORMATS.get(schema.get("format", ""))
    if form is not None:
        return form()
    if str(schema.get("pattern", "")).startswith(DECIMAL):
        return short_decimals({}).map(lambda one: format(one, "f"))
    if "pattern" in schema:
        return _patterned(schema["pattern"], least, most)
    edges = [one for one in _EDGES if least <= len(one) <= (len(one) if most is None else most)]
    longest = max(20, least + 10) if most is None else most
    made = st.text(LETTERS, min_size=least, max_size=longest)
    return made | st.sampled_from(edges) if edges else made


def _patterned(pattern: str, least: int, most: int | None) -> Strategy:
    one_class = _ONE_CLASS.fullmatch(pattern)
    if one_class:
        fewest = max(least, int(one_class[2] == "+"))
        return st.from_regex(f"{one_class[1]}{{{fewest},{fewest + 20 if most is None else most}}}", **_WHOLE)
    made = st.from_regex(re.compile(pattern), **_WHOLE)
    return made.filter(lambda one: least <= len(one) and (most is None or len(one) <= most))


_WHOLE: dict[str, Any] = {"fullmatch": True, "alphabet": LETTERS}


def _zones() -> st.SearchStrategy[Any]:
    return st.sampled_from([UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-3))])


def _datetimes() -> Strategy:
    near = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=_zones())
    far = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29), timezones=_zones())
    return (near | near | far | st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1))).map(datetime.isoformat)


def _durations() -> Strategy:
    return st.timedeltas(timedelta(days=-9), timedelta(days=999)).map(_duration)


def _duration(value: timedelta) -> str:
    sign, value = ("-", -value) if value < timedelta(0) else ("", value)
    return f"{sign}P{value.days}DT{value.seconds}.{value.microseconds:06d}S"


def _uuids(version: int | None = None) -> Callable[[], Strategy]:
    return lambda: st.uuids(version=version).map(str)  # type: ignore[arg-type]


def _addresses(version: int, after: str = "") -> Callable[[], Strategy]:
    return lambda: st.ip_addresses(v=version).map(lambda one: f"{one}{after}")  # type: ignore[arg-type]


def _one_of(*known: str) -> Callable[[], Strategy]:
    return lambda: st.sampled_from(known)


def _encoded() -> Strategy:
    return st.binary(max_size=20).map(lambda one: base64.urlsafe_b64encode(one).decode())


_WEB = ("https://example.com/", "http://a.example:8080/p/q?x=1&y=%20#z", "https://xn--bcher-kva.example/ñ")

FORMATS: dict[str, Callable[[], Strategy]] = {
    "date": lambda: (st.dates(date(1970, 1, 1), date(2100, 1, 1)) | st.dates()).map(date.isoformat),
    "date-time": _datetimes,
    "time": lambda: (
        st.times().map(lambda one: one.isoformat()) | st.times(timezones=_zones()).map(lambda one: one.isoformat())
    ),
    "duration": _durations,
    "uuid": _uuids(),
    **{f"uuid{version}": _uuids(version) for version in (1, 3, 4, 5)},
    "decimal": lambda: short_decimals({}).map(lambda one: format(one, "f")),
    "email": _one_of("ana@example.com", "a.b+c@sub.example.org", "x_1@example.net"),
    "name-email": _one_of("Ana <ana@example.com>", "x@example.net"),
    "uri": _one_of(*_WEB),
    "multi-host-uri": _one_of("postgresql://u:p@a.example:5432/db", "redis://a.example:6379/0"),
    "ipv4": _addresses(4),
    "ipv6": _addresses(6),
    "ipv4network": _addresses(4, "/32"),
    "ipv6network": _addresses(6, "/128"),
    "ipv4interface": _addresses(4, "/24"),
    "ipv6interface": _addresses(6, "/64"),
    "ipvanyaddress": lambda: st.ip_addresses().map(str),
    "ipvanynetwork": _addresses(4, "/32"),
    "ipvanyinterface": _addresses(4, "/24"),
    "base64": _encoded,
    "base64url": _encoded,
    "json-string": lambda: scalars().map(json.dumps),
    "path": _one_of("a", "a/b.txt", "/tmp/x"),  # noqa: S108 - a text
    "regex": _one_of("^a$", ".*", "[a-z]+"),
}
"""Format of a text → a strategy of such texts."""
