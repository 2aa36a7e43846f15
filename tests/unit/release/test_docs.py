"""Command lines of all documents: every word, option and number of arguments exists.

That they do what they say is for tests/integration/docs.
"""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from rke2pack.cli import WORDS, cli
from tests.integration.docs import commands

ROOT = Path(__file__).resolve().parents[3]
PROGRAMS = ("rke2pack ", "nox -s ")


def lines() -> list[str]:
    """The arguments of rke2pack in every command, those of pipelines and sessions too."""
    texts = (each.text for each in commands.read(ROOT) if each.text.startswith(PROGRAMS))
    found = (_arguments(text) for text in texts if not text.endswith(("rke2pack bump", "-s WORD")))
    return sorted({line for line in found if line.split()[0] in WORDS})


def _arguments(text: str) -> str:
    line = text.removeprefix("rke2pack ").removeprefix("nox -s ")
    word, _, rest = line.partition(" ")
    return f"{word} {rest.removeprefix('-- ')}".strip()


def test_there_are_command_lines() -> None:
    assert len(lines()) > 100


@pytest.mark.parametrize("line", lines())
def test_documented_command_line_is_understood(line: str) -> None:
    word, *arguments = shlex.split(line)
    context = click.Context(cli, info_name="rke2pack")
    command = cli.get_command(context, word)
    assert command is not None
    with command.make_context(word, arguments, parent=context):
        pass
