from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.stages import checkouts
from tests.unit.stages.checkouts import LISTS, SCRIPT, VERSION_SCRIPT, VERSIONS, write_checkout
from tests.unit.stages.conftest import Rke2pack, contents
from tests.unit.tree.scripts import PULL, document


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return checkouts.charts(tmp_path_factory.mktemp("charts"))


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> dict[str, tuple[bytes, bytes]]:
    """The files that differ but the journal's, with both contents."""
    names = {name for name in before | after if not name.startswith(".rke2pack/")}
    return {
        name: (before.get(name, b""), after.get(name, b""))
        for name in names
        if before.get(name) != after.get(name)
    }


def test_a_bump_changes_the_version_and_the_tag_only(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    tree = write_checkout(tmp_path / "rke2")
    before = contents(tree)
    answer = rke2pack("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository, "--json")
    assert answer.code == 0, answer.err
    files = changed(before, contents(tree))
    assert set(files) == {VERSIONS, SCRIPT}
    old, new = files[VERSIONS]
    assert new == old.replace(b"1.0.000", b"1.1.000", 1)
    old, new = files[SCRIPT]
    assert new == old.replace(b"${REGISTRY}/x/a:1", b"${REGISTRY}/x/a:2")
    assert answer.json["images"] == {
        "core": {"added": ["docker.io/x/a:2"], "removed": ["docker.io/x/a:1"]}
    }
    assert answer.json["findings"] == []


def test_carriage_returns_comments_and_the_end_stay(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    lists = f"# é ✓\n{LISTS}# the end".replace("\n", "\r\n")
    tree = write_checkout(tmp_path / "rke2", lists=lists)
    before = (tree / SCRIPT).read_bytes()
    answer = rke2pack("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository)
    assert answer.code == 0, answer.err
    assert (tree / SCRIPT).read_bytes() == before.replace(b"x/a:1", b"x/a:2")


@pytest.mark.parametrize("is_used", [True, False])
def test_a_variable_of_version_sh_moves_if_the_build_has_no_other_use(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack, *, is_used: bool
) -> None:
    tree = write_checkout(tmp_path / "rke2", lists=LISTS.replace("x/a:1", "x/a:${A_TAG}"))
    (tree / VERSION_SCRIPT).write_text("KUBERNETES_VERSION=v1.32.4\nA_TAG=${A_TAG:-1} # é\n")
    if is_used:
        (tree / "Dockerfile").write_text("ARG A_TAG\n")
    before = contents(tree)
    assert rke2pack("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository).code == 0
    files = changed(before, contents(tree))
    if is_used:
        assert set(files) == {VERSIONS, SCRIPT}
        assert files[SCRIPT][1] == files[SCRIPT][0].replace(b"x/a:${A_TAG}", b"x/a:2")
    else:
        assert set(files) == {VERSIONS, VERSION_SCRIPT}
        assert files[VERSION_SCRIPT][1] == files[VERSION_SCRIPT][0].replace(b":-1}", b":-2}")


def test_a_removed_chart_takes_its_images_along(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    tree = write_checkout(tmp_path / "rke2")
    before = (tree / SCRIPT).read_text()
    answer = rke2pack("bump", "a", "0.0.0", "--tree", tree, "--charts-repo", repository)
    assert answer.code == 0, answer.err
    assert (tree / SCRIPT).read_text() == before.replace("    ${REGISTRY}/x/a:1\n", "")


def test_a_list_that_would_get_empty_is_left_and_told(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    tree = write_checkout(tmp_path / "rke2")
    before = (tree / SCRIPT).read_text()
    answer = rke2pack("bump", "c", "0.0.0", "--tree", tree, "--charts-repo", repository, "--json")
    assert answer.code == 0, answer.err
    assert (tree / SCRIPT).read_text() == before
    assert [(f["check"], f["subject"]) for f in answer.json["findings"]] == [
        ("kept-image", "extra")
    ]


EDITIONS = (
    'if [ "${REGISTRY}" != "docker.io" ]; then\n'
    + document("${REGISTRY}/x/a:1", "${REGISTRY}/x/b:1", name="core", head=PULL)
    + "else\n"
    + document("${REGISTRY}/x/a:1", "${REGISTRY}/x/b:1", name="core", head=PULL)
    + "fi\n"
)


def test_both_editions_are_written(tmp_path: Path, repository: Path, rke2pack: Rke2pack) -> None:
    tree = write_checkout(tmp_path / "rke2", lists=EDITIONS)
    before = (tree / SCRIPT).read_text()
    answer = rke2pack("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository, "--json")
    assert answer.code == 0, answer.err
    assert (tree / SCRIPT).read_text() == before.replace("x/a:1", "x/a:2")
    assert list(answer.json["images"]) == ["core", "core (prime)"]


def test_a_condition_that_cannot_be_told_is_a_finding(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    lists = f"{LISTS}if [ -f x ]; then\n{document('x/q:1', name='core', head=PULL)}fi\n"
    tree = write_checkout(tmp_path / "rke2", lists=lists)
    answer = rke2pack("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository, "--json")
    told = {(f["check"], f["subject"]) for f in answer.json["findings"]}
    line = (tree / SCRIPT).read_text().splitlines().index("if [ -f x ]; then") + 1
    assert ("assumed-condition", f"{SCRIPT}, line {line}") in told


def test_a_chart_that_does_not_render_makes_its_list_unsure(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    tree = write_checkout(tmp_path / "rke2", versions={"c": "1.9.000"})
    manifest = tree / "charts-manifest/components.yaml"
    manifest.write_text(
        manifest.read_text()
        .replace('["a", "b"]', '["a", "b", "c"]', 1)
        .replace(', {"name": "extra", "charts": ["c"]}', "")
    )
    before = (tree / SCRIPT).read_text()
    answer = rke2pack("bump", "a", "0.0.0", "--tree", tree, "--charts-repo", repository, "--json")
    assert answer.code == 0, answer.err
    assert (tree / SCRIPT).read_text() == before
    assert {f["check"] for f in answer.json["findings"]} == {"kept-image", "unknown-chart"}


def test_an_image_that_was_missing_is_told_and_added(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    tree = write_checkout(tmp_path / "rke2", lists=document("x/b:1", name="core"))
    answer = rke2pack("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository, "--json")
    assert answer.code == 0, answer.err
    assert "    x/b:1\n    x/a:2\nEOF\n" in (tree / SCRIPT).read_text()
    (found,) = (f for f in answer.json["findings"] if f["check"] == "stale-list")
    assert found["subject"] == "build-images, list core"
    assert found["expected"] == "before this bump x/a:1"


def test_a_chart_without_any_list_is_an_error_finding(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    tree = write_checkout(tmp_path / "rke2", lists=document("x/a:1", "x/b:1", name="core"))
    answer = rke2pack("bump", "c", "1.1.0", "--tree", tree, "--charts-repo", repository, "--json")
    assert answer.code == 0, answer.err
    assert [(f["severity"], f["check"]) for f in answer.json["findings"]] == [
        ("error", "missing-list")
    ]


def test_windows_versions_are_told(tmp_path: Path, repository: Path, rke2pack: Rke2pack) -> None:
    tree = write_checkout(tmp_path / "rke2")
    dockerfile = tree / "Dockerfile.windows"
    dockerfile.write_text('ENV CALICO_VERSION="v3.24.1"\n')
    assert rke2pack("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository).code == 0
    assert dockerfile.read_text() == 'ENV CALICO_VERSION="v3.24.1"\n'


def test_dry_run_writes_nothing(tmp_path: Path, repository: Path, rke2pack: Rke2pack) -> None:
    tree = write_checkout(tmp_path / "rke2")
    before = contents(tree)
    answer = rke2pack(
        "bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository, "--dry-run"
    )
    assert answer.code == 0
    assert "-    ${REGISTRY}/x/a:1\n+    ${REGISTRY}/x/a:2\n" in answer.out
    assert changed(before, contents(tree)) == {}


def test_a_script_that_is_none_changes_nothing(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack
) -> None:
    tree = write_checkout(tmp_path / "rke2", lists="if [ a = b ]; then\n")
    before = contents(tree)
    answer = rke2pack("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository)
    assert answer.code == 2
    assert "not understood as a shell script" in answer.err
    assert changed(before, contents(tree)) == {}


@pytest.mark.parametrize(
    "words",
    [("pull",), ("airgap",), ("images",), ("charts",), ("validate",), ("mirror", "r.example.com")],
)
def test_commands_for_a_native_tree_refuse_a_checkout(
    tmp_path: Path, repository: Path, rke2pack: Rke2pack, words: tuple[str, ...]
) -> None:
    tree = write_checkout(tmp_path / "rke2")
    where = () if words[0] in {"pull", "airgap", "mirror"} else ("--charts-repo", repository)
    answer = rke2pack(*words, "--tree", tree, *where)
    assert answer.code == 2
    assert f"error: {tree}: a checkout of rancher/rke2 has no images.txt\n" in answer.err
    assert "hint: use a tree with charts-manifest/" in answer.err
