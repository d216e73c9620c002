"""Draws the tables of docs/reference from the code: python docs/draw.py. A test fails if they are not in step."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from nooble import errors, events
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


_EVENTS = """\
# Events

Frozen facts about what happens. A worker tells them in `worker.events`, a client in `client.events`; making one
costs nothing where nobody listens.

```python
from nooble.events import Buried

worker.events.subscribe_apart(page_somebody, [Buried])
```

- `subscribe(listener, kinds)` calls the listener in the worker's own loop. For what takes microseconds: counting,
  appending to a list, setting an `asyncio.Event`. A listener that waits makes every action wait.
- `subscribe_apart(listener, kinds, most=10_000)` calls it in a thread of its own, behind a queue that holds *most*
  events. For everything else: files, HTTP, databases. What comes while the queue is full is dropped, counted in
  `dropped`, and logged as `events_dropped` at most every 30 seconds. Its `end()` waits until all is heard.

Both take subclasses along: `[ActionEvent]` is every event about an action. What a listener raises is logged as
`listener_failed`; it never reaches the worker. Both return a function that ends the subscription.
"""


def events_page() -> str:
    """Every event: when it is told, and its fields."""
    kinds = [thing for name in events.__all__ if inspect.isclass(thing := getattr(events, name))]
    told = [kind for kind in kinds if issubclass(kind, events.Event) and not kind.__doc__.startswith("Base of ")]
    of_client = [kind for kind in told if issubclass(kind, events.ClientEvent)]
    of_worker = [kind for kind in told if kind not in of_client]
    return "\n".join(
        [
            _EVENTS,
            *_told(of_worker, "Of a worker", {events.Event: "all", events.ActionEvent: "those about an action"}),
            *_told(of_client, "Of a client", {events.Event: "all", events.ClientEvent: "those about an action"}),
            "## Fields of `Ended`",
            "",
            "What a `Settled` consists of.",
            "",
            "| field | meaning |",
            "|---|---|",
            *(f"| `{name}` | {meaning} |" for name, meaning in _fields(events.Ended).items()),
            "",
        ]
    )


def _told(kinds: list[type], title: str, bases: dict[type, str]) -> list[str]:
    shared = [
        f"| {whose} | `{name}` | {meaning} |"
        for base, whose in bases.items()
        for name, meaning in _fields(base).items()
    ]
    rows = []
    for kind in sorted(kinds, key=lambda kind: kind.__name__):
        inherited = {name for base in bases for name in _fields(base)}
        own = {
            name: text for one in reversed(kind.__mro__) for name, text in _fields(one).items() if name not in inherited
        }
        fields = "<br>".join(f"`{name}`: {text}" for name, text in own.items())
        about = " (action)" if issubclass(kind, events.ActionEvent) else ""
        rows.append(f"| `{kind.__name__}`{about} | {_first_sentence(kind)} | {fields} |")
    return [
        f"## {title}",
        "",
        "| which | field | meaning |",
        "|---|---|---|",
        *shared,
        "",
        "| event | told when | further fields |",
        "|---|---|---|",
        *rows,
        "",
    ]


def _fields(kind: type) -> dict[str, str]:
    """The fields that a class documents itself, and what they mean."""
    document = inspect.cleandoc(vars(kind).get("__doc__") or "")
    _, _, section = document.partition("Attributes:\n")
    found: dict[str, str] = {}
    for match in re.finditer(r"^    (\w[\w, ]*): (.*(?:\n {5,}.*)*)", section, re.MULTILINE):
        found |= dict.fromkeys(match[1].split(", "), " ".join(match[2].split()).replace("|", "\\|"))
    return found


PAGES = {"settings.md": settings_page, "errors.md": errors_page, "events.md": events_page}


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
