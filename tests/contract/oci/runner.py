"""Runs ``pull`` and ``cache`` as the command line does; a program for tests that kill it."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import click

from rke2pack.console import Console
from rke2pack.errors import PackError
from rke2pack.options import App
from rke2pack.settings import Settings
from tests.answer import Answer

__all__ = ["Answer"]


def run(arguments: Sequence[str | Path], environment: Mapping[str, str]) -> Answer:
    """Run one command line in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = _run([str(each) for each in arguments], environment)
    return Answer(code=code, out=out.getvalue(), err=err.getvalue())


def _run(arguments: list[str], environment: Mapping[str, str]) -> int:
    word, *rest = arguments
    command: click.Command = importlib.import_module(f"rke2pack.stages.{word}").command
    app = App(
        is_github=False,
        default_cache_dir=lambda: Path("/nowhere"),
        open_lab=_no_lab,
        environment=environment,
    )
    context = None
    try:
        context = command.make_context(word, rest, obj=app)
        with context:
            command.invoke(context)
    except PackError as exc:
        console = context.meta.get("rke2pack.console") if context else None
        (console or Console()).error(exc)
        return exc.exit_code
    except click.ClickException as exc:
        exc.show()
        return exc.exit_code
    return 0


def _no_lab(settings: Settings, console: Console) -> AbstractContextManager[Settings]:
    raise NotImplementedError


def listing(root: Path) -> dict[str, bytes]:
    """Every file of a store that is its content: no locks, no rests."""
    return dict(_files(root))


def _files(root: Path) -> Iterator[tuple[str, bytes]]:
    for path in sorted(root.rglob("*")):
        name = path.relative_to(root).as_posix()
        if path.is_file() and not path.name.startswith(".") and not name.startswith("partial/"):
            yield name, path.read_bytes()


if __name__ == "__main__":
    sys.exit(_run(sys.argv[1:], os.environ))
