"""A whole release of the lab: its folder, its proof, and one altered byte anywhere in it."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

TAG = "v1.32.4+rke2r1"
KINDS = {
    "archive": "rke2-images-core.linux-arm64.tar.zst",
    "windows-archive": "rke2-windows-ltsc2022-amd64-images.tar.zst",
    "list": "rke2-images-harvester.linux-amd64.txt",
    "list-of-all": "rke2-images-all.linux-amd64.txt",
    "checksums": "sha256sum-amd64.txt",
    "sbom": "sbom.cdx.json",
    "provenance": "provenance.json",
    "signature": "provenance.dsse.json",
    "chart": "harvester-cloud-provider.yaml",
    "removed-chart": "rke2-snapshot-validation-webhook.yaml",
    "notes": "release-notes.md",
    "part": "rke2-images.linux-arm64.tar.zst.part02",
    "attached": "report.html",
    "sbom-spdx": "sbom.spdx.json",
}


@dataclass(frozen=True, kw_only=True)
class Lab:
    """A tree in which `rke2pack lab` ran."""

    tree: Path
    cache: Path

    @property
    def made(self) -> Path:
        return self.tree / "dist/lab/tree/dist"

    @property
    def key(self) -> Path:
        return self.made / "release.pub"


def rke2pack(*arguments: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "rke2pack", *map(str, arguments)],
        capture_output=True, text=True, check=False, timeout=600,
        env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def lab(project: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The one command: charts, images, archives, validation and the release of them."""
    root = tmp_path_factory.mktemp("release")
    tree = root / "tree"
    shutil.copytree(project / "charts-manifest", tree / "charts-manifest")
    shutil.copyfile(project / "images.txt", tree / "images.txt")
    lab = Lab(tree=tree, cache=root / "cache")
    done = rke2pack("lab", "--tree", tree, "--cache-dir", lab.cache)
    assert done.returncode == 0, done.stderr[-4000:]
    return lab


@pytest.fixture
def folder(lab: Lab, tmp_path: Path) -> Path:
    """A copy of the release's folder, to be altered."""
    return Path(shutil.copytree(lab.made / "release", tmp_path / "release"))


def verified(folder: Path, *options: str | Path) -> tuple[int, dict[str, Any]]:
    done = rke2pack("verify", folder, "--json", *options)
    return done.returncode, json.loads(done.stdout)


def failed(document: dict[str, Any]) -> set[str]:
    return {each["subject"] for each in document["results"] if each["status"] == "failed"}


def test_folder_holds_every_kind_of_file_and_the_plan_stands_beside_it(lab: Lab) -> None:
    names = {path.name for path in (lab.made / "release").iterdir()}
    assert set(KINDS.values()) <= names
    plan = json.loads((lab.made / "release-plan.json").read_text())
    kinds = {each["name"]: each["kind"] for each in plan["assets"]}
    assert set(kinds) == names
    assert {kinds[name] for name in KINDS.values()} == set(kinds.values())
    assert [each["kind"] for each in plan["assets"]][-2:] == ["checksums", "checksums"]
    assert {each["state"] for each in plan["assets"]} == {"planned"}


def test_archives_are_not_there_twice_on_the_disk(lab: Lab) -> None:
    name = KINDS["archive"]
    assert (lab.made / "release" / name).samefile(lab.made / "artifacts" / name)


def test_release_proves_itself(lab: Lab) -> None:
    code, document = verified(lab.made / "release", "--key", lab.key)
    assert (code, failed(document)) == (0, set())
    names = {path.name for path in (lab.made / "release").iterdir()}
    states = {(each["subject"], each["check"]): each["status"] for each in document["results"]}
    assert states["provenance.dsse.json", "signature"] == "passed"
    vouched = {name for name, check in states if check == "attested"}
    assert vouched == names - {"provenance.json", "provenance.dsse.json"}


def test_coreutils_reads_the_checksums(lab: Lab) -> None:
    for name in ("sha256sum-amd64.txt", "sha256sum-arm64.txt"):
        subprocess.run(["sha256sum", "--strict", "-c", name], cwd=lab.made / "release", check=True,
                       capture_output=True)  # fmt: skip


@pytest.mark.parametrize("place", ["first", "middle", "last"])
@pytest.mark.parametrize("kind", KINDS)
def test_flipped_byte_is_caught_by_name(lab: Lab, folder: Path, kind: str, place: str) -> None:
    path = folder / KINDS[kind]
    data = bytearray(path.read_bytes())
    where, bit = {"first": (0, 1), "middle": (len(data) // 2, 0x80), "last": (-1, 1)}[place]
    data[where] ^= bit
    path.write_bytes(data)
    code, document = verified(folder, "--key", lab.key)
    assert path.name in failed(document)
    assert code == 5


@pytest.mark.parametrize("kind", KINDS)
def test_missing_file_is_named(lab: Lab, folder: Path, kind: str) -> None:
    (folder / KINDS[kind]).unlink()
    code, document = verified(folder, "--key", lab.key)
    if kind == "provenance":  # the signature carries it whole
        assert (code, failed(document)) == (0, set())
    else:
        assert KINDS[kind] in failed(document)
        assert code == 5


def test_file_that_nobody_vouches_for_is_named(lab: Lab, folder: Path) -> None:
    (folder / "install.sh").write_text("#!/bin/sh\n")
    code, document = verified(folder, "--key", lab.key)
    assert (code, failed(document)) == (5, {"install.sh"})


def test_single_file_is_proved_by_what_stands_beside_it(lab: Lab, folder: Path) -> None:
    for name in (KINDS["archive"], KINDS["chart"], KINDS["list"]):
        code, document = verified(folder / name, "--key", lab.key)
        assert (code, failed(document)) == (0, set())
        assert (name, "attested") in {(e["subject"], e["check"]) for e in document["results"]}
    chart = folder / KINDS["chart"]
    chart.write_bytes(chart.read_bytes() + b"#")
    assert verified(chart, "--key", lab.key)[0] == 5
    assert verified(folder / KINDS["archive"], "--key", lab.key)[0] == 0


def test_openssl_makes_the_keys_that_sign_and_prove(lab: Lab, tmp_path: Path, folder: Path) -> None:
    openssl = shutil.which("openssl")
    assert openssl
    own = lab.made.parent
    for number, options in enumerate(
        (
            ["-algorithm", "ed25519"],
            ["-algorithm", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-aes256",
             "-pass", "pass:secret of the key"],
        )
    ):  # fmt: skip
        key, public = tmp_path / f"{number}.key", tmp_path / f"{number}.pub"
        subprocess.run([openssl, "genpkey", *options, "-out", key], check=True, capture_output=True)
        subprocess.run(
            [openssl, "pkey", "-in", key, "-pubout", "-out", public,
             "-passin", "pass:secret of the key"],
            check=True, capture_output=True,
        )  # fmt: skip
        output = tmp_path / f"release-{number}"
        arguments = ("release", TAG, "--tree", own, "--output", output, "--cache-dir", lab.cache,
                     "--since", lab.made / "before", "--charts-repo", lab.tree / "dist/lab/charts",
                     "--sign-key", key, "-v")  # fmt: skip
        secrets = {
            "SOURCE_DATE_EPOCH": "1735689600",
            "RKE2PACK_SIGNING_PASSWORD": "secret of the key",
        }
        done = rke2pack(*arguments, **secrets)
        assert done.returncode == 0, done.stderr
        assert "secret of the key" not in done.stderr + done.stdout
        code, document = verified(output, "--key", public)
        assert (code, failed(document)) == (0, set())
        first = {path.name: path.read_bytes() for path in output.iterdir()}
        again = rke2pack(*arguments, **secrets)
        assert again.returncode == 0, again.stderr
        assert {path.name: path.read_bytes() for path in output.iterdir()} == first
        code, document = verified(folder, "--key", public)
        assert (code, failed(document)) == (5, {"provenance.dsse.json"})


def test_sample_of_the_documents_is_of_this_folder(lab: Lab, folder: Path, project: Path) -> None:
    """The listing with its kinds, and what ``verify`` says of the byte that is altered there."""
    text = (project / "docs/release.md").read_text()
    listing, said = re.findall(r"^```text\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)[:2]
    plan = json.loads((lab.made / "release-plan.json").read_text())
    kinds = {each["name"]: each["kind"] for each in plan["assets"]}
    shown = dict(line.split() for line in listing.splitlines() if line != "...")
    assert shown.items() <= kinds.items()
    assert set(shown.values()) == set(kinds.values())
    path = folder / "rke2-canal.yaml"
    path.write_bytes(b"X" + path.read_bytes()[1:])
    done = rke2pack("verify", folder, "--key", lab.key)
    assert done.returncode == 5
    digests = re.compile(r"[0-9a-f]{64}")
    lines = {digests.sub("…", line) for line in done.stderr.splitlines()}
    assert set(said.splitlines()) - {"..."} <= lines
