"""A release of what shards have made is the release of what one run has made, to the byte."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from tests.unit.stages.conftest import Rke2pack, chart, write_repository
from tests.unit.stages.sharding import Yard, listing

TAG = "v1.32.4+rke2r1"
CHART = "rke2-coredns"


@pytest.fixture
def yard(tmp_path: Path, rke2pack: Rke2pack, monkeypatch: pytest.MonkeyPatch) -> Yard:
    """A tree with a chart, and a lock of its images."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1735689600")
    made = Yard(root=tmp_path, rke2pack=rke2pack)
    made.write_lock()
    write_repository(tmp_path / "charts", chart(CHART, "1.39.201", image="example/runtime:v1"))
    folder = made.tree / "charts-manifest"
    entry = f"  - version: 1.39.201\n    filename: /charts/{CHART}.yaml\n    bootstrap: false\n"
    (folder / "chart_versions.yaml").write_text(f"charts:\n{entry}")
    components = json.loads((folder / "components.yaml").read_text())
    components["components"][0]["charts"] = [CHART]
    (folder / "components.yaml").write_text(json.dumps(components))
    for option in ("--references", "--json"):
        made.done("charts", option, "--charts-repo", tmp_path / "charts")
    return made


def released(yard: Yard, name: str) -> dict[str, bytes]:
    """Release what is in dist, described anew; return the folder's files."""
    shutil.rmtree(yard.root / "cache/release", ignore_errors=True)
    where = ("--output", yard.root / name, "--charts-repo", yard.root / "charts")
    yard.done("release", TAG, *where, "--spdx", "--without-validation")
    return listing(yard.root / name)


@pytest.mark.parametrize("options", [(), ("--max-size", "2kB", "--format", "gz")], ids=str)
@pytest.mark.parametrize("count", [1, 2, 5])
def test_release_after_merge_is_that_of_one_run(
    yard: Yard, count: int, options: tuple[str, ...]
) -> None:
    yard.done("airgap", *options)
    whole = released(yard, "whole")
    shutil.rmtree(yard.tree / "dist/artifacts")
    yard.done("merge", yard.shards(count, *options))
    merged = released(yard, "merged")
    names = {"sbom.cdx.json", "sbom.spdx.json", "provenance.json", "sha256sum-arm64.txt"}
    assert {*names, "rke2-images-core.linux-amd64.txt", f"{CHART}.yaml"} <= set(whole)
    assert any(name.startswith("rke2-images-cilium.linux-arm64.tar") for name in whole)
    assert [name for name in whole | merged if whole.get(name) != merged.get(name)] == []


def test_other_bytes_make_another_release(yard: Yard) -> None:
    yard.done("airgap")
    whole = released(yard, "whole")
    shutil.rmtree(yard.tree / "dist/artifacts")
    yard.done("merge", yard.shards(2, "--profile", "small"))
    merged = released(yard, "merged")
    differ = {name for name in whole | merged if whole.get(name) != merged.get(name)}
    assert {"sbom.cdx.json", "sha256sum-amd64.txt", "provenance.json"} <= differ
    assert "rke2-images-core.linux-amd64.txt" not in differ
