"""Memory and open files stay flat over images and rounds; the long form is ``nox -s soak``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.integration.oci.conftest import Missing
from tests.soak.rounds import COMMANDS, Ran, rounds

FEW, MANY, ROUNDS = 20, 160, 3
CONNECTIONS = 48  # kept open for the next request, and what a Python has open anyway
MORE = 12 * 1024 * 1024  # for 140 images more, whose names and digests are kept


def largest(ran: Sequence[Ran], command: str) -> int:
    return max(each.memory for each in ran if each.command == command)


@pytest.mark.slow
def test_memory_and_open_files_do_not_grow(
    tmp_path: Path, missing: Missing, monkeypatch: pytest.MonkeyPatch, project: Path
) -> None:
    monkeypatch.chdir(project)
    few = list(rounds(tmp_path / "few", count=FEW, repeated=1, missing=missing))
    many = list(rounds(tmp_path / "many", count=MANY, repeated=ROUNDS, missing=missing))
    assert len(many) == ROUNDS * len(COMMANDS)
    for command in COMMANDS:
        assert largest(many, command) - largest(few, command) < MORE, command
    assert max(each.files for each in (*few, *many)) < CONNECTIONS
