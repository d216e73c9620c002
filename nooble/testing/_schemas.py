"""What is known of a declared type before anything is made for it: the JSON schema that its own library gives, pydantic's or
msgspec's, whichever reads the type in production; with marks where a person has registered a strategy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, time
from typing import Any, get_args, get_origin

import msgspec
from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import GenerateJsonSchema
from typing_extensions import get_type_hints

from nooble.routing.readers import Unreadable, reader_of
from nooble.routing.route import name_of
from nooble.routing.shapes import OPEN_MAPPINGS, bare, fields_of, is_class, is_dataclass, is_typed_dict, is_union

Schema = dict[str, Any]

MARK = "x-nooble"
"""Key of a schema that stands for something of Python: a registered strategy, or the schema of another library."""
UNKNOWN = "x-nooble-unknown"
"""Key of a schema that nobody could give; its value says why."""


_UNSAID: dict[Any, Schema] = {
    datetime: {"type": "string", "format": "date-time"},
    time: {"type": "string", "format": "time"},
}
"""What schemas of msgspec leave out unless a time zone is declared."""


class Unmakeable(TypeError):
    """Nothing can be made for a type. The message says for which, why, and how to register a strategy for it."""


class Root:
    """A schema and what it refers to.

    Attributes:
        declared: the type.
        schema: its schema.
        definitions: what `$ref` names.
        marks: what `MARK` names, by number: a strategy, or another root.
    """

    def __init__(self, declared: Any, registered: Mapping[Any, Any]) -> None:
        self.declared = declared
        self.registered = registered
        self.marks: list[Any] = []
        self.definitions: dict[str, Schema] = {}
        self.schema = self._schema()

    def resolved(self, schema: Any) -> Schema:
        """*schema*, without a reference in the way."""
        while isinstance(schema, dict) and "$ref" in schema:
            target = self.definitions.get(schema["$ref"].rpartition("/")[2])
            if target is None:
                raise self.unmakeable(f"its schema refers to {schema['$ref']}, which is nowhere")
            schema = target
        return schema if isinstance(schema, dict) else {}

    def unmakeable(self, why: str) -> Unmakeable:
        """The error that says that nothing can be made, and what to do."""
        name = name_of(self.declared)
        return Unmakeable(
            f"no payload can be made for {name}: {why}; give it a strategy: "
            f"nooble.testing.strategies.register({name}, st.builds(...))"
        )

    def mark(self, thing: Any) -> Schema:
        """A schema that stands for *thing*, a strategy or another root; a schema stands for itself."""
        if isinstance(thing, dict):
            return dict(thing)
        self.marks.append(thing)
        return {MARK: len(self.marks) - 1}

    def overlaid(self, annotation: Any) -> Schema | None:
        """A schema for *annotation* if a person has registered something that it mentions; else `None`."""
        if (found := self.strategy_for(annotation)) is not None:
            return self.mark(found)
        plain = bare(annotation)
        if (found := self.strategy_for(plain)) is not None:
            return self.mark(found)
        args = get_args(plain)
        inside = [self.overlaid(one) for one in args]
        if not any(inside):
            return None
        parts = [one or self.mark(Root(arg, self.registered)) for one, arg in zip(inside, args, strict=True)]
        if is_union(plain):
            return {"anyOf": parts}
        origin = get_origin(plain)
        if is_class(origin, Mapping):
            return {"type": "object", "additionalProperties": parts[1]}
        return {"type": "array", "items": parts[0]} if len(parts) == 1 else None

    def strategy_for(self, declared: Any) -> Any:
        """What was registered for exactly *declared*."""
        try:
            return self.registered.get(declared)
        except TypeError:  # annotations can hold what has no hash
            return None

    # ── by whom it is read ──
    def _schema(self) -> Schema:
        if self.declared in (Any, object):
            return {}
        if self.declared in OPEN_MAPPINGS:
            return {"type": "object"}
        if (given := self.overlaid(self.declared)) is not None:
            return given
        try:
            by_msgspec = getattr(reader_of(self.declared), "func", None) is msgspec.convert
            made = self._of_msgspec() if by_msgspec else self._of_pydantic()
        except Unmakeable:
            raise
        except Unreadable as error:
            raise self.unmakeable(str(error)) from error
        except Exception as error:  # models are a user's: their own hooks take part in this
            first = str(error).partition("\n")[0]
            raise self.unmakeable(f"it gives no schema ({type(error).__name__}: {first})") from error
        self.definitions |= made.pop("$defs", {})
        return made

    def _of_pydantic(self) -> Schema:
        made = TypeAdapter(self.declared).json_schema(schema_generator=_generator_of(self))
        self.definitions |= made.get("$defs", {})
        return made

    def _of_msgspec(self) -> Schema:
        self.registered = {**_UNSAID, **self.registered}
        made: Schema = msgspec.json.schema(self.declared, schema_hook=self._foreign)
        for kind in set(_classes_in(msgspec.inspect.type_info(self.declared), set())):
            definition = made.get("$defs", {}).get(kind.__name__)
            if definition is None:
                continue
            if (found := self.strategy_for(kind)) is not None:
                made["$defs"][kind.__name__] = self.mark(found)
            else:
                _overlay(self, definition, kind)
        return made

    def _foreign(self, kind: type) -> Schema:
        if (found := self.strategy_for(kind)) is not None:
            return self.mark(found)
        if is_class(kind, BaseModel):
            return self.mark(Root(kind, self.registered))
        raise NotImplementedError


def _overlay(root: Root, schema: Schema, kind: type) -> None:
    """Put the marks of registered types where the fields of *kind* mention them."""
    if not root.registered:
        return
    hints = get_type_hints(kind, include_extras=True)
    for name, aliases in (fields_of(kind) or {}).items():
        given = root.overlaid(hints[name]) if name in hints else None
        if given is not None:
            for alias in aliases & set(schema.get("properties", {})):
                schema["properties"][alias] = given


def _classes_in(info: Any, seen: set[int]) -> Iterator[type]:
    if id(info) in seen:
        return
    seen.add(id(info))
    kind = getattr(info, "cls", None)
    if isinstance(kind, type) and (is_class(kind, msgspec.Struct) or is_dataclass(kind) or is_typed_dict(kind)):
        yield kind
    inside = info if isinstance(info, tuple) else ()
    if isinstance(info, msgspec.inspect.Type | msgspec.inspect.Field):
        inside = tuple(getattr(info, name) for name in info.__struct_fields__)
    for one in inside:
        yield from _classes_in(one, seen)


def _generator_of(root: Root) -> type[GenerateJsonSchema]:
    """Pydantic's own generator, but for registered types, for keys of mappings, and for what JSON schema cannot say."""

    class Generator(GenerateJsonSchema):
        def generate_inner(self, schema: Any) -> Any:
            found = root.strategy_for(schema.get("cls")) if schema.get("cls") is not None else None
            return root.mark(found) if found is not None else super().generate_inner(schema)

        def model_schema(self, schema: Any) -> Any:
            return self._overlaid(super().model_schema(schema), schema)

        def dataclass_schema(self, schema: Any) -> Any:
            return self._overlaid(super().dataclass_schema(schema), schema)

        def typed_dict_schema(self, schema: Any) -> Any:
            return self._overlaid(super().typed_dict_schema(schema), schema)

        def dict_schema(self, schema: Any) -> Any:
            made = super().dict_schema(schema)
            if "keys_schema" in schema and "patternProperties" not in made:
                made["propertyNames"] = self.generate_inner(schema["keys_schema"])
            return made

        def handle_invalid_for_json_schema(self, schema: Any, error_info: str) -> Any:
            return {UNKNOWN: error_info}

        def emit_warning(self, kind: Any, detail: str) -> None:
            """A default that JSON cannot say is no matter here."""

        @staticmethod
        def _overlaid(made: Any, schema: Any) -> Any:
            if isinstance(schema.get("cls"), type):
                _overlay(root, made, schema["cls"])
            return made

    return Generator
