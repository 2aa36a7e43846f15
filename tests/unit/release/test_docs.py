"""Command lines in the docs of releases: every word, option and number of arguments exists."""

from __future__ import annotations

import shlex
from pathlib import Path

import click
import pytest

from rke2pack.cli import cli

PAGES = ("release.md", "changelog.md", "operator.md", "verify.md")
ROOT = Path(__file__).resolve().parents[3]


def lines() -> list[str]:
    found = []
    for page in PAGES:
        text = (ROOT / "docs" / page).read_text()
        found += [
            line.removeprefix("$ ").partition(" # ")[0].strip()
            for line in text.splitlines()
            if line.startswith("$ rke2pack ")
        ]
    return list(dict.fromkeys(found))


def test_there_are_command_lines() -> None:
    assert len(lines()) > 20


@pytest.mark.parametrize("line", lines())
def test_documented_command_line_is_understood(line: str) -> None:
    _, word, *arguments = shlex.split(line)
    context = click.Context(cli, info_name="rke2pack")
    command = cli.get_command(context, word)
    assert command is not None
    with command.make_context(word, arguments, parent=context):
        pass
