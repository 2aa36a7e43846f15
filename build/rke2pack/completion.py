"""What a shell completes: names that the tree's data files have, and what stands in images.txt.

No network is asked, nothing is written, and whatever goes wrong completes nothing: while
somebody types there is no place for an error.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from rke2pack.tree.components import Components

VARIABLE = "_RKE2PACK_COMPLETE"
_RULES = Path(__file__).parent / "tree" / "rules"
_COMPONENTS = "components.yaml"
_MAX_BYTES = 1024 * 1024
Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def answer(program: click.Group, instruction: str) -> int:
    """Do what a shell asks of ``program`` through `VARIABLE`; return the exit code."""
    from click.shell_completion import shell_complete  # noqa: PLC0415 - only for a shell

    with contextlib.suppress(Exception):
        return shell_complete(program, {}, "rke2pack", VARIABLE, instruction)
    return 1


def _quiet(names: Callable[[Path], Iterable[str]]) -> Complete:
    """Complete what ``names`` tells of a tree; what fails has none."""

    def complete(context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
        tree = context.params.get("tree") or Path()
        with contextlib.suppress(Exception):
            return [name for name in dict.fromkeys(names(tree)) if name.startswith(incomplete)]
        return []

    return complete


def _components(tree: Path) -> Components:
    from rke2pack.tree.components import Components  # noqa: PLC0415 - only for a shell

    return Components.parse(_text(tree, _COMPONENTS), what=_COMPONENTS)


def _text(tree: Path, name: str) -> str:
    """Read a data file of the tree; outside of one, that which comes with rke2pack."""
    own = tree / "charts-manifest" / name
    with (own if own.is_file() else _RULES / name).open(encoding="utf-8") as file:
        return file.read(_MAX_BYTES)


def _charts(tree: Path) -> Iterable[str]:
    return (chart for each in _components(tree).components for chart in each.charts)


def _rows(tree: Path) -> Iterable[str]:
    from rke2pack.validate.matrix import Matrix  # noqa: PLC0415 - only for a shell

    text = _text(tree, "support-matrix.yaml")
    matrix = Matrix.parse(text, what="", components=_components(tree))
    return (row.name for row in matrix.rows)


def _images(tree: Path) -> Iterable[str]:
    with (tree / "images.txt").open(encoding="utf-8") as file:
        lines = file.read(_MAX_BYTES).splitlines()
    return (line for line in lines if line and not line.startswith("#"))


charts = _quiet(_charts)
components = _quiet(lambda tree: (each.name for each in _components(tree).components))
images = _quiet(_images)
platforms = _quiet(lambda tree: _components(tree).every_platform)
rows = _quiet(_rows)


def versions(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Complete the one version that is no number; which there are, the chart repository knows."""
    return _quiet(lambda _tree: ("latest",))(context, parameter, incomplete)
