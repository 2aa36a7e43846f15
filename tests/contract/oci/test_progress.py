"""Bytes on their way are told: what comes in the end is what was to come."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from rke2pack import progress
from tests.contract.oci import images
from tests.contract.oci.images import AMD64
from tests.contract.oci.runner import run
from tests.contract.oci.simulator import Simulator, serving

NAME = "docker.io/rancher/alpha:v1"
LINE = re.compile(r"^(\w+): (.+) of (.+), .+/s, \d+:\d\d left$", re.MULTILINE)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "EVERY", 0.0)


def last(word: str, text: str) -> tuple[str, str]:
    found = [(done, whole) for name, done, whole in LINE.findall(text) if name == word]
    assert len(found) > 1
    return found[-1]


@pytest.mark.parametrize("cuts", [(), (100, 30_000)])
def test_every_byte_of_a_pull_a_mirror_and_an_archive_is_told_once(
    project: Path, tmp_path: Path, registry: Simulator, waits: list[float], cuts: tuple[int, ...]
) -> None:
    made = images.manifest(AMD64, [b"base" * 20_000, images.noise(60_000, 1)])
    registry.push("rancher/alpha", made, "v1")
    tree = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", tree / "charts-manifest")
    (tree / "images.txt").write_text(f"# component: core (linux/amd64)\n{NAME}\n")
    place: list[str | Path] = ["--tree", tree, "--cache-dir", tmp_path / "cache"]
    endpoint = ["--endpoint", f"docker.io=http://{registry.host}"]
    registry.resets.update({digest: list(cuts) for digest in made.blobs})
    pulled = run(["pull", *place, *endpoint], {})
    assert pulled.code == 0, pulled.err
    done, whole = last("pull", pulled.err)
    assert done == whole
    built = run(["airgap", *place, "--profile", "fast"], {})
    assert built.code == 0, built.err
    done, whole = last("airgap", built.err)
    assert done == whole
    with serving(address="127.0.0.2") as target:
        to = ["--endpoint", f"{target.host}=http://{target.host}"]
        registry.resets.update({digest: list(cuts) for digest in made.blobs})
        mirrored = run(["mirror", target.host, *place, *endpoint, *to], {})
        assert mirrored.code == 0, mirrored.err
        done, whole = last("mirror", mirrored.err)
        assert done == whole
    assert len(waits) >= len(cuts)
