"""The released states as native trees: versions, lists and manifests of one release."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from rke2pack import safeyaml
from rke2pack.cli import run

NAMES = (
    *("v1.30.12+rke2r1", "v1.30.13+rke2r1", "v1.31.8+rke2r1", "v1.31.9+rke2r1"),
    *("v1.32.4+rke2r1", "v1.32.5+rke2r1"),
)
_DATA = ("repositories.yaml", "support-matrix.yaml", "validate-allow.yaml")


def write_tree(reference_data: Path, release: str, root: Path, project: Path) -> Path:
    """Write a release as a tree: its own versions and lists, the project's rules."""
    source, folder = reference_data / "rke2-releases" / release, root / "charts-manifest"
    folder.mkdir(parents=True)
    for name in _DATA:
        shutil.copyfile(project / "charts-manifest" / name, folder / name)
    rules = safeyaml.load(
        (project / "charts-manifest/components.yaml").read_text(), what="components.yaml"
    )
    # The reference data has no lists of Windows.
    rules["components"] = [each for each in rules["components"] if each["name"] != "windows"]
    (folder / "components.yaml").write_text(json.dumps(rules))
    for name in ("chart_versions.yaml", "versions.env"):
        shutil.copyfile(source / name, folder / name)
    (root / "images.txt").write_text("".join(_sections(source)))
    repository = str(reference_data / "rke2-charts")
    arguments = ["charts", "--references", "--tree", str(root), "--charts-repo", repository]
    assert run([*arguments, "--quiet"]) == 0
    return root


def _sections(source: Path) -> list[str]:
    """Return one section a component, narrowed where only amd64 has its list."""
    found = []
    for path in sorted((source / "amd64").glob("images-*.txt")):
        component = path.stem.removeprefix("images-")
        other = source / "arm64" / path.name
        platforms = "" if other.is_file() else " (linux/amd64)"
        assert not other.is_file() or sorted(other.read_text().split()) == sorted(
            path.read_text().split()
        )
        found.append(f"\n# component: {component}{platforms}\n{path.read_text().strip()}\n")
    return found
