"""What the modules of a package import, read from their source: nothing is run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Import:
    """One import in one place.

    Attributes:
        module: the dotted name of the module that imports.
        target: the dotted name of the module that is imported.
        place: `file:line`, for a person.
        for_types: it stands under `if TYPE_CHECKING`, so that it never runs.
    """

    module: str
    target: str
    place: str
    for_types: bool

    def __str__(self) -> str:
        return f"{self.place}: {self.module} imports {self.target}"


def modules_of(package: Path) -> dict[str, Path]:
    """The source files of the package in the folder *package*, by the dotted name of their module."""
    names = {path: path.relative_to(package.parent).with_suffix("").parts for path in sorted(package.rglob("*.py"))}
    return {".".join(parts[:-1] if parts[-1] == "__init__" else parts): path for path, parts in names.items()}


def imports_of(package: Path) -> list[Import]:
    """Every import in the package in the folder *package*, also those inside of functions."""
    modules = modules_of(package)
    return [
        Import(module, target, f"{path.relative_to(package.parent)}:{line}", for_types)
        for module, path in modules.items()
        for target, line, for_types in _imports(ast.parse(path.read_text()), module, path, modules)
    ]


def _imports(tree: ast.AST, module: str, path: Path, modules: dict[str, Path]) -> Iterator[tuple[str, int, bool]]:
    package = module.split(".") if path.name == "__init__.py" else module.split(".")[:-1]
    for node, for_types in _walk(tree):
        if isinstance(node, ast.Import):
            for name in node.names:
                yield name.name, node.lineno, for_types
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*above, *filter(None, [node.module])])
            for name in node.names:
                full = f"{source}.{name.name}"
                yield full if full in modules else source, node.lineno, for_types


def _walk(node: ast.AST, for_types: bool = False) -> Iterator[tuple[ast.AST, bool]]:
    """Every node below *node*, and whether it stands under `if TYPE_CHECKING`."""
    yield node, for_types
    guarded = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
    for child in ast.iter_child_nodes(node):
        yield from _walk(child, for_types or (guarded and child in node.body))
