"""A stage's command, invoked without the program around it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.testing import CliRunner, Result

from rke2pack.options import App


def invoked(command: click.Command, *arguments: str | Path, cache: Path) -> Result:
    """Invoke a command that has no lab; an error of ours is the result's exception."""

    def no_lab(*_: object) -> Any:  # noqa: ANN401 - never called
        raise AssertionError

    app = App(is_github=False, default_cache_dir=lambda: cache, open_lab=no_lab)
    return CliRunner().invoke(command, list(map(str, arguments)), obj=app)
