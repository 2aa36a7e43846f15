from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack.errors import ConfigError
from rke2pack.tree.rke2 import SCRIPT, VERSION_SCRIPT, VERSIONS, Rke2Tree
from tests.unit.tree.scripts import document

ENTRY = "  - version: 1.0.000\n    filename: /charts/rke2-a.yaml\n    bootstrap: true\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A checkout with one chart and one list."""
    texts = {
        VERSIONS: f"charts:\n{ENTRY}",
        SCRIPT: document("acme/a:v1", name="core"),
        VERSION_SCRIPT: "KUBERNETES_VERSION=${KUBERNETES_VERSION:-v1.30.1}\nT=$(date)\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_checkout_is_found_by_its_files(root: Path) -> None:
    assert Rke2Tree.is_at(root)
    assert not Rke2Tree.is_at(root / "scripts")
    with pytest.raises(ConfigError, match=r"not a checkout of rancher/rke2, it has no charts/"):
        Rke2Tree.open(root / "scripts")


def test_what_a_checkout_says(root: Path) -> None:
    tree = Rke2Tree.open(root)
    assert tree.kube_version == "v1.30.1"
    assert tree.environment == {"KUBERNETES_VERSION": "v1.30.1"}
    assert [chart.name for chart in tree.versions.charts] == ["rke2-a"]
    assert [place.image for place in tree.sources.places] == ["acme/a:v1"]
    assert tree.reviewed("rke2-a") is None


def test_a_kubernetes_version_is_needed(root: Path) -> None:
    (root / VERSION_SCRIPT).write_text("KUBERNETES_VERSION=$(git describe)\n")
    with pytest.raises(ConfigError, match=r"scripts/version.sh: KUBERNETES_VERSION is missing"):
        _ = Rke2Tree.open(root).environment


def test_a_missing_version_sh_is_named(root: Path) -> None:
    (root / VERSION_SCRIPT).unlink()
    with pytest.raises(ConfigError, match=r"scripts/version.sh: no such file"):
        _ = Rke2Tree.open(root).sources


def test_built_in_rules_serve_a_checkout_without_its_own(root: Path) -> None:
    tree = Rke2Tree.open(root)
    assert tree.components.of_chart("harvester-cloud-provider") is not None
    own = root / "charts-manifest/components.yaml"
    own.parent.mkdir()
    own.write_text("registry: docker.io\nplatforms: [linux/amd64]\ncomponents: []\n")
    assert Rke2Tree.open(root).components.components == ()


def test_texts_of_another_revision_go_before_the_files(root: Path) -> None:
    tree = Rke2Tree(root=root, revision={VERSIONS: f"charts:\n{ENTRY.replace('1.0', '2.0')}"})
    assert str(tree.versions.charts[0].version) == "2.0.000"
    assert tree.kube_version == "v1.30.1"


@pytest.mark.parametrize(
    ("name", "is_private"),
    [
        ("scripts/build-binary", False),
        ("Dockerfile", False),
        ("Dockerfile.windows", False),
        ("Makefile", False),
        (".github/workflows/a.yaml", False),
        ("docs/a.md", True),
    ],
)
@pytest.mark.parametrize("data", [b"go build $A_TAG\n", b"\xff\xfe\x00 A_TAG"])
def test_a_variable_is_private_if_no_other_file_of_the_build_has_it(
    root: Path, name: str, data: bytes, *, is_private: bool
) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)
    assert Rke2Tree.open(root).is_private("A_TAG") == is_private
    assert Rke2Tree.open(root).is_private("B_TAG")
