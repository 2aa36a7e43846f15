"""Trees with chart repositories of our own, and validate on them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.unit.stages.conftest import Answer, Rke2pack, write_repository, write_tree
from tests.unit.stages.validate.validating import ROWS, Build, Validate


@pytest.fixture
def build(tmp_path: Path, rke2pack: Rke2pack) -> Build:
    """Write a repository and a tree of charts (name 1.0.000), lists and manifests included."""

    def make(
        *charts: Mapping[str, str],
        images: str | None = None,
        rows: object = ROWS,
        allow: object = None,
    ) -> Path:
        write_repository(tmp_path / "charts", *charts)
        heads = [dict(line.split(": ", 1) for line in c["Chart.yaml"].splitlines()) for c in charts]
        versions = {json.loads(h["name"]): json.loads(h["version"]) for h in reversed(heads)}
        tree = write_tree(tmp_path / "tree", versions)
        folder = tree / "charts-manifest"
        (folder / "support-matrix.yaml").write_text(json.dumps({"rows": rows}))
        if allow is not None:
            (folder / "validate-allow.yaml").write_text(json.dumps({"allow": allow}))
        options = ("--tree", tree, "--charts-repo", tmp_path / "charts")
        assert rke2pack("charts", "--references", *options).code == 0
        if images is None:
            answer = rke2pack("images", *options)
            if answer.code == 0:
                return tree
            images = "docker.io/x/y:v1"
        (tree / "images.txt").write_text(f"# component: core\n{images}\n")
        return tree

    return make


@pytest.fixture
def validate(tmp_path: Path, rke2pack: Rke2pack) -> Validate:
    def call(*arguments: str | Path) -> Answer:
        options = ("--tree", tmp_path / "tree", "--charts-repo", tmp_path / "charts", "--json")
        return rke2pack("validate", *options, *arguments)

    return call
