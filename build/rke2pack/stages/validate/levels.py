"""The levels of ``validate``: which options each takes, and who runs it."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from rke2pack.errors import ConfigError
from rke2pack.stages.validate import importwish, kindwish

if TYPE_CHECKING:
    from rke2pack.stages.validate.asked import Asked
    from rke2pack.validate.report import Report

DEFAULT = "static"
FOLDER = "dist/validate"
LEVELS: Mapping[str, str] = {
    "static": "rke2pack.stages.validate.static",
    "import": "rke2pack.stages.validate.importing",
    "kind": "rke2pack.stages.validate.kind",
}
"""Word -> module with ``run(asked) -> Report``, imported on use."""
HINTS: Mapping[str, str] = {
    "static": "correct them, or explain them in charts-manifest/validate-allow.yaml",
    "import": "build the archives again; see docs/validate-import.md for what each check means",
    "kind": "look at what dist/validate/kind has of it; see docs/validate-kind.md",
}
ROWLESS = frozenset({"import"})
_ONLY: Mapping[str, tuple[str, ...]] = {
    "static": (
        *("rows", "matrix_file", "charts", "origin", "older", "values_files"),
        *("components", "is_prime"),
    ),
    "import": (*importwish.PARAMETERS, "registry"),
    "kind": (
        *("given", "rows", "matrix_file", "charts", "origin", "older", "components", "is_prime"),
        *kindwish.PARAMETERS,
    ),
}


def check(level: str, given: Mapping[str, str]) -> None:
    """Raise ConfigError for an option of another level; ``given`` maps parameters to options."""
    for other, names in _ONLY.items():
        for name in names:
            if other != level and name in given and name not in _ONLY.get(level, ()):
                msg = f"{given[name]}: is not for level {level}"
                raise ConfigError(msg, hint=f"leave it out, or choose --level {other}")


def run(level: str, asked: Asked) -> Report:
    """Run a level."""
    found: Callable[[Asked], Report] = importlib.import_module(LEVELS[level]).run
    return found(asked)
