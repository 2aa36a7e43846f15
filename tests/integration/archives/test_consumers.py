"""Every consumer of archives, in each profile and format."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2pack.oci.pack.recipes import Format, ProfileName
from tests.compatibility import reads, refuses
from tests.integration.archives.conftest import FORMATS, PROFILES, Consumer, Made

Make = Callable[..., Made]
# docker learned to read zstd in 23.0.
DOCKER_WITH_ZSTD = 23
KEPT_BY_FAST = {"gzipped", "dockers", "plain"}

every_profile = pytest.mark.parametrize("profile", PROFILES)
every_format = pytest.mark.parametrize("form", FORMATS)


def content(tar: Path, name: str) -> bytes:
    with tarfile.open(tar) as opened:
        found = opened.extractfile(name)
        assert found is not None
        return found.read()


def in_archive(made: Made) -> dict[str, str]:
    """Name -> digest of the manifest, as the archive's index has it."""
    entries = json.loads(content(made.tar, "index.json"))["manifests"]
    return {e["annotations"]["io.containerd.image.name"]: e["digest"] for e in entries}


def configs(made: Made) -> dict[str, str]:
    """Name -> image id, which is the digest of the config."""
    entries = json.loads(content(made.tar, "manifest.json"))
    return {e["RepoTags"][0]: f"sha256:{e['Config'][13:]}" for e in entries}


@reads("zstd -t --memory=32MB", ".tar.zst")
@every_profile
def test_zstd_decodes_with_32_mib(
    make: Make, program: Callable[[str], str], profile: ProfileName
) -> None:
    made = make(profile, "zst")
    tested = Consumer(command=(program("zstd"),)).tried("-t", "--memory=32MB", made.path)
    assert tested.returncode == 0, tested.stderr
    frames = Consumer(command=(program("zstd"),)).run("-l", "-v", made.path)
    assert "XXH64" in frames
    assert int(re.findall(r"Zstandard Frames: (\d+)", frames)[0]) > 3


@reads("gzip -t", ".tar.gz")
@every_profile
def test_gzip_tests_and_decodes(
    make: Make, program: Callable[[str], str], profile: ProfileName
) -> None:
    made = make(profile, "gz")
    assert Consumer(command=(program("gzip"),)).tried("-t", made.path).returncode == 0
    if profile != "small":
        other = make(profile, "zst")
        assert made.tar.read_bytes() == other.tar.read_bytes()


@reads("GNU tar", ".tar.zst", ".tar.gz")
@every_profile
@every_format
def test_gnu_tar_lists_what_is_expected(
    make: Make, program: Callable[[str], str], profile: ProfileName, form: Format
) -> None:
    made = make(profile, form)
    done = Consumer(command=(program("tar"),)).tried(
        "--list", "--verbose", "--numeric-owner", "--utc", "--full-time", "--file", made.path
    )
    assert (done.returncode, done.stderr) == (0, "")
    rows = [line.split() for line in done.stdout.splitlines()]
    assert {tuple(row[:2] + row[3:5]) for row in rows} == {
        ("-rw-r--r--", "0/0", "1970-01-01", "00:00:00")
    }
    names = [row[5] for row in rows]
    assert names[:3] == ["oci-layout", "index.json", "manifest.json"]
    assert names[3:] == sorted(set(names[3:]))


@reads("docker load", ".tar", ".tar.gz")
@every_profile
def test_docker_loads_the_plain_tar_and_tar_gz(
    make: Make, docker: Consumer, profile: ProfileName
) -> None:
    for made, path in (
        (make(profile, "zst"), make(profile, "zst").tar),
        (make(profile, "gz"), make(profile, "gz").path),
    ):
        loaded = docker.run("load", "--input", path)
        try:
            for name, identity in configs(made).items():
                short = name.removeprefix("docker.io/")
                assert f"Loaded image: {short}" in loaded
                found = docker.run("image", "inspect", "--format", "{{.Id}}", short)
                assert found.strip() == identity
        finally:
            docker.run("image", "rm", "--force", *set(configs(made).values()))


def test_docker_runs_through_the_layers_of_what_it_loaded(
    make: Make, docker: Consumer, tmp_path: Path
) -> None:
    made = make("default", "gz")
    docker.run("load", "--input", made.path)
    container = docker.run("create", "example/mixed:v4", "/bin/main").strip()
    try:
        docker.run("cp", f"{container}:/etc/mixed", tmp_path / "mixed")
        docker.run("cp", f"{container}:/etc/base", tmp_path / "base")
    finally:
        docker.run("rm", container)
    assert (tmp_path / "mixed").read_bytes() == b"linux/amd64" * 300
    assert (tmp_path / "base").read_bytes() == b"base"


@refuses("docker load", ".tar.zst", "before docker 23")
def test_docker_loads_tar_zst_since_23_and_refuses_it_before(make: Make, docker: Consumer) -> None:
    version = docker.run("version", "--format", "{{.Server.Version}}")
    done = docker.tried("load", "--input", make("default", "zst").path)
    if int(version.partition(".")[0]) >= DOCKER_WITH_ZSTD:
        assert "Loaded image: example/gzipped:v0" in done.stdout
    else:
        assert done.returncode != 0
        assert "invalid tar header" in done.stderr


@reads("ctr images import, check, unpack", ".tar", ".tar.zst by zstd -dc", ".tar.gz by gzip -dc")
@every_profile
@every_format
@pytest.mark.parametrize("snapshotter", ["native", "overlayfs"])
def test_containerd_imports_checks_and_unpacks(
    make: Make,
    containerd: Consumer,
    profile: ProfileName,
    form: Format,
    snapshotter: str,
) -> None:
    made = make(profile, form)
    containerd.run("images", "import", "--snapshotter", snapshotter, "-", stdin=made.tar)
    rows = containerd.run("images", "check", "--snapshotter", snapshotter).splitlines()[1:]
    found = {row.split()[0]: row.split() for row in rows}
    assert {name: row[2] for name, row in found.items()} == in_archive(made)
    assert {row[3] for row in found.values()} == {"complete"}
    assert {row[-1] for row in found.values()} == {"true"}, "unpacked"
    for name, row in found.items():
        is_kept = profile == "fast" and name.split("/")[-1].split(":")[0] in KEPT_BY_FAST
        if is_kept:
            assert row[2] == made.digests[name], "the registry's digest survives"
        manifest = json.loads(containerd.run("content", "get", row[2]))
        for blob in (manifest["config"], *manifest["layers"]):
            listed = containerd.run("content", "ls", "--quiet")
            assert blob["digest"] in listed


def test_containerd_imports_an_archive_of_another_platform(
    make: Make, containerd: Consumer
) -> None:
    made = make("fast", "zst", "linux/arm64")
    containerd.run("images", "import", "--all-platforms", "--no-unpack", "-", stdin=made.tar)
    rows = [row.split() for row in containerd.run("images", "ls").splitlines()[1:]]
    assert {row[0]: row[2] for row in rows} == in_archive(made)
    assert {row[5] for row in rows} == {"linux/arm64"}


@refuses("ctr images import, check, unpack", ".tar.zst", "the caller decompresses, containerd 1.6")
@refuses("ctr images import, check, unpack", ".tar.gz", "the caller decompresses, containerd 1.6")
def test_containerd_1_reads_only_what_its_caller_has_decompressed(
    make: Make, containerd: Consumer
) -> None:
    """RKE2's own importer decompresses before it calls; ctr does not."""
    for form in FORMATS:
        done = containerd.tried("images", "import", make("default", form).path)
        assert done.returncode != 0
        assert "invalid tar header" in done.stderr


@reads("skopeo docker-archive:", ".tar", ".tar.zst")
@every_profile
def test_skopeo_reads_it_as_a_docker_archive(
    make: Make, program: Callable[[str], str], profile: ProfileName
) -> None:
    made = make(profile, "zst")
    skopeo = Consumer(command=(program("skopeo"),))
    for path in (made.path, made.tar):
        for name, identity in configs(made).items():
            raw = skopeo.run("inspect", "--raw", f"docker-archive:{path}:{name}")
            assert json.loads(raw)["config"]["digest"] == identity
            facts = json.loads(skopeo.run("inspect", f"docker-archive:{path}:{name}"))
            assert (facts["Architecture"], len(facts["Layers"])) == ("amd64", 2)


@refuses("skopeo docker-archive:", ".tar.gz", "as one by gzip, skopeo 1.9")
@every_profile
def test_skopeo_reads_a_tar_gz_as_a_docker_archive_no_worse_than_one_by_gzip(
    make: Make, program: Callable[[str], str], profile: ProfileName, tmp_path: Path
) -> None:
    """Some versions (1.9.3) read no .tar.gz with this transport, whoever made it."""
    made = make(profile, "gz")
    skopeo = Consumer(command=(program("skopeo"),))
    peer = tmp_path / "peer.tar.gz"
    with made.tar.open("rb") as plain, peer.open("wb") as packed:
        subprocess.run([program("gzip"), "-1", "-c"], stdin=plain, stdout=packed, check=True)
    name = next(iter(configs(made)))
    theirs = skopeo.tried("inspect", f"docker-archive:{peer}:{name}")
    ours = skopeo.tried("inspect", f"docker-archive:{made.path}:{name}")
    assert (ours.returncode, ours.stdout) == (theirs.returncode, theirs.stdout)


def is_readable(profile: ProfileName, name: str) -> bool:
    """Whether skopeo finds an image by its tag: only manifests of OCI's own type."""
    return profile != "fast" or "/dockers:" not in name


@reads("skopeo oci-archive:", ".tar.zst", ".tar.gz")
@every_profile
@every_format
def test_skopeo_reads_it_as_an_oci_archive(
    make: Make, program: Callable[[str], str], profile: ProfileName, form: Format
) -> None:
    made = make(profile, form)
    skopeo = Consumer(command=(program("skopeo"),))
    for name, digest in in_archive(made).items():
        done = skopeo.tried("inspect", f"oci-archive:{made.path}:{name.rpartition(':')[2]}")
        if is_readable(profile, name):
            facts = json.loads(done.stdout)
            assert (facts["Digest"], facts["Architecture"]) == (digest, "amd64")
        else:
            assert "no descriptor found for reference" in done.stderr


@every_profile
def test_skopeo_copies_every_layer_out_of_it(
    make: Make, program: Callable[[str], str], profile: ProfileName, tmp_path: Path
) -> None:
    """The copy decodes every layer and compares it with its digest and the config's."""
    made = make(profile, "zst")
    skopeo = Consumer(command=(program("skopeo"), "--insecure-policy"))
    for name, digest in in_archive(made).items():
        tag = name.rpartition(":")[2]
        if is_readable(profile, name):
            folder = tmp_path / tag
            skopeo.run("copy", "--quiet", f"oci-archive:{made.path}:{tag}", f"dir:{folder}")
            copied = (folder / "manifest.json").read_bytes()
            assert f"sha256:{hashlib.sha256(copied).hexdigest()}" == digest
        target = tmp_path / f"{tag}.tar"
        source = f"docker-archive:{made.path}:{name}"
        skopeo.run("copy", "--quiet", source, f"docker-archive:{target}")
        assert target.stat().st_size > 0


READER = """
package main

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"os"
)

func main() {
	packed, err := gzip.NewReader(os.Stdin)
	if err != nil {
		panic(err)
	}
	reader := tar.NewReader(packed)
	for {
		header, err := reader.Next()
		if err == io.EOF {
			return
		}
		if err != nil {
			panic(err)
		}
		size, err := io.Copy(io.Discard, reader)
		if err != nil {
			panic(err)
		}
		fmt.Println(header.Name, size)
	}
}
"""


@reads("Go compress/gzip and archive/tar", ".tar.gz")
def test_go_reads_the_spliced_gzip(
    make: Make, program: Callable[[str], str], tmp_path: Path
) -> None:
    """RKE2, containerd and docker read with Go's own gzip and tar."""
    (tmp_path / "reader.go").write_text(READER)
    go = Consumer(command=(program("go"),))
    go.run("build", "-o", tmp_path / "reader", tmp_path / "reader.go")
    for profile in PROFILES:
        made = make(profile, "gz")
        listed = Consumer(command=(str(tmp_path / "reader"),)).run(stdin=made.path)
        with tarfile.open(made.tar) as opened:
            assert listed.splitlines() == [f"{each.name} {each.size}" for each in opened]


def test_layers_of_the_docker_tar_are_all_gzip_or_none(make: Make) -> None:
    """As RKE2's bootstrap reader (go-containerregistry's tarball) takes for granted."""
    for profile in PROFILES:
        made = make(profile, "zst")
        for entry in json.loads(content(made.tar, "manifest.json")):
            starts = {content(made.tar, name)[:2] == b"\x1f\x8b" for name in entry["Layers"]}
            assert len(starts) == 1
