"""Helm reads the chart repository that ``serve`` makes of a folder of archives."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

import pytest

from benchmarks.helm_program import unpack
from rke2pack.lab import repository
from rke2pack.oci.store.layout import Layout
from tests.integration.serving.conftest import serving

HELM: Final = os.environ.get("RKE2PACK_TEST_HELM") or shutil.which("helm")


@pytest.fixture(scope="module")
def helm(
    missing: Callable[[str, str], NoReturn], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., str]:
    home = tmp_path_factory.mktemp("helm")
    program = HELM or unpack(home)
    if program is None:
        missing("helm", "no helm on PATH, in RKE2PACK_TEST_HELM or in the environment")

    def run(*arguments: str | Path) -> str:
        done = subprocess.run(
            [program, *arguments],
            env={"HOME": str(home)}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.mark.parametrize("is_flat", [True, False], ids=["archives alone", "with an index"])
def test_helm_finds_and_pulls_every_chart(
    helm: Callable[..., str], store: Layout, tmp_path: Path, *, is_flat: bool
) -> None:
    lab = repository.build(tmp_path / "lab")
    flat = tmp_path / "flat"
    flat.mkdir()
    for path in lab.rglob("*.tgz"):
        shutil.copyfile(path, flat / path.name)
    releases = repository.releases()
    with serving("--store", store.root, "--charts", flat if is_flat else lab) as host:
        name = f"r{is_flat:d}"
        helm("repo", "add", name, f"http://{host}/charts")
        found = json.loads(
            helm("search", "repo", f"{name}/", "--versions", "--devel", "-o", "json")
        )
        listed = {(each["name"].removeprefix(f"{name}/"), each["version"]) for each in found}
        assert listed <= {(each.name, each.version) for each in releases}
        assert {each for each, _ in listed} == {each.name for each in releases}
        for chart, version in sorted(listed):
            helm("pull", f"{name}/{chart}", "--version", version, "-d", tmp_path)
            pulled = (tmp_path / f"{chart}-{version}.tgz").read_bytes()
            assert pulled == (flat / f"{chart}-{version}.tgz").read_bytes()
