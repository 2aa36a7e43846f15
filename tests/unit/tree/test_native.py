from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack.errors import ConfigError
from rke2pack.tree.native import NativeTree

ENV = "# names of version.sh\nRKE2_VERSION=v1.32.4+rke2r1\n\nKUBERNETES_VERSION=v1.32.4\nEMPTY=\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "charts-manifest"
    folder.mkdir()
    (folder / "chart_versions.yaml").write_text("charts: []\n")
    (folder / "versions.env").write_text(ENV)
    (folder / "repositories.yaml").write_text(
        "repositories:\n- {name: main, url: https://charts.example.com}\n- {name: b, url: /b}\n"
    )
    return tmp_path


def refusal(root: Path, name: str, text: str, attribute: str) -> str:
    (root / "charts-manifest" / name).write_text(text)
    with pytest.raises(ConfigError) as caught:
        getattr(NativeTree.open(root), attribute)
    return caught.value.message.removeprefix(f"{root}/charts-manifest/{name}: ")


def test_folder_that_is_no_tree_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        NativeTree.open(tmp_path)
    assert caught.value.message == (
        f"{tmp_path}: not a tree, it has no charts-manifest/chart_versions.yaml"
    )
    assert caught.value.hint == "name the folder of the tree with --tree"


def test_folder_that_is_no_tree_is_told_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError) as caught:
        NativeTree.open(Path())
    assert caught.value.message == (
        f"{tmp_path}: not a tree, it has no charts-manifest/chart_versions.yaml"
    )


def test_environment_is_names_and_plain_values(root: Path) -> None:
    tree = NativeTree.open(root)
    assert tree.environment == {
        "RKE2_VERSION": "v1.32.4+rke2r1",
        "KUBERNETES_VERSION": "v1.32.4",
        "EMPTY": "",
    }
    assert tree.kube_version == "v1.32.4"


@pytest.mark.parametrize("line", ["A='x'", "export A=1", "a=1", "A = 1", "A=$B", "A=`id`", "text"])
def test_shell_syntax_in_versions_env_is_refused(root: Path, line: str) -> None:
    assert refusal(root, "versions.env", f"{ENV}{line}\n", "environment") == (
        "line 6: expected NAME=value"
    )


@pytest.mark.parametrize("name", ["KUBERNETES_VERSION", "RKE2_VERSION"])
def test_versions_env_needs_both_versions(root: Path, name: str) -> None:
    text = "".join(line for line in ENV.splitlines(keepends=True) if not line.startswith(name))
    assert refusal(root, "versions.env", text, "environment") == f"{name} is missing"
    assert refusal(root, "versions.env", f"{text}{name}=\n", "environment") == f"{name} is missing"


def test_missing_and_undecodable_files_are_named(root: Path) -> None:
    path = root / "charts-manifest" / "versions.env"
    path.unlink()
    with pytest.raises(ConfigError) as caught:
        _ = NativeTree.open(root).environment
    assert caught.value.message == f"{path}: no such file"
    assert caught.value.hint == "name the folder of the tree with --tree"
    path.write_bytes(b"A=\xff\n")
    with pytest.raises(ConfigError) as caught:
        _ = NativeTree.open(root).environment
    assert caught.value.message == f"{path}: not UTF-8 text (byte 2)"


def test_first_repository_is_the_default_and_any_address_is_taken(root: Path) -> None:
    tree = NativeTree.open(root)
    assert tree.repository_source(None) == "https://charts.example.com"
    assert tree.repository_source("b") == "/b"
    assert tree.repository_source("/some/folder") == "/some/folder"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "there is no list 'repositories'"),
        ("repositories: []\n", "there is no list 'repositories'"),
        ("repositories: [{name: a}]\n", "every repository needs name and url"),
        ("repositories: [a]\n", "every repository needs name and url"),
        ("a: [", "not YAML: line 2, column 1: did not find expected node content"),
    ],
)
def test_wrong_repositories_are_told(root: Path, text: str, message: str) -> None:
    assert refusal(root, "repositories.yaml", text, "repositories").startswith(message)


def test_name_of_a_repository_that_is_none_is_told(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = NativeTree.open(root)
    known = " or ".join(tree.repositories)
    with pytest.raises(ConfigError) as caught:
        tree.repository_source("nonsense")
    message = "nonsense: no chart repository of this name, and no such folder"
    assert caught.value.message == message
    assert (caught.value.hint or "").endswith(f", an http(s) address, or {known}")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "nonsense").mkdir()
    assert tree.repository_source("nonsense") == "nonsense"


def test_removed_chart_has_no_reference(root: Path) -> None:
    tree = NativeTree.open(root)
    tree.manifest_path("gone").write_text("# gone has been removed\n")
    assert tree.reference("gone") is None


def test_manifest_that_is_not_there_can_be_written(root: Path) -> None:
    tree = NativeTree.open(root)
    with pytest.raises(ConfigError) as caught:
        tree.reference("new")
    assert caught.value.message == f"{root}/charts-manifest/new.yaml: no such file"
    assert caught.value.hint == "write it with 'rke2pack charts --references'"


def test_tree_without_list_has_an_empty_one(root: Path) -> None:
    tree = NativeTree.open(root)
    assert tree.images_text == ""
    tree.images_path.write_bytes(b"a\r\nb\n")
    assert tree.images_text == "a\r\nb\n"


def test_projects_own_tree_agrees_with_itself(project: Path) -> None:
    tree = NativeTree.open(project)
    for chart in tree.versions.charts:
        reference = tree.reference(chart.name)
        if chart.version.is_removed:
            assert reference is None
            continue
        assert reference is not None
        assert (reference.name, reference.version) == (chart.name, chart.version.text)
        assert reference.bootstrap == chart.bootstrap
        assert tree.components.of_chart(chart.name) is not None
