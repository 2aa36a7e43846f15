"""What ``--help`` tells of every word: examples that are calls, options in order, pages."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from rke2pack import cli
from rke2pack.manual import EXAMPLES, PAGES


def commands() -> Iterator[tuple[str, ...]]:
    """Every word, and every word of one that has some."""
    for word in cli.WORDS:
        command = cli.cli.get_command(click.Context(cli.cli), word)
        if isinstance(command, click.Group):
            yield from ((word, below) for below in command.commands)
        else:
            yield (word,)


COMMANDS = tuple(commands())


def help_of(word: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> str:
    assert cli.run([*word, "--help"]) == 0
    return capsys.readouterr().out


def test_every_command_has_examples_and_a_page(project: Path) -> None:
    assert {" ".join(word) for word in COMMANDS} == set(EXAMPLES)
    assert set(PAGES) == set(cli.WORDS)
    assert [page for page in PAGES.values() if not (project / f"docs/{page}.md").is_file()] == []


@pytest.mark.parametrize(
    ("word", "call"),
    [(word, call) for word in COMMANDS for _, call in EXAMPLES[" ".join(word)]],
    ids=str,
)
def test_an_example_is_a_call_that_is_taken(word: tuple[str, ...], call: str) -> None:
    context = cli.cli.make_context("rke2pack", [*word, *shlex.split(call)])
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(
            context,
            [*context._protected_args, *context.args],
        )
        assert command is not None
        context = command.make_context(name, rest, parent=context)
    assert context.command_path == " ".join(("rke2pack", *word))
    assert not context.args


def test_an_example_that_is_no_call_is_found() -> None:
    command = cli.cli.get_command(click.Context(cli.cli), "pull")
    assert command is not None
    with pytest.raises(click.NoSuchOption):
        command.make_context("pull", ["--nonsense"])


@pytest.mark.parametrize("word", COMMANDS, ids=" ".join)
def test_help_ends_with_examples_and_where_to_go_on(
    capsys: pytest.CaptureFixture[str], word: tuple[str, ...]
) -> None:
    text = help_of(word, capsys)
    rest = text[text.index("\nExamples:\n") :]
    for says, call in EXAMPLES[" ".join(word)]:
        whole = " ".join(("rke2pack", *word, call)).rstrip()
        assert f"  # {says}\n  {whole}\n" in rest
    flat = " ".join(rest.split())
    assert f"Manual: docs/{PAGES[word[0]]}.md. Exit codes: docs/errors.md." in flat
    assert f"RKE2PACK_{'_'.join(word).upper()}_OPTION." in flat


@pytest.mark.parametrize("word", COMMANDS, ids=" ".join)
def test_common_options_stand_behind_a_commands_own(
    capsys: pytest.CaptureFixture[str], word: tuple[str, ...]
) -> None:
    text = help_of(word, capsys)
    own, _, common = text.partition("\nCommon options:\n")
    for option in ("--json", "--quiet", "--help"):
        assert option in common
        assert f"  {option}" not in own
