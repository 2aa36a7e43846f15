"""Deltas of archives that airgap's packer makes: what is in them, and that they are proved."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, PackError, ValidationError
from rke2pack.files import Cache
from rke2pack.oci.intake import archivefile
from rke2pack.oci.intake import take as intake
from rke2pack.oci.pack.delta import DeltaMaker, read_base
from rke2pack.oci.pack.recipes import Format
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.verify import checks as verifyarchive
from rke2pack.oci.verify import scan as scans
from rke2pack.oci.verify.checks import INTEGRITY, Verified
from rke2pack.stages.delta import command
from tests.unit.oci import archives
from tests.unit.oci.archives import (
    OWN,
    blob,
    config,
    docker_listing,
    image_files,
    manifest,
    packed_index,
    tar,
    write,
)
from tests.unit.oci.imaging import layer, packed, put_image
from tests.unit.oci.packing import pack
from tests.unit.stages.invoking import invoked

CORE = "rke2-images-core.linux-amd64.tar.zst"
LARGE = layer({"bin/large": bytes(9_000_000)})
SHARED = layer({"bin/shared": os.urandom(200_000)})


class Bench:
    """Two releases and the command."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.cache = root / "cache"
        self.output = root / "out"
        self.failed: dict[str, Any] = {}
        self.old, self.new = root / "old", root / "new"
        for folder, version in ((self.old, "v1"), (self.new, "v2")):
            folder.mkdir()
            layout = Layout.open(root / f"store-{version}")
            put_image(layout, f"docker.io/example/app:{version}", [
                (LARGE, "gzip"), (SHARED, "gzip"), (layer({"v": version.encode() * 99}), "gzip")
            ])  # fmt: skip
            put_image(layout, "docker.io/example/same:v1", [(SHARED, "gzip")])
        self.layouts = {v: Layout.open(root / f"store-{v}") for v in ("v1", "v2")}
        put_image(self.layouts["v2"], "docker.io/example/new:v1", [(OWN, "gzip")])

    def pack(self, profile: Any = "default", **options: Any) -> None:  # noqa: ANN401 - of pack
        pack(self.layouts["v1"], self.old / CORE, profile, **options)
        pack(self.layouts["v2"], self.new / CORE, profile, **options)

    def run(self, *arguments: str | Path) -> dict[str, Any]:
        where = ("--json", "--output", self.output)
        done = invoked(command, *where, *arguments, cache=self.cache)
        if isinstance(done.exception, PackError):
            self.failed = json.loads(done.stdout) if done.stdout else {}
            raise done.exception
        assert done.exit_code == 0, done.output
        document: dict[str, Any] = json.loads(done.stdout)
        return document

    def made(self) -> Path:
        (path,) = self.output.glob("*.tar.*")
        return path


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def verified(path: Path, *bases: Path) -> Verified:
    scan = scans.scan(archivefile.find(path))
    return verifyarchive.verify(scan, [scans.scan(archivefile.find(base)) for base in bases])


def failed(found: Verified) -> list[str]:
    return [f"{each.check}: {each.detail}" for each in found.results if each.status == "failed"]


def files_of(path: Path) -> dict[str, bytes]:
    return {each.name: b"".join(each.chunks) for each in archives.members(path)}


@pytest.mark.parametrize(("old", "new"), [("tgz", "tzst"), ("tzst", "tzst"), ("tar.gz", "tgz")])
def test_short_endings_are_paired_too(bench: Bench, old: str, new: str) -> None:
    stem = CORE.removesuffix(".tar.zst")
    for folder, layout, end in ((bench.old, "v1", old), (bench.new, "v2", new)):
        form: Format = "zst" if end == "tzst" else "gz"
        pack(bench.layouts[layout], folder / f"{stem}.{end}", form=form)
    document = bench.run(bench.old, bench.new)
    assert document["findings"] == []
    assert verified(bench.made(), bench.old / f"{stem}.{old}").note is not None
    assert bench.made().name.startswith(f"{stem}_delta-")


@pytest.mark.parametrize("profile", ["fast", "default"])
@pytest.mark.parametrize("form", ["zst", "gz"])
def test_delta_has_what_old_lacks_and_is_proved_with_it(
    bench: Bench, profile: str, form: str
) -> None:
    bench.pack(profile)
    document = bench.run(bench.old / CORE, bench.new / CORE, "--format", form)
    old = hashlib.sha256((bench.old / CORE).read_bytes()).hexdigest()
    stem = f"rke2-images-core.linux-amd64_delta-{old[:12]}"
    assert [(Path(e["path"]).name, e["status"]) for e in document["artifacts"]] == [
        (f"{stem}.tar.{form}", "built"),
        (f"{stem}.json", "built"),
    ]
    for each in document["artifacts"]:
        data = Path(each["path"]).read_bytes()
        assert (each["size"], each["sha256"]) == (len(data), hashlib.sha256(data).hexdigest())
    assert document["findings"] == []
    assert document["artifacts"][0]["size"] < 20_000
    found = verified(bench.made(), bench.old / CORE)
    assert failed(found) == []
    assert failed(verified(bench.made())) == [
        f"complete: a delta: 2 blobs come from {CORE} (sha256:{old}); name it with --base"
    ]


def test_index_and_manifests_are_those_of_new(bench: Bench) -> None:
    bench.pack()
    bench.run(bench.old / CORE, bench.new / CORE)
    own, whole, before = (files_of(p) for p in (bench.made(), bench.new / CORE, bench.old / CORE))
    assert own["index.json"] == whole["index.json"]
    assert list(own)[:4] == ["oci-layout", "index.json", "manifest.json", "delta.json"]
    assert list(own)[4:] == sorted(list(own)[4:])
    names = [entry["RepoTags"] for entry in json.loads(own["manifest.json"])]
    assert names == [["docker.io/example/new:v1"]], "docker is told only what is whole"
    large = {name for name, data in whole.items() if len(data) > 100_000}
    assert len(large) == 2
    assert whole.keys() - own.keys() == large
    assert large <= before.keys()
    note = json.loads(own["delta.json"])
    assert (bench.output / f"{bench.made().name[:-8]}.json").read_bytes() == own["delta.json"]
    assert note["target"]["sha256"] == str(Digest.of((bench.new / CORE).read_bytes()))[7:]
    needs = {image["name"]: image["needs"] for image in note["images"]}
    assert [len(needs[f"docker.io/example/{n}"]) for n in ("app:v2", "new:v1", "same:v1")] == [
        2,
        0,
        1,
    ]
    assert {n["digest"][7:]: n["size"] for n in needs["docker.io/example/app:v2"]} == {
        name.rpartition("/")[2]: len(whole[name]) for name in large
    }


def test_images_come_whole_from_base_and_delta(bench: Bench, tmp_path: Path) -> None:
    bench.pack("fast")
    bench.run(bench.old / CORE, bench.new / CORE)
    layout = Layout.open(tmp_path / "node")
    with pytest.raises(IntegrityError, match="lacks 2 blobs of its images"):
        intake.take_in(layout, bench.made())
    intake.take_in(layout, bench.old / CORE)
    entries = intake.take_in(layout, bench.made())
    whole = Layout.open(tmp_path / "whole")
    assert entries == intake.take_in(whole, bench.new / CORE)


def test_same_inputs_give_the_same_bytes_and_nothing_is_made_twice(bench: Bench) -> None:
    bench.pack()
    first = bench.run(bench.old / CORE, bench.new / CORE)
    again = bench.run(bench.old / CORE, bench.new / CORE)
    assert {each["status"] for each in again["artifacts"]} == {"unchanged"}
    assert [e["sha256"] for e in again["artifacts"]] == [e["sha256"] for e in first["artifacts"]]
    bench.cache = bench.root / "other cache"
    bench.output = bench.root / "other"
    cold = bench.run(bench.old / CORE, bench.new / CORE)
    assert [e["sha256"] for e in cold["artifacts"]] == [e["sha256"] for e in first["artifacts"]]
    assert {each["status"] for each in cold["artifacts"]} == {"built"}
    os.utime(bench.old / CORE, (1, 1))
    assert {e["status"] for e in bench.run(bench.old / CORE, bench.new / CORE)["artifacts"]} == {
        "built"
    }
    assert list((bench.cache / "deltas").iterdir()) == []


def test_dry_run_writes_nothing(bench: Bench) -> None:
    bench.pack()
    document = bench.run(bench.old / CORE, bench.new / CORE, "--dry-run")
    assert [each["status"] for each in document["artifacts"]] == ["planned"]
    assert not bench.output.exists()


def test_parts_of_old_and_new_and_of_the_delta(bench: Bench) -> None:
    bench.pack(max_size=90_000)
    assert len(list(bench.old.iterdir())) > 2
    put_image(
        bench.layouts["v2"],
        "docker.io/example/more:v1",
        [(layer({"x": os.urandom(300_000)}), "gzip")],
    )
    bench.pack(max_size=90_000)
    first = bench.new / f"{CORE}.part01"
    document = bench.run(bench.old / CORE, first, "--max-size", "100kB")
    names = [Path(each["path"]).name for each in document["artifacts"]]
    assert len(names) > 3
    assert names[0].endswith(".tar.zst.part01")
    whole = bench.output / names[0].removesuffix(".part01")
    assert failed(verified(whole, bench.old / CORE)) == []


def test_folders_are_paired_by_name(bench: Bench) -> None:
    bench.pack()
    pack(bench.layouts["v1"], bench.old / "rke2-images-gone.linux-amd64.tar.zst")
    pack(bench.layouts["v2"], bench.new / "rke2-images-fresh.linux-amd64.tar.zst")
    pack(bench.layouts["v2"], bench.new / CORE.replace("zst", "gz"), form="gz")
    (bench.new / "rke2-images-core.linux-amd64.txt").write_text("")
    (bench.new / "rke2-images-core.linux-amd64_delta-0.tar.zst").write_bytes(b"")
    document = bench.run(bench.old, bench.new)
    assert len(document["artifacts"]) == 2
    assert [(each["subject"], each["check"]) for each in document["findings"]] == [
        ("rke2-images-fresh.linux-amd64", "no-pair"),
        ("rke2-images-gone.linux-amd64", "no-pair"),
    ]


def test_other_profile_saves_nothing_and_says_so(bench: Bench) -> None:
    pack(bench.layouts["v1"], bench.old / CORE, "fast")
    pack(bench.layouts["v2"], bench.new / CORE, "default")
    document = bench.run(bench.old / CORE, bench.new / CORE)
    (finding,) = document["findings"]
    assert (finding["check"], finding["severity"]) == ("nothing-saved", "warning")
    assert finding["got"] == "none of 4; build both with the same profile"
    assert failed(verified(bench.made())) == []


def test_unchanged_release_gives_a_delta_of_names(bench: Bench) -> None:
    pack(bench.layouts["v1"], bench.old / CORE)
    pack(bench.layouts["v1"], bench.new / CORE)
    bench.run(bench.old / CORE, bench.new / CORE)
    own = files_of(bench.made())
    assert "manifest.json" not in own
    assert len(own) == 3 + 2 * 2
    assert failed(verified(bench.made(), bench.old / CORE)) == []


def test_delta_of_a_delta_is_refused(bench: Bench) -> None:
    bench.pack()
    bench.run(bench.old / CORE, bench.new / CORE)
    made = bench.made()
    for pair in ((made, bench.new / CORE), (bench.old / CORE, made)):
        with pytest.raises(ConfigError, match="is a delta itself"):
            bench.run(*pair)


def test_wrong_calls_are_told(bench: Bench) -> None:
    bench.pack()
    with pytest.raises(ConfigError, match="an archive and a folder"):
        bench.run(bench.old, bench.new / CORE)
    with pytest.raises(ConfigError, match="no such file"):
        bench.run(bench.old / "none.tar", bench.new / CORE)
    (bench.root / "empty").mkdir()
    with pytest.raises(ConfigError, match="have no archive of the same name"):
        bench.run(bench.old, bench.root / "empty")


def test_damaged_archives_give_no_delta(bench: Bench) -> None:
    bench.pack()
    for path in (bench.old / CORE, bench.new / CORE):
        data = path.read_bytes()
        path.write_bytes(data[:-1000])
        with pytest.raises(IntegrityError, match=CORE):
            bench.run(bench.old / CORE, bench.new / CORE)
        path.write_bytes(data)
    assert not bench.output.exists()
    assert list((bench.cache / "deltas").iterdir()) == []


def test_one_bad_pair_does_not_keep_the_others_from_being_made(bench: Bench) -> None:
    bench.pack()
    other = "rke2-images-other.linux-amd64.tar.zst"
    for folder in (bench.old, bench.new):
        (folder / other).write_bytes(b"nothing")
        (folder / f"2{other}").write_bytes(b"nothing")
    with pytest.raises(IntegrityError, match="delta: 2 deltas were not made") as caught:
        bench.run(bench.old, bench.new)
    assert len(caught.value.details) == 2
    assert len(bench.failed["artifacts"]) == 2
    assert failed(verified(bench.made(), bench.old / CORE)) == []


def test_blobs_of_no_image_are_none_of_the_base(tmp_path: Path) -> None:
    files = {**image_files(OWN), **dict([blob(SHARED)])}
    base = read_base(archivefile.find(write(tmp_path / "a.tar", tar(files.items()))))
    assert base.blobs == {Digest.of(OWN): len(OWN)}


def hostile() -> dict[str, tuple[dict[str, bytes], type[PackError], str]]:
    zst = packed(SHARED, "zstd")
    own = config(SHARED)
    other = config(OWN)
    name = "docker.io/example/app:v1"

    def archive(own_config: bytes, *layers: bytes, title: str = name) -> dict[str, bytes]:
        listed = manifest(own_config, *layers)
        return packed_index({title: listed}, own_config, listed, *layers)

    return {
        "zstd layer": (archive(own, zst), ValidationError, "is a zstd layer"),
        "layer of another config": (archive(other, SHARED), IntegrityError, "is a plain layer"),
        "more layers": (archive(own, SHARED, OWN), IntegrityError, "names 1 layer of 2"),
        "bad name": (archive(own, SHARED, title="A:/"), ValidationError, "not an image reference"),
        "docker alone": (
            {**dict(map(blob, (own, SHARED))),
             "manifest.json": docker_listing({name: (own, (SHARED,))})},
            ValidationError,
            "a docker archive alone",
        ),
    }  # fmt: skip


@pytest.mark.parametrize("case", hostile())
def test_what_cannot_be_kept_as_it_is_gives_no_delta(tmp_path: Path, case: str) -> None:
    files, error, message = hostile()[case]
    base = read_base(archivefile.find(write(tmp_path / "a.tar", tar(image_files(OWN).items()))))
    maker = DeltaMaker(output=tmp_path / "out", cache=Cache(tmp_path / "cache"), form="zst")
    path = write(tmp_path / "b.tar", tar(files.items()))
    with pytest.raises(error, match=message):
        maker.make(base, archivefile.find(path), tmp_path / "scratch")
    assert not (tmp_path / "out").exists()


def test_base_that_is_damaged_inside_is_refused(tmp_path: Path) -> None:
    files = image_files(OWN)
    files[blob(OWN)[0]] = OWN[:-1] + b"x"
    path = write(tmp_path / "a.tar", tar(files.items()))
    with pytest.raises(IntegrityError, match=r"a\.tar: digests: blobs/sha256/"):
        read_base(archivefile.find(path))
    assert "digests" in INTEGRITY
