"""What the project file says: `[tool.nooble]` in the `pyproject.toml` of the working directory. A key is an option. Options
that mean the same for every command stand there, those of one command in a table of its own: `[tool.nooble.run]`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nooble.cli.failures import Misuse

FILE = "pyproject.toml"


@dataclass(frozen=True, slots=True)
class Known:
    """An option of a command.

    Attributes:
        several: whether it takes several values.
        shared: whether it means the same for every command that has it.
    """

    several: bool
    shared: bool


def project_defaults(commands: Mapping[str, Mapping[str, Known]]) -> dict[str, dict[str, Any]]:
    """What the file says for every command: values by the names of options.

    Args:
        commands: every command, and its options by their names.

    Raises:
        Misuse: the file is no TOML, or names what no command knows.
    """
    table = _table()
    for_all = {key: value for key, value in table.items() if key not in commands}
    shareable = {name for options in commands.values() for name, known in options.items() if known.shared}
    for key in for_all:
        if key not in shareable:
            raise Misuse(_unknown(key, "", shareable, commands))
    return {name: _values(name, options, for_all, table.get(name, {})) for name, options in commands.items()}


def _values(command: str, options: Mapping[str, Known], for_all: dict[str, Any], own: Any) -> dict[str, Any]:
    if not isinstance(own, dict):
        raise Misuse(f"[tool.nooble] in {FILE} has {command} = {own!r}; write a table, [tool.nooble.{command}]")
    own = _by_option(own)
    for key in own:
        if key not in options:
            raise Misuse(_unknown(key, f".{command}", set(options), {}))
    shared = {key: value for key, value in for_all.items() if key in options and options[key].shared}
    return {key: _typed(value, options[key].several) for key, value in {**shared, **own}.items()}


def _table() -> dict[str, Any]:
    path = Path(FILE)
    if not path.is_file():
        return {}
    import tomllib

    try:
        return _by_option(tomllib.loads(path.read_text()).get("tool", {}).get("nooble", {}))
    except (ValueError, OSError) as error:
        raise Misuse(f"{FILE} cannot be read: {error}") from error


def _by_option(table: Mapping[str, Any]) -> dict[str, Any]:
    return {key.replace("-", "_"): value for key, value in table.items()}


def _typed(value: Any, several: bool) -> Any:
    """*value* as it would have been typed."""
    if several:
        return [_typed(one, False) for one in (value if isinstance(value, list) else [value])]
    return value if isinstance(value, bool) else str(value)


def _unknown(key: str, table: str, known: set[str], commands: Mapping[str, Mapping[str, Known]]) -> str:
    from nooble.routing.origin import did_you_mean

    having = [name for name, options in commands.items() if key in options]
    hint = did_you_mean(key, known, f"there are {', '.join(sorted(known))}")
    if having:
        hint = f"it belongs to one command: [tool.nooble.{having[0]}]"
    return f"[tool.nooble{table}] in {FILE} has {key!r}, which is no option there; {hint}"
