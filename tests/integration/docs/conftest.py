"""The worlds that pages begin with: two releases of the lab, one after the other, and clusters."""

from __future__ import annotations

import json
import shutil
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from rke2pack.cli import run
from tests.integration.archives.conftest import (
    containerd_socket,
    docker,
    program,
    short_folder,
)
from tests.integration.docs import world as worlds
from tests.integration.docs.sites import (
    LINES,
    Site,
    checkout,
    github,
    job,
    keyless,
    nox,
    registry,
    runtimes,
    site,
)
from tests.integration.docs.world import World
from tests.integration.oci.conftest import certificates
from tests.integration.validate.conftest import IMAGE, KUBERNETES, Fakes, fakes
from tests.integration.workflows import repository
from tests.integration.workflows.conftest import current, machine, made, python, sessions
from tests.integration.workflows.repository import Network
from tests.kind.node import imagefile
from tests.kind.node.imagefile import Image
from tests.unit.stages.conftest import chart, write_repository, write_tree

__all__ = [
    "certificates", "checkout", "containerd_socket", "current", "docker", "fakes", "github", "job",
    "keyless", "machine", "made", "nox", "program", "python", "registry", "runtimes", "sessions",
    "short_folder", "site",
]  # fmt: skip
OLD: Final = "v1.32.3+rke2r1"
NEW: Final = "v1.32.4+rke2r1"
CHART: Final = "harvester-cloud-provider"
PASSWORD: Final = "the password"


@pytest.fixture(scope="session")
def network(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Network]:
    """The lab's charts on loopback, and the images of its tree as it is and as it will be."""
    folder = tmp_path_factory.mktemp("network")
    with repository.network(project, folder) as found:
        tree = found.tree.with_name("begin")
        shutil.copytree(found.tree, tree)
        with urllib.request.urlopen(f"{found.images}/v2/"):  # noqa: S310 - our own address
            pass  # images are made when they are asked for
        own = ["--tree", str(found.tree), "--charts-repo", found.charts, "--quiet"]
        own += ["--cache-dir", str(folder / "cache")]
        retag(found.tree, NEW, OLD)
        assert run(["images", *own]) == 0
        with urllib.request.urlopen(f"{found.images}/v2/"):  # noqa: S310 - our own address
            pass
        retag(found.tree, OLD, NEW)
        assert run(["bump", CHART, "0.2.11", *own]) == 0
        yield replace(found, tree=tree)


@pytest.fixture(scope="session")
def before(project: Path, network: Network, tmp_path_factory: pytest.TempPathFactory) -> World:
    """A release of the past: tagged, pushed, with lines, archives and the folder of a release."""
    world = worlds.new(tmp_path_factory.mktemp("before"), network)
    shutil.copytree(network.tree / "charts-manifest", world.tree / "charts-manifest")
    shutil.copyfile(network.tree / "images.txt", world.tree / "images.txt")
    shutil.copyfile(project / ".gitignore", world.tree / ".gitignore")
    keys(world)
    retag(world.tree, NEW, OLD)
    world.run("rke2pack images --quiet && rke2pack images --lock --quiet")
    world.run("git init --quiet --initial-branch main")
    world.run("git add charts-manifest images.* .gitignore && git commit --quiet -m begin")
    world.run("git init --quiet --bare ../remote.git && git remote add origin ../remote.git")
    world.run(f"git tag {OLD} && git push --quiet origin main {OLD}")
    world.run(f"git push --quiet origin {' '.join(f'main:refs/heads/{line}' for line in LINES)}")
    world.run("git fetch --quiet origin")
    build(world)
    return world


@pytest.fixture(scope="session")
def after(before: World, tmp_path_factory: pytest.TempPathFactory) -> World:
    """The next release, with the one before it beside the tree, and the keys."""
    world = before.copy(tmp_path_factory.mktemp("after") / "world")
    world.run(f"rke2pack release {OLD} --sign-key release.key --without-validation --quiet")
    shutil.copytree(world.tree / "dist/release", world.tree / "old-release")
    shutil.rmtree(world.tree / "dist")
    world.run(f"rke2pack bump {CHART} 0.2.11 --commit --quiet")
    retag(world.tree, OLD, NEW)
    world.run("rke2pack images --quiet && rke2pack images --lock --quiet")
    world.run("git commit --quiet --all -m 'the next release'")
    world.run(f"git tag {NEW} && git push --quiet origin main {NEW}")
    build(world)
    world.run("rke2pack validate --quiet")
    world.run(f"rke2pack release {NEW} --sign-key release.key --quiet")
    return world


def build(world: World) -> None:
    """Make charts and archives, in both formats."""
    for line in ("charts", "pull", "airgap --profile fast"):
        world.run(f"rke2pack {line} --quiet")


def retag(tree: Path, old: str, new: str) -> None:
    """Make the tree one of another release."""
    path = tree / "charts-manifest/versions.env"
    text = path.read_text()
    assert f"RKE2_VERSION={old}\n" in text
    path.write_text(text.replace(f"RKE2_VERSION={old}\n", f"RKE2_VERSION={new}\n"))


def keys(world: World) -> None:
    """Make the key that signs releases, out of git's sight, and its public half."""
    world.environment["RKE2PACK_SIGNING_PASSWORD"] = PASSWORD
    out = f"-out release.key -pass 'pass:{PASSWORD}'"
    world.run(f"openssl genpkey -algorithm ed25519 -aes256 {out}")
    world.run(f"openssl pkey -in release.key -passin 'pass:{PASSWORD}' -pubout -out release.pub")


@pytest.fixture
def cluster(fakes: Fakes, network: Network, tmp_path: Path) -> World:
    """A tree whose one chart comes up in the clusters that the programs pretend to make."""
    world = worlds.new(tmp_path / "cluster", network)
    write_repository(world.root / "charts", *(chart("good", f"1.{n}.000") for n in (0, 1)))
    write_tree(world.tree, {"good": "1.0.000"}, kube=KUBERNETES)
    folder = world.tree / "charts-manifest"
    components = (folder / "components.yaml").read_text()
    (folder / "components.yaml").write_text(components.replace('"core"', '"harvester"'))
    rows = [{"name": "community-2.11", "rke2": f"{KUBERNETES}+rke2r1"}]
    (folder / "support-matrix.yaml").write_text(json.dumps({"rows": rows}))
    world.run("git init --quiet && git add --all && git commit --quiet -m first")
    world.run("sed -i 's/1.0.000/1.1.000/' charts-manifest/chart_versions.yaml")
    world.run("git commit --quiet --all -m second")
    binary, artifacts = world.root / "stays", world.tree / "dist/artifacts"
    artifacts.mkdir(parents=True)
    binary.write_bytes(b"a program")
    layer = imagefile.layer(world.root / "layer.tar", {"bin/stays": binary})
    imagefile.write(artifacts / "stays.linux-amd64.tar", [Image(name=IMAGE, layer=layer)])
    Site(
        environment={
            "DOCKER_HOST": f"tcp://{fakes.address}",
            "RKE2PACK_VALIDATE_CHARTS_REPO": str(world.root / "charts"),
        },
        programs=fakes.folder / "bin",
    ).add_to(world)
    return world
