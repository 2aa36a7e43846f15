"""The container image: the same content every time, small, and of use to any user."""

from __future__ import annotations

import hashlib
import json
import tarfile
from pathlib import Path

import pytest

from tests.integration.archives.conftest import Consumer
from tests.integration.container.conftest import succeeded

pytestmark = pytest.mark.timeout(900)
EPOCH = "1700000000"
# path -> kind, mode, owner, time, and the content's digest or the link's target
Listing = dict[str, tuple[object, ...]]


def build(engine: Consumer, project: Path, base_image: str, tag: str) -> None:
    arguments = {"BASE": base_image, "PACKAGES": "", "PIP_NO_INDEX": "1"}
    arguments["SOURCE_DATE_EPOCH"] = EPOCH
    given = [part for name, text in arguments.items() for part in ("--build-arg", f"{name}={text}")]
    command = [*engine.command, "build", "--network", "none", "--no-cache", *given, "--tag", tag]
    succeeded([*command, "."], project)


def layers(engine: Consumer, tag: str, folder: Path) -> list[Listing]:
    archive = folder / f"{tag}.tar"
    engine.run("save", "--output", archive, tag)
    with tarfile.open(archive) as tar:
        (manifest,) = json.load(tar.extractfile("manifest.json"))  # type: ignore[arg-type]
        return [listing(tar, name) for name in manifest["Layers"]]


def listing(tar: tarfile.TarFile, name: str) -> Listing:
    found: Listing = {}
    with tarfile.open(fileobj=tar.extractfile(name)) as layer:
        for member in layer:
            content = layer.extractfile(member) if member.isreg() else None
            digest = hashlib.sha256(content.read()).hexdigest() if content else member.linkname
            owner = (member.uid, member.gid)
            found[member.name] = (member.type, member.mode, owner, member.mtime, digest)
    return found


@pytest.fixture(scope="module")
def image(engine: Consumer, base_image: str, wheels: Path, project: Path) -> str:
    assert wheels
    build(engine, project, base_image, "first")
    return "first"


def test_second_build_has_the_same_layers_to_the_byte(
    image: str, engine: Consumer, base_image: str, project: Path, tmp_path: Path
) -> None:
    build(engine, project, base_image, "second")
    first, second = (layers(engine, tag, tmp_path) for tag in (image, "second"))
    assert len(first) == len(second)
    for one, other in zip(first, second, strict=True):
        differ = {name for name in {*one, *other} if one.get(name) != other.get(name)}
        assert not differ
    told = [
        json.loads(engine.run("image", "inspect", "--format", "{{json .RootFS.Layers}}", tag))
        for tag in (image, "second")
    ]
    assert told[0] == told[1]


def test_own_layer_is_small_and_has_nothing_that_only_builds(
    image: str, engine: Consumer, tmp_path: Path
) -> None:
    *_, own = layers(engine, image, tmp_path)
    names = set(own)
    assert any(name.endswith("site-packages/rke2pack/cli.py") for name in names)
    for gone in ("site-packages/pip/", "site-packages/hatchling/", "wheels/", ".whl", "source/"):
        assert not [name for name in names if gone in name]
    assert {entry[3] for entry in own.values()} == {int(EPOCH)}
    assert not [name for name, entry in own.items() if int(str(entry[1])) & 0o6000]


@pytest.mark.parametrize("user", ["65532:65532", "12345:23456"])
def test_any_user_can_run_it(user: str, image: str, engine: Consumer) -> None:
    run = ("run", "--rm", "--network", "none", "--read-only", "--user", user)
    assert "Commands" in engine.run(*run, image)
    assert f"uid={user.partition(':')[0]}" in engine.run(*run, "--entrypoint", "id", image)


def test_it_runs_as_nobody_special_by_itself(image: str, engine: Consumer) -> None:
    said = engine.run("run", "--rm", "--network", "none", "--entrypoint", "id", image)
    assert said.startswith("uid=65532")


def test_word_of_the_lab_works_on_a_mounted_tree(
    image: str, engine: Consumer, project: Path, tmp_path: Path
) -> None:
    tree = tmp_path / "tree"
    (tree / "charts-manifest").mkdir(parents=True)
    for path in (*(project / "charts-manifest").iterdir(), project / "images.txt"):
        (tree / path.relative_to(project)).write_bytes(path.read_bytes())
    for path in (tree, *tree.rglob("*")):
        path.chmod(0o777 if path.is_dir() else 0o666)
    mount = ("--mount", f"type=bind,source={tree},target=/work")
    run = ("run", "--rm", "--network", "none", *mount, image)
    assert json.loads(engine.run(*run, "images", "--check", "--lab", "--json"))["findings"] == []
    done = engine.tried(*run, "bump", "no-such-chart", "1.0.0", "--lab")
    assert done.returncode == 2
