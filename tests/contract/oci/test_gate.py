"""images --verify-registry: the gate before a release, against a registry that can do wrong."""

from __future__ import annotations

import gzip
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.contract.oci import rootfs
from tests.contract.oci.images import AMD64, ARM64, index
from tests.contract.oci.rootfs import BASE, app, image
from tests.contract.oci.runner import Answer, run
from tests.contract.oci.simulator import Simulator
from tests.unit.oci.programs import elf, folder, layer, link

Gate = Callable[..., Answer]
LIST = """\
# component: core
docker.io/rancher/alpha:v1
docker.io/rancher/beta:v1

# component: vsphere (linux/amd64)
docker.io/rancher/gamma:v1
"""
ALPHA, BETA, GAMMA = (f"docker.io/rancher/{name}:v1" for name in ("alpha", "beta", "gamma"))


@pytest.fixture
def tree(project: Path, tmp_path: Path, registry: Simulator) -> Path:
    root = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", root / "charts-manifest")
    (root / "images.txt").write_text(LIST)
    registry.push("rancher/alpha", rootfs.multi(), "v1")
    registry.push("rancher/beta", rootfs.multi(packing="zstd"), "v1")
    registry.push("rancher/gamma", image(app("amd64"), packing="none"), "v1")
    return root


@pytest.fixture
def gate(registry: Simulator, tree: Path, tmp_path: Path, waits: list[float]) -> Gate:
    assert waits == []

    def call(*arguments: str | Path, word: str = "images", mode: str = "") -> Answer:
        own: list[str | Path] = ["--tree", tree, "--cache-dir", tmp_path / "cache"]
        own += ["--endpoint", f"docker.io=http://{registry.host}"]
        verify = [mode or "--verify-registry"] if word == "images" else []
        return run([word, *verify, *arguments, *own], {})

    return call


def results(answer: Answer) -> dict[str, tuple[str, str]]:
    return {each["subject"]: (each["status"], each["check"]) for each in answer.json["results"]}


def detail(answer: Answer, subject: str) -> str:
    found: str = next(e["detail"] for e in answer.json["results"] if e["subject"] == subject)
    return found


def test_a_release_that_is_right_passes(gate: Gate, tmp_path: Path) -> None:
    answer = gate("--json")
    assert answer.code == 0, answer.err
    assert results(answer) == {
        f"{ALPHA} linux/amd64": ("passed", "program"),
        f"{ALPHA} linux/arm64": ("passed", "program"),
        f"{BETA} linux/amd64": ("passed", "program"),
        f"{BETA} linux/arm64": ("passed", "program"),
        f"{GAMMA} linux/amd64": ("passed", "program"),
    }
    assert answer.json["totals"] == {"passed": 5, "failed": 0, "manual": 0}
    assert detail(answer, f"{ALPHA} linux/arm64") == "/usr/bin/app: ELF for arm64"
    assert not (tmp_path / "cache/store").exists()
    quiet = gate()
    assert quiet.code == 0
    assert quiet.err == (
        "images: verifying 3 images for their platforms\n5 passed, 0 failed, 0 manual\n"
    )


def test_only_the_layers_that_matter_are_fetched_each_once(gate: Gate, registry: Simulator) -> None:
    whole = layer(("other", b"x" * 100))
    below = image(BASE, app("amd64"))
    above = image(whole, layer(*members("usr/bin/app", "amd64")))
    registry.push("rancher/alpha", index(below, image(BASE, app("arm64"), platform=ARM64)), "v1")
    registry.push("rancher/gamma", above, "v1")
    assert gate("--json").code == 0
    fetched = [request.target for request in registry.asked("GET", "alpha/blobs")]
    fetched += [request.target for request in registry.asked("GET", "gamma/blobs")]
    base = next(d for d, data in below.blobs.items() if data == gzip.compress(BASE, 1, mtime=0))
    lowest = next(d for d, data in above.blobs.items() if data == gzip.compress(whole, 1, mtime=0))
    assert sum(str(base) in target for target in fetched) == 1
    assert sum(str(lowest) in target for target in fetched) == 0


def members(path: str, architecture: str) -> list[Any]:
    """A program with all folders above it, as image builders write them."""
    parts = path.split("/")
    folders = [folder("/".join(parts[:end])) for end in range(1, len(parts))]
    return [*folders, (path, elf(rootfs.MACHINES[architecture]))]


def test_a_program_for_another_machine_fails(gate: Gate, registry: Simulator) -> None:
    registry.push("rancher/alpha", rootfs.multi(arm64="amd64"), "v1")
    answer = gate()
    assert answer.code == 7
    assert (
        "error: images --verify-registry: 1 of 5 failed\n"
        f"  {ALPHA} linux/arm64: /usr/bin/app: ELF for amd64, not for linux/arm64 [program]\n"
        "hint: release nothing before these images are right\n"
    ) in answer.err


def test_every_problem_is_a_result_of_its_own(gate: Gate, registry: Simulator) -> None:
    registry.push("rancher/alpha", index(image(BASE, app("amd64"))), "v1")
    lying = image(app("arm64"), platform=ARM64, claims=AMD64)
    registry.push("rancher/beta", index(image(config={}), lying), "v1")
    del registry.manifests["rancher/gamma", "v1"]
    answer = gate("--json")
    assert answer.code == 7
    assert results(answer) == {
        f"{ALPHA} linux/amd64": ("passed", "program"),
        f"{ALPHA} linux/arm64": ("failed", "exists"),
        f"{BETA} linux/amd64": ("manual", "entrypoint"),
        f"{BETA} linux/arm64": ("failed", "config"),
        f"{GAMMA} linux/amd64": ("failed", "exists"),
    }
    assert detail(answer, f"{ALPHA} linux/arm64") == (
        "not there for linux/arm64; it has linux/amd64"
    )
    assert detail(answer, f"{BETA} linux/arm64") == "the config says linux/amd64"


def test_an_image_without_entrypoint_is_told_and_fails_nothing(
    gate: Gate, registry: Simulator
) -> None:
    registry.push("rancher/gamma", image(app("amd64"), config={}), "v1")
    answer = gate("--component", "vsphere")
    assert answer.code == 0
    assert (
        f"manual  {GAMMA} linux/amd64  neither Entrypoint nor Cmd; its 1 program is for "
        "linux/amd64 [entrypoint]\n0 passed, 0 failed, 1 manual\n" in answer.err
    )


def test_a_program_that_is_not_there_fails(gate: Gate, registry: Simulator) -> None:
    registry.push("rancher/gamma", image(BASE, layer(link("usr/bin/app", "../gone"))), "v1")
    answer = gate("--component", "vsphere", "--json")
    assert answer.code == 7
    assert detail(answer, f"{GAMMA} linux/amd64") == "/usr/bin/app: no such file"


@pytest.mark.parametrize("packing", ["gzip", "zstd", "none"])
def test_a_layer_that_is_not_its_digest_fails(
    gate: Gate,
    registry: Simulator,
    packing: Any,  # noqa: ANN401 - a Literal
) -> None:
    made = image(app("amd64"), packing=packing)
    other = image(app("amd64", name="usr/bin/abc"), packing=packing)
    registry.push("rancher/gamma", made, "v1")
    digest, wrong = list(made.blobs)[1], list(other.blobs.values())[1]
    assert len(wrong) >= len(made.blobs[digest]) - 20
    wrong = wrong.ljust(len(made.blobs[digest]), b"\0")[: len(made.blobs[digest])]
    registry.bodies[digest] = wrong
    answer = gate("--component", "vsphere", "--json")
    assert answer.code == 7
    assert results(answer) == {f"{GAMMA} linux/amd64": ("failed", "digest")}


def test_a_layer_that_is_no_tar_fails(gate: Gate, registry: Simulator) -> None:
    registry.push("rancher/gamma", image(b"plain text" * 100), "v1")
    answer = gate("--component", "vsphere", "--json")
    assert answer.code == 7
    assert "not a tar, or damaged" in detail(answer, f"{GAMMA} linux/amd64")


def test_a_transfer_that_breaks_is_taken_up(gate: Gate, registry: Simulator) -> None:
    made = image(layer(("usr/bin/app", b"\x7fELF"), ("big", bytes(range(256)) * 2000), *members(
        "usr/bin/app", "amd64")), packing="none")  # fmt: skip
    registry.push("rancher/gamma", made, "v1")
    registry.resets[list(made.blobs)[1]] = [100_000, 1000]
    answer = gate("--component", "vsphere", "--json")
    assert answer.code == 0, answer.err


def test_a_registry_that_does_not_answer_is_its_own_exit_code(
    gate: Gate, registry: Simulator
) -> None:
    registry.auth = "basic"
    registry.is_public = False
    answer = gate()
    assert answer.code == 4
    assert "error: images --verify-registry: 5 of 5 could not be verified\n" in answer.err
    assert f"{ALPHA} linux/amd64: " in answer.err


def test_reports_list_what_fails_and_everything(
    gate: Gate, registry: Simulator, tmp_path: Path
) -> None:
    registry.push("rancher/alpha", rootfs.multi(arm64="amd64"), "v1")
    answer = gate("--report", tmp_path / "gate.json", "--json")
    assert answer.code == 7
    assert json.loads((tmp_path / "gate.json").read_text()) == answer.json
    assert gate("--report", tmp_path / "gate.md").code == 7
    text = (tmp_path / "gate.md").read_text()
    first, every = text.split("\n## All\n")
    assert first == (
        "# Images in their registries\n\n4 passed, 1 failed, 0 manual.\n\n"
        "## Failed, or to be looked at\n\n"
        "| image | platform | status | check | detail |\n| --- | --- | --- | --- | --- |\n"
        f"| {ALPHA} | linux/arm64 | failed | program | "
        "/usr/bin/app: ELF for amd64, not for linux/arm64 |\n"
    )
    assert every.count("| passed |") == 4


def test_a_tag_that_is_not_locked_so_fails(gate: Gate, registry: Simulator, tree: Path) -> None:
    assert gate(mode="--lock").code == 0
    assert (tree / "images.lock").is_file()
    assert gate().code == 0
    registry.push("rancher/gamma", image(BASE, app("amd64")), "v1")
    answer = gate("--json")
    assert answer.code == 7
    assert results(answer)[GAMMA] == ("failed", "lock")
    assert results(answer)[f"{GAMMA} linux/amd64"] == ("passed", "program")


def test_platform_and_component_choose(gate: Gate) -> None:
    answer = gate("--platform", "linux/arm64", "--json")
    assert set(results(answer)) == {f"{ALPHA} linux/arm64", f"{BETA} linux/arm64"}
    answer = gate("--component", "vsphere", "--json")
    assert set(results(answer)) == {f"{GAMMA} linux/amd64"}


def test_a_choice_of_nothing_is_no_pass(gate: Gate, registry: Simulator) -> None:
    answer = gate("--platform", "linux/arm64", "--component", "vsphere")
    assert answer.code == 2
    assert "error: images --verify-registry: no image is listed for this choice" in answer.err
    assert registry.requests == []


def test_another_registry_is_asked(gate: Gate, registry: Simulator) -> None:
    answer = gate("--registry", registry.host, "--component", "vsphere", "--json")
    assert answer.code == 0
    assert set(results(answer)) == {f"{registry.host}/rancher/gamma:v1 linux/amd64"}


def test_the_store_is_read_first_and_alone_when_offline(
    gate: Gate, registry: Simulator, tmp_path: Path
) -> None:
    assert gate(word="pull").code == 0
    registry.requests.clear()
    assert gate().code == 0
    assert not registry.asked("GET")
    registry.requests.clear()
    assert gate("--offline").code == 0
    assert registry.requests == []
    for blob in (tmp_path / "cache/store/blobs/sha256").iterdir():
        if blob.read_bytes()[:2] == b"\x1f\x8b":
            blob.unlink()
    answer = gate("--offline", "--component", "core", "--json")
    assert answer.code == 7
    assert results(answer)[f"{ALPHA} linux/amd64"] == ("failed", "exists")


def test_a_damaged_layer_of_the_store_fails(gate: Gate, tmp_path: Path) -> None:
    assert gate(word="pull").code == 0
    for blob in (tmp_path / "cache/store/blobs/sha256").iterdir():
        data = blob.read_bytes()
        if data[:2] == b"\x1f\x8b":
            blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    answer = gate("--component", "core", "--offline", "--json")
    assert answer.code == 7
    assert results(answer)[f"{ALPHA} linux/amd64"] == ("failed", "digest")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--lock"], "--lock and --verify-registry do not go together"),
        (["--check"], "--verify-registry and --check do not go together"),
        (["--explain", "x"], "--explain and --verify-registry do not go together"),
        (["--report", "gate.txt"], "name it .json or .md"),
    ],
)
def test_calls_that_cannot_be_are_refused(gate: Gate, arguments: list[str], message: str) -> None:
    answer = gate(*arguments)
    assert answer.code == 2
    assert message in answer.err
