"""Which fields of an action a service has declared as sensitive, as its published routes tell: one answer for all who show
payloads."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def sensitive_fields(schema: Mapping[str, Any] | None, declared: str = "") -> frozenset[str]:
    """The names that a service declares as sensitive: those in *declared*, joined by commas, and those whose schema says
    `writeOnly` or `format: password`."""
    names = {one.strip() for one in declared.split(",") if one.strip()}
    for part in (schema or {}, *_mappings((schema or {}).get("$defs"))):
        properties = part.get("properties")
        for name, one in properties.items() if isinstance(properties, Mapping) else ():
            if isinstance(one, Mapping) and (one.get("writeOnly") is True or one.get("format") == "password"):
                names.add(str(name))
    return frozenset(names)


def _mappings(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value.values() if isinstance(one, Mapping)] if isinstance(value, Mapping) else []
