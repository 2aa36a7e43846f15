"""The documents' commands, run as they are written; none is left out unseen."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.docs import commands
from tests.integration.docs.commands import Command
from tests.integration.docs.elsewhere import ELSEWHERE
from tests.integration.docs.pages import PARTS, Part, fits
from tests.integration.docs.sites import Site
from tests.integration.docs.world import PROJECT, World

WRITTEN = commands.read(PROJECT)


def of(part: Part) -> list[Command]:
    """The commands that a part runs."""
    return [each for each in WRITTEN if part.has(each) and each.text not in ELSEWHERE]


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("part", PARTS, ids=str)
def test_commands_of_a_page_end_as_it_says(
    part: Part, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    start: World = request.getfixturevalue(part.start)
    world = start.copy(tmp_path / "world")
    for name in part.sites:
        site: Site = request.getfixturevalue(name)
        site.add_to(world)
    for line in part.prepare:
        world.run(line)
    for command in of(part):
        if command.text in part.said:
            world.run(part.said[command.text])
        world.run(part.typed.get(command.text, command.text), code=command.code)


def test_every_command_is_run_or_told_why_not() -> None:
    left = {
        (each.page, each.text): [str(part) for part in PARTS if part.has(each)]
        for each in WRITTEN
        if each.text not in ELSEWHERE
    }
    assert len(left) > 150
    assert {command: parts for command, parts in left.items() if len(parts) != 1} == {}


def test_what_is_told_of_a_command_is_about_one_that_is_there() -> None:
    assert set(ELSEWHERE) - {each.text for each in WRITTEN} == set()
    for part in PARTS:
        there = of(part)
        assert there, part
        assert set(part.sections) <= {each.section for each in WRITTEN if each.page == part.page}
        assert {*part.said, *part.typed} - {each.text for each in there} == set(), part


def test_what_is_typed_is_what_is_written_with_its_places_filled_in() -> None:
    wrong = [pair for part in PARTS for pair in part.typed.items() if not fits(*pair)]
    assert wrong == []
    assert fits("rke2pack verify FILE -v", "rke2pack verify dist/a.tar -v")
    assert not fits("rke2pack verify FILE -v", "rke2pack verify dist/a.tar")
    assert not fits("rke2pack verify FILE", "rke2pack images FILE")


@pytest.mark.parametrize("text", ELSEWHERE)
def test_command_that_is_not_run_names_a_test_that_is_there(text: str) -> None:
    path, _, name = ELSEWHERE[text].test.partition("::")
    assert f"\ndef {name}(" in (PROJECT / "tests" / path).read_text()


def test_every_session_of_the_documents_is_there() -> None:
    listed = subprocess.run(
        [sys.executable, "-m", "nox", "--list"],
        cwd=PROJECT, check=True, capture_output=True, text=True,
    )  # fmt: skip
    sessions = set(re.findall(r"^[-*] (\S+) -> ", listed.stdout, re.MULTILINE))
    words = (each.text.split() for each in WRITTEN if each.text.startswith("nox -s "))
    named = {word for line in words for word in line[2:3] if word != "WORD"}
    assert len(named) > 20
    assert named <= sessions


def test_every_part_of_the_benchmarks_has_its_options() -> None:
    parts = [path.stem for path in (PROJECT / "benchmarks").glob("*.py")]
    asked = [part for part in parts if f"nox -s bench -- {part} " in " ".join(ELSEWHERE)]
    assert sorted(asked) == ["airgap", "charts", "memory", "mirror", "validate"]
    for part in asked:
        done = subprocess.run(
            [sys.executable, PROJECT / "benchmarks", part, "--help"],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        (option,) = [t.split()[5] for t in ELSEWHERE if t.startswith(f"nox -s bench -- {part} ")]
        assert option in done.stdout


def test_commands_are_found_wherever_they_stand() -> None:
    page = (
        "# One\n\n```console\n$ a --x  # exits with 5: why\nsaid\n$ b \\\n    --y\n```\n"
        "`rke2pack pull\nNAME`, `pull`\n\n## Two\n\n| `zstd -dc F \\| c` |\n"
        "```yaml\n- run: nox -s pull\n  x: $(rke2pack plan --json)\n```\n"
        "  ```console\n  c  # more\n  ```\n```text\nno\n```\n"
    )
    found = [(each.section, each.text, each.code) for each in commands.of_page("p", page)]
    assert found == [
        ("One", "a --x", 5),
        ("One", "b --y", 0),
        ("One", "rke2pack pull NAME", 0),
        ("Two", "zstd -dc F | c", 0),
        ("Two", "nox -s pull", 0),
        ("Two", "rke2pack plan --json", 0),
        ("Two", "c", 0),
    ]
