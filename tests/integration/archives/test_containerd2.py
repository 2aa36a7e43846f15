"""Archives in containerd 2, built by nox -s containerd; RKE2 carries one since 1.33."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NoReturn

import pytest

from rke2pack.cli import run
from rke2pack.oci.pack.recipes import Format, ProfileName
from tests.compatibility import reads
from tests.integration.archives.conftest import FORMATS, PROFILES, Consumer, Made, started
from tests.integration.archives.test_consumers import in_archive

Make = Callable[..., Made]
CONFIG = """\
version = 3
root = "{folder}/root"
state = "{folder}/state"
disabled_plugins = ["io.containerd.cri.v1.images", "io.containerd.cri.v1.runtime"]
[grpc]
  address = "{folder}/c.sock"
[ttrpc]
  address = "{folder}/c.ttrpc"
"""


@pytest.fixture(scope="module")
def programs(project: Path, missing: Callable[[str, str], NoReturn]) -> Path:
    folder = Path(os.environ.get("RKE2PACK_CONTAINERD2", project / ".nox" / "containerd" / "bin"))
    if not (folder / "ctr").is_file():
        missing("containerd2", f"no containerd in {folder}; build it with nox -s containerd")
    if os.geteuid() != 0:
        missing("root", "containerd needs root")
    return folder


@pytest.fixture(scope="module")
def socket(short_folder: Path, programs: Path) -> Iterator[Path]:
    folder = short_folder / "2"
    folder.mkdir()
    config = folder / "containerd.toml"
    config.write_text(CONFIG.format(folder=folder))
    socket = folder / "c.sock"
    ready = [str(programs / "ctr"), "--address", str(socket), "version"]
    command = [str(programs / "containerd"), "--config", str(config)]
    with started(command, ready, folder / "containerd.log"):
        yield socket


@pytest.fixture
def containerd2(socket: Path, programs: Path, request: pytest.FixtureRequest) -> Consumer:
    space = f"n{abs(hash(request.node.name))}"
    return Consumer(command=(str(programs / "ctr"), "--address", str(socket), "--namespace", space))


every_profile = pytest.mark.parametrize("profile", PROFILES)
every_format = pytest.mark.parametrize("form", FORMATS)


@reads(
    "ctr images import --local, check, unpack (containerd 2)",
    ".tar", ".tar.zst by zstd -dc", ".tar.gz by gzip -dc",
)  # fmt: skip
@every_profile
@every_format
def test_tar_is_imported_checked_and_unpacked(
    make: Make, containerd2: Consumer, profile: ProfileName, form: Format
) -> None:
    """Locally, as RKE2 imports, which decompresses before it calls containerd."""
    made = make(profile, form)
    containerd2.run("images", "import", "--local", "--snapshotter", "native", made.tar)
    found = checked(containerd2)
    assert {name: row[2] for name, row in found.items()} == in_archive(made)
    assert {row[3] for row in found.values()} == {"complete"}
    assert {row[-1] for row in found.values()} == {"true"}, "unpacked"


@reads("ctr images import (containerd 2)", ".tar", ".tar.zst", ".tar.gz")
@every_profile
@every_format
@pytest.mark.parametrize("is_plain", [False, True])
def test_archive_is_imported_by_the_transfer_service(
    make: Make, containerd2: Consumer, profile: ProfileName, form: Format, *, is_plain: bool
) -> None:
    made = make(profile, form)
    containerd2.run("images", "import", "--no-unpack", made.tar if is_plain else made.path)
    found = checked(containerd2)
    assert {name: row[2] for name, row in found.items()} == in_archive(made)
    assert {row[3] for row in found.values()} == {"complete"}


def test_every_platform_is_imported(make: Make, containerd2: Consumer) -> None:
    made = make("fast", "zst", "linux/arm64")
    containerd2.run("images", "import", "--local", "--all-platforms", "--no-unpack", made.tar)
    rows = [row.split() for row in containerd2.run("images", "ls").splitlines()[1:]]
    named = in_archive(made)
    assert {row[0]: row[2] for row in rows} == named
    listed = containerd2.run("content", "ls", "--quiet")
    for digest in named.values():
        manifest = json.loads(containerd2.run("content", "get", digest))
        assert all(blob["digest"] in listed for blob in (manifest["config"], *manifest["layers"]))


@every_profile
def test_level_import_passes(
    make: Make, socket: Path, programs: Path, tmp_path: Path, profile: ProfileName
) -> None:
    client = Consumer(command=(str(programs / "ctr"), "--address", str(socket)))
    code = run(
        [
            *("validate", "--level", "import", "--runtime", "containerd", "--tree", str(tmp_path)),
            *("--containerd-address", str(socket), "--ctr", str(programs / "ctr")),
            *("--system-default-registry", "registry.example.com"),
            str(make(profile, "zst").path),
        ]
    )
    assert code == 0
    report = json.loads((tmp_path / "dist" / "validate" / "report.json").read_text())
    passed = {each["check"] for each in report["results"] if each["status"] == "passed"}
    assert {"import", "name", "digest", "layers", "unpack", "tags"} <= passed
    assert "rke2pack-" not in client.run("namespaces", "ls")


def checked(containerd: Consumer) -> dict[str, list[str]]:
    """Name -> the row of ``ctr images check``."""
    rows = containerd.run("images", "check", "--snapshotter", "native").splitlines()[1:]
    return {row.split()[0]: row.split() for row in rows}
