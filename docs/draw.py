"""Draws the tables of docs/reference from the code: python docs/draw.py. A test fails if they are not in step."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from nooble import errors
from nooble.config import CommonAppSettings
from nooble.errors import NoobleError

HERE = Path(__file__).parent / "reference"


def settings_page() -> str:
    """Every setting: variable, type, default, meaning."""
    rows = [
        f"| `{name}` | `{name.upper()}` | {_type(field.annotation)} | {_default(field)} | {field.description} |"
        for name, field in CommonAppSettings.model_fields.items()
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "Fields of `CommonAppSettings`; services subclass it and add their own. A value comes from, in this order: the",
            "keyword, the environment variable, the file `.env` in the working directory, the default.",
            "",
            "| setting | variable | type | default | meaning |",
            "|---|---|---|---|---|",
            *rows,
            "",
        ]
    )


def errors_page() -> str:
    """Every error: class, code, whether it is retried, meaning."""
    classes = [thing for name in errors.__all__ if inspect.isclass(thing := getattr(errors, name))]
    rows = [
        f"| `{cls.__name__}` | {_code(cls)} | {'yes' if cls.retryable else 'never'} | {_first_sentence(cls)} |"
        for cls in sorted(classes, key=lambda cls: cls.__name__)
    ]
    return "\n".join(
        [
            "# Errors",
            "",
            "The code travels as `error.error_code` in an answer and as `reason` in a dead letter; the typed client",
            "raises the class again by it. An exception of your own has the code `HANDLER_ERROR`, or `RemoteError` on",
            "the caller's side. *Retried* says whether a retry policy may run the action again at all.",
            "",
            "| class | code | retried | meaning |",
            "|---|---|---|---|",
            *rows,
            "",
        ]
    )


PAGES = {"settings.md": settings_page, "errors.md": errors_page}


def _type(annotation: Any) -> str:
    text = annotation.__name__ if inspect.isclass(annotation) else str(annotation)
    return f"`{text.replace('typing.', '').replace('pydantic.types.', '')}`".replace("|", "\\|")


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    default = field.get_default(call_default_factory=True, validated_data={})
    return "none" if default in (None, PydanticUndefined) else f"`{default!r}`"


def _code(cls: type[NoobleError]) -> str:
    """Some classes set their code when they are made."""
    try:
        return f"`{cls('x').error_code}`"
    except TypeError:
        return f"`{cls.error_code}`"


def _first_sentence(cls: type) -> str:
    text = " ".join((inspect.getdoc(cls) or "").split("\n\n")[0].split())
    return text.replace("|", "\\|")


if __name__ == "__main__":
    for name, draw in PAGES.items():
        (HERE / name).write_text(draw(), encoding="utf-8")
