"""From what a user hands over to what an envelope carries: the one place that knows the kinds of payload there are."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import msgspec
from pydantic import BaseModel, RootModel


def plain(value: Any) -> Any:
    """What an encoder that does not know *value* writes instead of it. The hook of every encoder of the wire.

    Raises:
        TypeError: nothing can be written for a value of this type.
    """
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json", by_alias=True)
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError(f"a {type(value).__name__} cannot be encoded; return a mapping, a model, or plain data")


def as_payload(payload: Any) -> dict[str, Any]:
    """*payload* as the mapping that an action carries in `data`.

    Args:
        payload: a mapping, a pydantic model, a msgspec Struct, a dataclass, or `None` for an empty payload.

    Raises:
        TypeError: it is none of these, or something in it cannot be encoded.
    """
    if payload is None:
        return {}
    if isinstance(payload, dict):
        return payload
    built = msgspec.to_builtins(payload, enc_hook=plain, str_keys=True)
    if not isinstance(built, dict):
        raise TypeError(f"a payload is a mapping or a model, not a {type(payload).__name__}")
    return built


def has_names(payload: dict[Any, Any]) -> bool:
    """Whether every key of *payload* is text, as an action's are."""
    for key in payload:  # noqa: SIM110  # a third of the time of all()
        if type(key) is not str:
            return False
    return True


def as_result(result: Any) -> Any:
    """*result* of a handler as the mapping that an answer carries; what is no mapping becomes `{"result": …}`."""
    kind = type(result)
    if kind is dict or isinstance(result, Mapping):
        return result
    if isinstance(result, BaseModel):
        return {"result": result} if isinstance(result, RootModel) else result
    if result is None:
        return {}
    if dataclasses.is_dataclass(kind) or (isinstance(result, msgspec.Struct) and not kind.__struct_config__.array_like):
        return result
    return {"result": result}
