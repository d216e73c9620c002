"""The one place that imports a user's code. A mistyped name is told apart from a module that fails when it is imported."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType

from nooble.cli.failures import Failure, Misuse, described, origin_of, shown
from nooble.errors import DeclarationError
from nooble.routing.origin import did_you_mean


def import_module(name: str) -> ModuleType:
    """The module *name*, from the working directory or wherever Python finds it.

    Raises:
        Misuse: there is no such module.
        Failure: it is there, and importing it failed; says where.
        DeclarationError: it declares an action in a way that cannot work; says where.
    """
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    if not is_module_name(name) or name.endswith(".py"):
        raise Misuse(f"{name!r} is no name of a module; {_as_module(name)}")
    try:
        return importlib.import_module(name)
    except DeclarationError:
        raise
    except ModuleNotFoundError as error:
        if f"{name}.".startswith(f"{error.name}."):
            raise Misuse(_not_found(str(error.name))) from error
        raise Failure(f"{_inside(name, error)}: {error}; is it installed in this environment?") from error
    except ImportError as error:
        raise Failure(f"{_inside(name, error)}: {error}") from error
    except SyntaxError as error:
        raise Failure(_shown_syntax(name, error)) from error
    except SystemExit as error:
        mend = "put what runs under `if __name__ == '__main__':`"
        raise Failure(f"{name} ends the program when it is imported; {mend}") from error
    except Exception as error:
        raise Failure(f"importing {name} failed: {described(error)}") from error


def is_module_name(text: str) -> bool:
    """Whether *text* could name a module."""
    return all(part.isidentifier() for part in text.split("."))


def modules_below(package: ModuleType) -> list[tuple[str, Path]]:
    """The modules of *package* by their dotted names; none if it is no package."""
    return [
        (".".join([package.__name__, *path.relative_to(folder).with_suffix("").parts]), path)
        for folder in map(Path, getattr(package, "__path__", ()))
        for path in sorted(folder.rglob("*.py"))
        if not path.stem.startswith("__")
    ]


def _inside(name: str, error: BaseException) -> str:
    place = origin_of(error)
    return f"an import inside {name} failed ({place})" if place else f"an import inside {name} failed"


def _not_found(missing: str) -> str:
    parent, _, last = missing.rpartition(".")
    if parent in sys.modules:
        known = [name for name, _ in modules_below(sys.modules[parent])]
        return f"{parent} has no module {last!r}; {did_you_mean(missing, known, 'look at its folder')}"
    here = Path.cwd()
    known = [path.stem for path in here.glob("*.py")] + [path.parent.name for path in here.glob("*/__init__.py")]
    return f"no module named {missing!r} in {here}; " + did_you_mean(missing, known, "name a module of this directory")


def _as_module(path: str) -> str:
    """What was probably meant by a path."""
    dotted = ".".join(Path(path.removesuffix(".py")).parts)
    return f"did you mean {dotted!r}?" if is_module_name(dotted) else "write module, module:Class or module:factory"


def _shown_syntax(name: str, error: SyntaxError) -> str:
    """Where the syntax is wrong, and the line."""
    told = f"{shown(error.filename or name)}:{error.lineno}: {error.msg}"
    if not error.text:
        return told
    line = error.text.strip()
    indent = len(error.text.rstrip()) - len(line)
    return f"{told}\n    {line}\n    {' ' * max(0, (error.offset or 1) - 1 - indent)}^"
