"""A form made from the JSON Schema of a payload, and the payload made from what was typed into it. What a form cannot say
simply is typed as JSON; what is wrong is told beside its field."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

Schema = Mapping[str, Any]

MOST_FIELDS = 60
_MOST_CHOICES = 200
_LONG = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Field:
    """A field of a form.

    Attributes:
        name: of the property.
        kind: `text`, `lines`, `integer`, `number`, `yes_no`, `choice`, `json` or `secret`.
        required: whether the schema wants it; others are left out of the payload if nothing is typed.
        nullable: whether nothing can also be said as `null`.
        about: what the schema says of it.
        limits: what it may be, in words.
        choices: of `choice`, each as JSON and as it is shown.
        value: what stands in it.
        error: what is wrong with that.
        attributes: of the input, so that a browser can complain first.
    """

    name: str
    kind: str
    required: bool
    nullable: bool = False
    about: str = ""
    limits: str = ""
    choices: Sequence[tuple[str, str]] = ()
    value: str = ""
    error: str = ""
    attributes: Mapping[str, str] = field(default_factory=dict)


class Unfit(ValueError):
    """What was typed is no payload.

    Attributes:
        by_field: what is wrong, by the name of the field; under the empty name what is wrong with all of it.
    """

    def __init__(self, by_field: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {text}" if name else text for name, text in by_field.items()))
        self.by_field = by_field


# ── the form ──
def fields_of(
    schema: Schema | None,
    typed: Mapping[str, str] | None = None,
    errors: Mapping[str, str] | None = None,
    secret: Callable[[str], bool] = lambda name: False,
) -> list[Field] | None:
    """The fields for a payload of *schema*; `None` if it is not of an object with properties, so that JSON is typed.

    Args:
        schema: a JSON Schema.
        typed: what was typed before, by name.
        errors: what was wrong with it.
        secret: whether a field of a name is one: what was typed there is not shown again.
    """
    if not isinstance(schema, Mapping):
        return None
    root = _resolved(schema, schema)
    properties = root.get("properties")
    if not isinstance(properties, Mapping) or len(properties) > MOST_FIELDS:
        return None
    required = root.get("required")
    wanted = set(map(str, required)) if isinstance(required, Sequence) and not isinstance(required, str) else set()
    fields = [
        _field(str(name), one if isinstance(one, Mapping) else {}, schema, str(name) in wanted, typed, errors or {})
        for name, one in properties.items()
    ]
    return [_as_secret(one) if one.kind == "secret" or secret(one.name) else one for one in fields]


def _as_secret(field: Field) -> Field:
    kind = "secret" if field.kind in ("text", "lines") else field.kind
    return replace(field, kind=kind, value="")


def _field(
    name: str,
    schema: Schema,
    root: Schema,
    required: bool,
    typed: Mapping[str, str] | None,
    errors: Mapping[str, str],
) -> Field:
    told = schema.get("description") or ""
    title = schema.get("title")
    schema, nullable = _without_null(_resolved(schema, root), root)
    kind, choices = _kind(schema)
    default = schema.get("default")
    value = (
        "" if default is None else default if kind in ("text", "lines") and isinstance(default, str) else _json(default)
    )
    about = str(told or schema.get("description") or "")
    if not about and isinstance(title, str) and title.lower().replace(" ", "_") != name.lower():
        about = title
    return Field(
        name=name,
        kind=kind,
        required=required,
        nullable=nullable,
        about=about[:500],
        limits=_limits(schema),
        choices=choices,
        value=(typed or {}).get(name, "") if typed is not None else value,
        error=errors.get(name, ""),
        attributes=_attributes(schema, kind),
    )


def _resolved(schema: Schema, root: Schema, depth: int = 0) -> Schema:
    """*schema*, or what it refers to inside of *root*."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#/") or depth > 10:
        return schema
    found: Any = root
    for part in reference[2:].split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return _resolved(found, root, depth + 1) if isinstance(found, Mapping) else {}


def _without_null(schema: Schema, root: Schema) -> tuple[Schema, bool]:
    kinds = schema.get("type")
    if isinstance(kinds, list) and "null" in kinds:
        others = [one for one in kinds if one != "null"]
        return {**schema, "type": others[0] if len(others) == 1 else others}, True
    for word in ("anyOf", "oneOf"):
        options = schema.get(word)
        if isinstance(options, list) and all(isinstance(one, Mapping) for one in options):
            others = [one for one in options if one.get("type") != "null"]
            if len(others) == 1:
                rest = {name: value for name, value in schema.items() if name != word}
                return {**_resolved(others[0], root), **rest}, len(others) < len(options)
    return schema, False


def _kind(schema: Schema) -> tuple[str, Sequence[tuple[str, str]]]:
    options = [schema["const"]] if "const" in schema else schema.get("enum")
    if isinstance(options, list) and 0 < len(options) <= _MOST_CHOICES:
        return "choice", [(_json(one), one if isinstance(one, str) else _json(one)) for one in options]
    kind = schema.get("type")
    if kind == "string":
        if schema.get("format") == "password" or schema.get("writeOnly") is True:
            return "secret", ()
        longest = schema.get("maxLength")
        return ("lines" if isinstance(longest, int) and longest > _LONG else "text"), ()
    known = {"integer": "integer", "number": "number", "boolean": "yes_no"}
    return (known.get(kind, "json") if isinstance(kind, str) else "json"), ()


def _limits(schema: Schema) -> str:
    words = {
        "minimum": "at least {}",
        "exclusiveMinimum": "more than {}",
        "maximum": "at most {}",
        "exclusiveMaximum": "less than {}",
        "multipleOf": "a multiple of {}",
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minItems": "at least {} items",
        "maxItems": "at most {} items",
        "pattern": "like {}",
        "format": "{}",
    }
    said = [text.format(str(schema[word])[:80]) for word, text in words.items() if word in schema]
    said = [one.removesuffix("s") if one.split()[-2:-1] == ["1"] else one for one in said]
    kind = schema.get("type")
    first = kind if isinstance(kind, str) else ""
    return ", ".join(filter(None, [first, *said]))


def _attributes(schema: Schema, kind: str) -> Mapping[str, str]:
    found: dict[str, str] = {}
    if kind in ("integer", "number"):
        found["inputmode"] = "numeric" if kind == "integer" else "decimal"
    if kind in ("text", "lines", "secret"):
        for word, attribute in (("minLength", "minlength"), ("maxLength", "maxlength")):
            if isinstance(schema.get(word), int) and schema[word] >= 0:
                found[attribute] = str(schema[word])
    return found


# ── what was typed ──
def payload_of(fields: Sequence[Field], typed: Mapping[str, str]) -> dict[str, Any]:
    """The payload that was typed.

    Raises:
        Unfit: something typed does not fit its field.
    """
    payload: dict[str, Any] = {}
    errors: dict[str, str] = {}
    for one in fields:
        text = typed.get(one.name, "")
        if not text.strip() and one.kind not in ("text", "lines", "secret"):
            text = ""
        if not text:
            if one.required and one.kind in ("text", "lines", "secret"):
                payload[one.name] = ""
            elif one.required and one.nullable:
                payload[one.name] = None
            elif one.required:
                errors[one.name] = "is required"
            continue
        try:
            payload[one.name] = _value(one, text)
        except ValueError as error:
            errors[one.name] = str(error)
    if errors:
        raise Unfit(errors)
    return payload


def payload_of_json(text: str) -> dict[str, Any]:
    """The payload that was typed as JSON.

    Raises:
        Unfit: it is no JSON object.
    """
    try:
        value = json.loads(text or "{}", parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise Unfit({"": f"is not JSON: {error}"}) from None
    if not isinstance(value, dict):
        raise Unfit({"": 'is no JSON object; a payload is written in braces: {"name": "value"}'})
    return value


def _value(field: Field, text: str) -> Any:
    if field.kind in ("text", "lines", "secret"):
        return text.replace("\r\n", "\n")
    if field.kind == "integer":
        try:
            return int(text.strip())
        except ValueError:
            raise ValueError(f"{text.strip()[:50]!r} is no whole number") from None
    if field.kind == "number":
        return _number(text)
    if field.kind == "yes_no":
        if text not in ("true", "false"):
            raise ValueError("is true or false")
        return text == "true"
    try:
        value = json.loads(text, parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from None
    if field.kind == "choice" and _json(value) not in [choice for choice, _ in field.choices]:
        raise ValueError("is none of the choices")
    return value


def _number(text: str) -> float:
    try:
        value = float(text.strip())
    except ValueError:
        raise ValueError(f"{text.strip()[:50]!r} is no number") from None
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError("JSON has no such number")
    return int(value) if value.is_integer() and "." not in text and "e" not in text.lower() else value


def _no_number(name: str) -> Any:
    raise ValueError(f"JSON has no {name}")


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
