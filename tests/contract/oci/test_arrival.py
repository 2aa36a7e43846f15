"""The word airgap with --pull against a registry: fetched, compressed meanwhile, packed."""

from __future__ import annotations

import json
import shutil
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.oci.coding import Zstd
from rke2pack.oci.pack.images import Layer
from rke2pack.oci.pack.splice import Splicer
from rke2pack.oci.store.layout import Layout
from tests.contract.oci import images
from tests.contract.oci.images import Made
from tests.contract.oci.runner import Answer, listing, run
from tests.contract.oci.simulator import Simulator

Call = Callable[..., Answer]
LIST = """\
# component: core
docker.io/rancher/alpha:v1
docker.io/rancher/beta:v1

# component: vsphere (linux/amd64)
docker.io/rancher/gamma:v1
docker.io/rancher/alpha:v1
"""
ARCHIVES = {
    "rke2-images-core.linux-amd64",
    "rke2-images-core.linux-arm64",
    "rke2-images-vsphere.linux-amd64",
}
BETA = "docker.io/rancher/beta:v1"
MISSING = 4
SECONDS = 30


@pytest.fixture(autouse=True)
def quick(waits: list[float]) -> None:
    """Let no client wait."""
    assert waits == []


@pytest.fixture
def tree(project: Path, tmp_path: Path) -> Path:
    root = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", root / "charts-manifest")
    (root / "images.txt").write_text(LIST)
    return root


@pytest.fixture
def call(registry: Simulator, made: dict[str, Made], tree: Path, tmp_path: Path) -> Call:
    """Run a word on the tree; ``place`` is where its cache and archives are."""
    assert made

    def word(name: str, *arguments: str | Path, place: str = "own") -> Answer:
        root = tmp_path / place
        own: list[str | Path] = ["--tree", tree, "--cache-dir", root / "cache", "--json"]
        if "--pull" in arguments or name == "pull":
            own += ["--endpoint", f"docker.io=http://{registry.host}"]
        if name == "airgap":
            own += ["--output", root / "out"]
        registry.requests.clear()
        return run([name, *arguments, *own], {})

    return word


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "own" / "out"


def names(folder: Path) -> set[str]:
    return {path.name.partition(".tar")[0] for path in folder.glob("*.tar.*")}


def fetched(answer: Answer) -> dict[str, str]:
    return {each["reference"]: each["status"] for each in answer.json["pulled"]["images"]}


@pytest.mark.parametrize("profile", ["fast", "default", "small"])
@pytest.mark.parametrize("forms", [("zst",), ("gz",), ("gz", "zst")])
def test_archives_are_those_of_pull_and_airgap(
    call: Call, tmp_path: Path, profile: str, forms: tuple[str, ...]
) -> None:
    options = ["--profile", profile, *(part for form in forms for part in ("--format", form))]
    answer = call("airgap", "--pull", *options)
    assert answer.code == 0, answer.err
    assert fetched(answer) == {
        f"docker.io/rancher/{name}:v1": "copied" for name in ("alpha", "beta", "gamma")
    }
    assert {each["status"] for each in answer.json["artifacts"]} == {"built"}
    assert call("pull", place="other").code == 0
    assert call("airgap", *options, place="other").code == 0
    assert listing(tmp_path / "own/out") == listing(tmp_path / "other/out")
    assert names(tmp_path / "own/out") == ARCHIVES
    stores = [tmp_path / place / "cache/store" for place in ("own", "other")]
    assert listing(stores[0]) == listing(stores[1])


def test_what_has_come_is_compressed_while_the_rest_is_on_its_way(
    call: Call, registry: Simulator, made: dict[str, Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    compressing, own = threading.Event(), Zstd.encode
    late = list(made["beta"].children[0].blobs)[-1]
    waited: list[bool] = []

    class Blobs(dict[tuple[str, Digest], bytes]):
        def get(self, key: tuple[str, Digest], default: Any = None) -> Any:  # noqa: ANN401 - dict's
            if key[1] == late:
                waited.append(compressing.wait(SECONDS))
            return super().get(key, default)

    def encode(coding: Zstd, data: bytes) -> bytes:
        compressing.set()
        return own(coding, data)

    monkeypatch.setattr(Zstd, "encode", encode)
    registry.blobs = Blobs(registry.blobs)
    answer = call("airgap", "--pull")
    assert answer.code == 0, answer.err
    assert waited == [True]


def test_layers_are_compressed_once(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[bytes] = []
    own = Zstd.encode

    def encode(coding: Zstd, data: bytes) -> bytes:
        seen.append(bytes(data))
        return own(coding, data)

    monkeypatch.setattr(Zstd, "encode", encode)
    assert call("airgap", "--pull").code == 0
    tars = [data for data in seen if data.startswith(b"file\0")]
    assert len(tars) == len(set(tars)) > 1


def test_second_run_sends_only_heads_and_builds_nothing(
    call: Call, registry: Simulator, made: dict[str, Made], out: Path
) -> None:
    assert call("airgap", "--pull").code == 0
    before = {path: path.stat().st_mtime_ns for path in out.iterdir()}
    answer = call("airgap", "--pull")
    assert answer.code == 0, answer.err
    assert set(fetched(answer).values()) == {"present"}
    assert {each["status"] for each in answer.json["artifacts"]} == {"unchanged"}
    assert [r.method for r in registry.requests] == ["HEAD"] * len(made)
    assert {path: path.stat().st_mtime_ns for path in out.iterdir()} == before


def test_moved_tag_is_what_the_archive_gets(call: Call, registry: Simulator, out: Path) -> None:
    assert call("airgap", "--pull").code == 0
    moved = images.multi(7)
    registry.push("rancher/beta", moved, "v1")
    answer = call("airgap", "--pull")
    assert fetched(answer)[BETA] == "copied"
    status = {Path(each["path"]).name: each["status"] for each in answer.json["artifacts"]}
    assert status["rke2-images-core.linux-amd64.tar.zst"] == "built"
    assert status["rke2-images-vsphere.linux-amd64.tar.zst"] == "unchanged"
    assert names(out) == ARCHIVES


@pytest.mark.parametrize("is_in_store", [False, True])
def test_archive_of_what_could_not_be_fetched_is_not_built(
    call: Call, registry: Simulator, out: Path, *, is_in_store: bool
) -> None:
    if is_in_store:
        assert call("pull").code == 0
    del registry.manifests["rancher/beta", "v1"]
    answer = call("airgap", "--pull")
    assert answer.code == MISSING, answer.err
    error = json.loads(answer.out)
    assert error["pulled"]["totals"]["failed"] == 1
    assert [path for path in error["incomplete"] if "core" in path] == error["incomplete"] != []
    assert names(out) == {"rke2-images-vsphere.linux-amd64"}
    assert "rancher/beta:v1: 404" in answer.err
    assert "run it again; what is there already is not fetched again" in answer.err


def test_damaged_layer_is_told_and_keeps_no_other_archive_back(
    call: Call, made: dict[str, Made], tmp_path: Path, out: Path
) -> None:
    assert call("pull").code == 0
    layout = Layout.open(tmp_path / "own/cache/store")
    path = layout.path(list(made["gamma"].blobs)[-1])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    answer = call("airgap", "--pull")
    assert answer.code != 0
    assert "is damaged" in answer.err or "content is" in answer.err
    assert names(out) == ARCHIVES - {"rke2-images-vsphere.linux-amd64"}


def test_dry_run_writes_nothing_and_tells_what_it_would(
    call: Call, registry: Simulator, tmp_path: Path
) -> None:
    answer = call("airgap", "--pull", "--dry-run")
    assert answer.code == 0, answer.err
    assert set(fetched(answer).values()) == {"planned"}
    assert {each["status"] for each in answer.json["artifacts"]} == {"planned"}
    assert {Path(each["path"]).name.partition(".tar")[0] for each in answer.json["artifacts"]} == (
        ARCHIVES
    )
    assert not registry.asked("PUT")
    assert not (tmp_path / "own").exists()
    assert call("airgap", "--pull").code == 0
    again = call("airgap", "--pull", "--dry-run")
    assert {each["status"] for each in again.json["artifacts"]} == {"unchanged"}


def test_offline_asks_nobody(call: Call, registry: Simulator, out: Path) -> None:
    nothing = call("airgap", "--pull", "--offline")
    assert nothing.code == MISSING
    assert call("pull").code == 0
    answer = call("airgap", "--pull", "--offline")
    assert answer.code == 0, answer.err
    assert registry.requests == []
    assert names(out) == ARCHIVES


@pytest.mark.parametrize(
    "option",
    [("--jobs", "2"), ("--endpoint", "docker.io=http://127.0.0.1:1"), ("--from-engine", "a/b")],
)
def test_options_of_pull_alone_are_refused(call: Call, option: tuple[str, str]) -> None:
    answer = call("airgap", *option)
    assert answer.code != 0
    assert f"error: {option[0]}: only with --pull" in answer.err


def test_engine_is_asked_for_images_of_the_archives_only(call: Call) -> None:
    answer = call("airgap", "--pull", "--component", "core", "--from-engine", "rancher/gamma")
    assert answer.code != 0
    assert "--from-engine rancher/gamma: no image is called so" in answer.err


def test_engine_is_asked_in_the_shard_that_has_the_image(call: Call) -> None:
    """A matrix of jobs says the same in all of them."""
    answers = [
        call("airgap", "--pull", "--offline", "--shard", f"{number}/5", "--from-engine", "*/gamma")
        for number in range(1, 6)
    ]
    assert not [answer.err for answer in answers if "no image is called so" in answer.err]


def test_refused_images_are_all_named_with_what_to_do(call: Call, registry: Simulator) -> None:
    registry.auth, registry.is_public = "basic", False
    answer = call("airgap", "--pull")
    assert answer.code != 0
    assert "error: airgap: 3 images are missing, 3 archives not built" in answer.err
    for name in ("alpha", "beta", "gamma"):
        assert f"  docker.io/rancher/{name}:v1: " in answer.err
    assert "hint: log in with" in answer.err


def test_offline_says_what_helps(call: Call) -> None:
    assert call("pull", "docker.io/rancher/alpha:v1").code == 0
    answer = call("airgap", "--pull", "--offline")
    assert answer.code == MISSING
    assert "error: airgap: 2 images are missing, 3 archives not built" in answer.err
    assert "hint: run it without --offline" in answer.err


def test_what_is_in_unchanged_archives_is_not_compressed_again(
    call: Call, registry: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert call("airgap", "--pull").code == 0
    shutil.rmtree(tmp_path / "own/cache/frames")
    moved = images.manifest(images.AMD64, [b"base", b"other"], is_docker=True)
    registry.push("rancher/gamma", moved, "v1")
    kept: list[Layer] = []
    own = Splicer.keep

    def keep(splicer: Splicer, layers: Iterable[Layer]) -> None:
        every = list(layers)
        kept.extend(every)
        own(splicer, every)

    monkeypatch.setattr(Splicer, "keep", keep)
    assert call("airgap", "--pull").code == 0
    assert {layer.blob.digest for layer in kept} == set(list(moved.blobs)[1:])


def test_shard_fetches_what_its_archives_hold(call: Call, registry: Simulator, out: Path) -> None:
    answers = [call("airgap", "--pull", "--shard", f"{number}/3") for number in (1, 2, 3)]
    assert [answer.code for answer in answers] == [0, 0, 0], [a.err for a in answers]
    assert names(out) == ARCHIVES
    fewest = min(len(answer.json["pulled"]["images"]) for answer in answers)
    assert fewest < 3
    assert registry.asked("HEAD")


def test_what_ends_the_compression_ends_the_transfer(
    call: Call, registry: Simulator, made: dict[str, Made], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing goes on to be fetched for a run that is over, though its error lives on."""
    late = list(made["beta"].children[0].blobs)[-1]
    registry.silence[late] = 3 * SECONDS

    def ended(_self: Splicer, layers: Iterable[Layer]) -> None:
        next(iter(layers))
        raise KeyboardInterrupt

    monkeypatch.setattr(Splicer, "keep", ended)
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt) as caught:
        call("airgap", "--pull")
    assert caught.value.__traceback__ is not None
    assert time.monotonic() - started < SECONDS
    names = {thread.name.partition("_")[0] for thread in threading.enumerate()}
    assert not names & {"blob", "image"}
