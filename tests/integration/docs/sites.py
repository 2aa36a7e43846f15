"""What is around a world: registry, GitHub, sigstore, runtimes, nox, a checkout of rancher/rke2."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, NoReturn

import pytest

from tests.contract.github import sigstore, simulator
from tests.integration.archives.conftest import Consumer
from tests.integration.container.conftest import socket
from tests.integration.docs.world import PROJECT, World
from tests.integration.oci.conftest import HTPASSWD, USER, Certificates, running
from tests.integration.workflows.repository import Network, git
from tests.integration.workflows.runner import STANDINS
from tests.unit.tree.scripts import document

Missing = Callable[[str, str], NoReturn]
LINES: Final = ("release-1.30", "release-1.31", "release-1.32")
_VERSIONS: Final = "charts/chart_versions.yaml"
_WORKFLOW: Final = ".github/workflows/release.yml@refs/tags/v1.32.4+rke2r1"
_OF_NOX: Final = ("LICENSE", "README.md", "build", "noxfile.py", "pyproject.toml", "requirements")


@dataclass(kw_only=True)
class Site:
    """What is around a world: variables and programs that commands see, values in their lines.

    ``prepare`` are commands that put more into the world.
    """

    environment: dict[str, str] = field(default_factory=dict)
    values: dict[str, str] = field(default_factory=dict)
    programs: Path | None = None
    prepare: tuple[str, ...] = ()

    def add_to(self, world: World) -> None:
        """Put it around a world."""
        world.environment |= self.environment
        world.values |= self.values
        if self.programs:
            path = world.environment["PATH"]
            world.environment["PATH"] = f"{self.programs}{os.pathsep}{path}"
        for line in self.prepare:
            world.run(line)


class Tags(dict[str, str]):
    """The tags of a bare repository, as the simulator of GitHub asks for them."""

    def __init__(self, remote: Path) -> None:
        super().__init__()
        self.remote = remote

    def get(self, tag: str, default: str | None = None) -> str | None:  # type: ignore[override]
        """Return the commit of a tag that was pushed."""
        return (
            git(self.remote, "for-each-ref", "--format=%(objectname)", f"refs/tags/{tag}")
            or default
        )


@pytest.fixture
def registry(tmp_path: Path, missing: Missing) -> Iterator[Site]:
    """An empty docker-registry in the place of registry.example.com."""
    with running(tmp_path / "registry", missing) as host:
        yield Site(values={"registry.example.com": host})


@pytest.fixture
def github(tmp_path: Path) -> Iterator[Site]:
    """GitHub's API, with the tag and the token of this tree."""
    with simulator.simulated() as state:
        state.tags = Tags(tmp_path / "world/remote.git")
        variables = {f"RKE2PACK_{word}_API": state.url for word in ("PROPOSE", "RELEASE")}
        standin = {"STANDIN_API": state.url, "GH_REPO": simulator.REPOSITORY}
        tokens = dict.fromkeys(("GITHUB_TOKEN", "GH_TOKEN"), simulator.TOKEN)
        names = dict.fromkeys(("OWNER/NAME", "example/tree"), simulator.REPOSITORY)
        environment = {**variables, **standin, **tokens}
        yield Site(environment=environment, values=names, programs=STANDINS / "bin")


@pytest.fixture
def keyless(tmp_path: Path) -> Iterator[Site]:
    """A sigstore, and the identity of a job."""
    with sigstore.running() as state:
        trust, roots = tmp_path / "trust.json", tmp_path / "roots.json"
        trust.write_text(json.dumps(state.trust_config()))
        roots.write_text(json.dumps(state.trusted_root()))
        environment = {
            "GITHUB_ACTIONS": "true",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{state.url}/token?x=1",
        }
        issuer = f"{sigstore.ISSUER} --trusted-root {roots}"
        values = {
            "--keyless": f"--keyless --trust-config {trust}",
            f"https://github.com/OWNER/NAME/{_WORKFLOW}": sigstore.IDENTITY,
            "WORKFLOW@refs/tags/TAG": sigstore.IDENTITY,
            "https://token.actions.githubusercontent.com": issuer,
            "ISSUER": issuer,
        }
        yield Site(environment=environment, values=values)


@pytest.fixture
def job(keyless: Site) -> Site:
    """A job of release.yml, whose releases are signed by sigstore."""
    trust = keyless.values["--keyless"].split()[-1]
    own = {"RKE2PACK_RELEASE_KEYLESS": "true", "RKE2PACK_RELEASE_TRUST_CONFIG": trust}
    return replace(keyless, environment={**keyless.environment, **own})


@pytest.fixture
def runtimes(docker: Consumer, containerd_socket: Path) -> Site:
    """A docker engine and containerd."""
    return Site(
        environment={"DOCKER_HOST": socket(docker), "CONTAINERD_ADDRESS": str(containerd_socket)}
    )


@pytest.fixture
def nox(current: dict[str, str], python: Path) -> Site:
    """The real nox with the environments that it has made, and a pip that needs no network."""
    kept = {n: t for n, t in current.items() if n.startswith(("NOX_", "PIP_", "UV_"))}
    own = f"cp -r {' '.join(str(PROJECT / name) for name in _OF_NOX)} ."
    links = f"mkdir .nox && ln -s {current['STANDIN_SESSIONS']}/* .nox"
    return Site(environment=kept, programs=python / "bin", prepare=(f"{own} && {links}",))


@pytest.fixture
def site(network: Network, certificates: Certificates, tmp_path: Path) -> Site:
    """Files of a site that serves: certificate, key, users, charts."""
    users = tmp_path / "users"
    users.write_text(f"{USER}:{HTPASSWD}\n")
    files = {"server.pem": "site.pem", "server.key": "site.key"}
    return Site(
        values={"0.0.0.0:5000": "0.0.0.0:0"},
        prepare=(
            *(f"cp {certificates.file(old)} {new}" for old, new in files.items()),
            f"cp {users} users",
            f"cp -r {network.tree.parent / 'charts'} dist/charts-repo",
        ),
    )


@pytest.fixture
def checkout(before: World, tmp_path: Path) -> Site:
    """A clone of a repository in the form of rancher/rke2 in the user's folder."""
    root, source = tmp_path / "rke2", before.tree
    (root / "charts").mkdir(parents=True)
    (root / "scripts").mkdir()
    shutil.copyfile(source / "charts-manifest/chart_versions.yaml", root / _VERSIONS)
    variables = (source / "charts-manifest/versions.env").read_text().splitlines()
    named = (line.partition("=") for line in variables if "=" in line)
    head = "".join(f"{n}=${{{n}:-{value}}}\n" for n, _, value in named)
    (root / "scripts/version.sh").write_text(f"#!/bin/bash\nREGISTRY=docker.io\n{head}")
    lists = (source / "images.txt").read_text().split("# component: ")[1:]
    blocks = "\n".join(_block(text) for text in lists if "windows" not in text)
    text = f"#!/usr/bin/env bash\nset -ex\n\nsource ./scripts/version.sh\n\n{blocks}"
    (root / "scripts/build-images").write_text(text)
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "begin")
    for line in LINES:
        git(root, "branch", line)
    return Site(prepare=(f"cp -r {root} ~/rke2",))


def _block(text: str) -> str:
    """Write a section of images.txt as a list of build-images."""
    heading, *images = text.split("\n")
    listed = [each.replace("docker.io/", "${REGISTRY}/") for each in images if each]
    block = document(*listed, name=heading.partition(" ")[0])
    return f'if [ "${{GOARCH}}" != "arm64" ]; then\n{block}fi\n' if "(" in heading else block
