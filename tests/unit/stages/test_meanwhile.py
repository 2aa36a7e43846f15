"""Another process changes the tree meanwhile: nothing is lost, and nothing wrong is told."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2pack import filelock, journal
from rke2pack.stages import charts
from rke2pack.stages.images import listed
from tests.unit.stages.bumping import bundle
from tests.unit.stages.conftest import Rke2pack, chart, write_repository, write_tree


@pytest.fixture
def where(tmp_path: Path, rke2pack: Rke2pack) -> tuple[str, ...]:
    """A tree whose chart ``a`` can move."""
    found = [chart("a", f"1.{n}.000", image=f"x/a:{n}") for n in (0, 1)]
    repository = write_repository(tmp_path / "charts", *found)
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    bundle(tree, rke2pack, repository)
    return ("--tree", str(tree), "--charts-repo", str(repository))


def test_a_lock_is_not_made_of_a_list_that_changes(
    where: tuple[str, ...], rke2pack: Rke2pack
) -> None:
    tree = Path(where[1])
    nowhere = ("--endpoint", "docker.io=http://127.0.0.1:9", "--tree", tree)
    with journal.locked(tree):
        answer = rke2pack("images", "--lock", *nowhere)
    assert answer.code == 6
    assert f"another rke2pack is changing this tree (process {os.getpid()})" in answer.err
    assert "asking for" not in answer.err
    assert not (tree / "images.lock").exists()


@pytest.mark.parametrize(
    ("words", "place"),
    [(("images", "--check"), (listed, "compare")), (("charts",), (charts, "_content"))],
)
def test_a_tree_that_moved_under_a_reader_is_not_called_wrong(
    where: tuple[str, ...],
    rke2pack: Rke2pack,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    place: tuple[object, str],
) -> None:
    module, name = place
    real: Callable[..., object] = getattr(module, name)
    with monkeypatch.context() as patched:

        def later(*arguments: object) -> object:
            patched.undo()
            assert rke2pack("bump", "a", "1.1.0", *where).code == 0
            return real(*arguments)

        patched.setattr(module, name, later)
        answer = rke2pack(*words, *where)
    assert answer.code == 6
    message = f"{where[1]}: another rke2pack has changed this tree meanwhile"
    assert f"error: {message}\nhint: {filelock.HINT}\n" in answer.err
    assert rke2pack(*words, *where).code == 0
