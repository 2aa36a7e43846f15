"""The lock and the release gate against docker-registry, with programs made by Go."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rke2pack.oci.platform import Platform
from rke2pack.oci.program import executable
from rke2pack.oci.registry.access import Access
from rke2pack.oci.registry.keychain import Keychain
from rke2pack.oci.registry.upload import Uploader
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, ARM64, Made, index
from tests.contract.oci.rootfs import BASE, image
from tests.contract.oci.runner import Answer, run
from tests.integration.oci.conftest import Missing, RealRegistry
from tests.integration.oci.test_registries import send
from tests.unit.oci.programs import folder, layer, link

Programs = dict[str, bytes]
Skopeo = Callable[..., bytes]
PLATFORMS = ("linux/amd64", "linux/arm64", "linux/s390x", "windows/amd64")
LIST = """\
# component: core
docker.io/rancher/right:v1
docker.io/rancher/wrong:v1
docker.io/rancher/script:v1
docker.io/rancher/half:v1
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory, missing: Missing) -> Programs:
    """The same small program for several platforms."""
    go = shutil.which("go")
    if go is None:
        missing("go", "go is not on PATH")
    folder = tmp_path_factory.mktemp("go")
    (folder / "main.go").write_text("package main\n\nfunc main() {}\n")
    found = {}
    for name in PLATFORMS:
        system, architecture = name.split("/")
        own = {"GOOS": system, "GOARCH": architecture, "CGO_ENABLED": "0", "GOFLAGS": ""}
        own |= {"GOTOOLCHAIN": "local", "GO111MODULE": "off"}
        target = folder / f"{system}-{architecture}"
        command: list[str | Path] = [go, "build", "-o", target, "main.go"]
        subprocess.run(command, cwd=folder, check=True, env={**os.environ, **own})
        found[name] = target.read_bytes()
    return found


@pytest.mark.parametrize("name", PLATFORMS)
def test_the_header_of_a_real_program_tells_its_platform(name: str, programs: Programs) -> None:
    found = executable.read(programs[name][: executable.HEAD_BYTES])
    assert found is not None
    assert [each for each in PLATFORMS if found.is_for(Platform.parse(each))] == [name]


def multi(programs: Programs, *, arm64: str = "linux/arm64") -> Made:
    def one(name: str, platform: Platform) -> Made:
        top = layer(folder("opt"), ("opt/app", programs[name]), link("entry", "/opt/app"))
        return image(BASE, top, platform=platform, config={"Entrypoint": ["/entry"]})

    return index(one("linux/amd64", AMD64), one(arm64, ARM64))


def script(programs: Programs) -> Made:
    """A script whose interpreter lies in the layer below, found through PATH."""

    def one(name: str, platform: Platform) -> Made:
        base = layer(folder("usr"), folder("usr/bin"), ("usr/bin/sh", programs[name]),
                     link("bin", "usr/bin"))  # fmt: skip
        top = layer(("usr/bin/start", b"#!/bin/sh\nexec\n"))
        return image(base, top, platform=platform, config={"Cmd": ["start"]}, packing="zstd")

    return index(one("linux/amd64", AMD64), one("linux/arm64", ARM64))


@pytest.fixture(scope="module")
def made(programs: Programs) -> dict[str, Made]:
    return {
        "right": multi(programs),
        "wrong": multi(programs, arm64="linux/amd64"),
        "script": script(programs),
        "half": index(*multi(programs).children[:1]),
    }


@pytest.fixture(scope="module")
def pushed(made: dict[str, Made], plain: RealRegistry, tmp_path_factory: pytest.TempPathFactory
           ) -> RealRegistry:  # fmt: skip
    layout = images.write(tmp_path_factory.mktemp("gate"), made)
    uploader = Uploader(Access(keychain=Keychain({})).registry(plain.host))
    for name, each in made.items():
        send(uploader, layout, each, f"rancher/{name}")
    return plain


@pytest.fixture
def tree(project: Path, tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", root / "charts-manifest")
    (root / "images.txt").write_text(LIST)
    return root


def call(pushed: RealRegistry, tree: Path, *arguments: str | Path) -> Answer:
    own: list[str | Path] = ["--tree", tree, "--cache-dir", tree.parent / "cache", "--json"]
    return run([*arguments, *own, "--endpoint", f"docker.io=http://{pushed.host}"], {})


def test_the_gate_finds_what_is_wrong_and_nothing_else(pushed: RealRegistry, tree: Path) -> None:
    report = tree.parent / "gate.json"
    answer = call(pushed, tree, "images", "--verify-registry", "--report", report)
    assert answer.code == 7
    found = {each["subject"].removeprefix("docker.io/rancher/"): each for each in
             answer.json["results"]}  # fmt: skip
    failed = {name: each["check"] for name, each in found.items() if each["status"] == "failed"}
    assert failed == {"half:v1 linux/arm64": "exists", "wrong:v1 linux/arm64": "program"}
    assert found["script:v1 linux/arm64"]["detail"] == ("/usr/bin/start -> /bin/sh: ELF for arm64")
    assert len(found) == 8
    assert json.loads(report.read_text()) == answer.json
    assert not (tree.parent / "cache/store").exists()


def test_images_that_skopeo_pushed_pass(
    pushed: RealRegistry, tree: Path, skopeo: Skopeo, made: dict[str, Made], tmp_path: Path
) -> None:
    images.write(tmp_path / "layout", {"right": made["right"]})
    place = f"docker://{pushed.host}/rancher/docker:v1"
    skopeo("copy", "--all", "--format", "v2s2", "--dest-tls-verify=false",
           f"oci:{tmp_path / 'layout'}:right", place)  # fmt: skip
    (tree / "images.txt").write_text("# component: core\ndocker.io/rancher/docker:v1\n")
    answer = call(pushed, tree, "images", "--verify-registry")
    assert answer.code == 0, answer.err
    assert answer.json["totals"] == {"passed": 2, "failed": 0, "manual": 0}


def test_a_lock_holds_pull_and_airgap_to_what_was_reviewed(
    pushed: RealRegistry, tree: Path, skopeo: Skopeo, made: dict[str, Made]
) -> None:
    names = ("right", "script")
    for name in names:
        skopeo("copy", "--all", "--preserve-digests", "--src-tls-verify=false",
               "--dest-tls-verify=false", f"docker://{pushed.host}/rancher/{name}:v1",
               f"docker://{pushed.host}/rancher/{name}-held:v1")  # fmt: skip
    lines = "".join(f"docker.io/rancher/{name}-held:v1\n" for name in names)
    (tree / "images.txt").write_text(f"# component: core\n{lines}")
    assert call(pushed, tree, "images", "--lock").code == 0
    entries: dict[str, Any] = json.loads((tree / "images.lock").read_text())["images"]
    assert entries["docker.io/rancher/right-held:v1"]["digest"] == str(made["right"].digest)
    raw = skopeo("inspect", "--raw", "--tls-verify=false",
                 f"docker://{pushed.host}/rancher/right-held:v1")  # fmt: skip
    assert len(raw) == entries["docker.io/rancher/right-held:v1"]["size"]
    assert call(pushed, tree, "pull").code == 0
    skopeo("copy", "--all", "--preserve-digests", "--src-tls-verify=false",
           "--dest-tls-verify=false", f"docker://{pushed.host}/rancher/script:v1",
           f"docker://{pushed.host}/rancher/right-held:v1")  # fmt: skip
    moved = call(pushed, tree, "pull")
    assert moved.code == 5
    assert "docker.io/rancher/right-held:v1: the tag moved" in moved.err
    airgap: list[str | Path] = [
        "airgap",
        "--profile",
        "fast",
        "--tree",
        tree,
        "--cache-dir",
        tree.parent / "cache",
    ]
    assert run(airgap, {}).code == 0
    assert call(pushed, tree, "pull", "--allow-moved-tags").code == 0
    refused = run(airgap, {})
    assert refused.code == 5
    assert "the tag moved" in refused.err
    assert call(pushed, tree, "images", "--lock", "--check").code == 7
    assert call(pushed, tree, "images", "--lock").code == 0
    assert run(airgap, {}).code == 0
