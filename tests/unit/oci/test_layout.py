from __future__ import annotations

import errno
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, NotFoundError, ToolError, ValidationError
from rke2pack.oci import media
from rke2pack.oci.model import Descriptor, Manifest
from rke2pack.oci.store import upkeep
from rke2pack.oci.store.layout import IMAGE_NAME, REF_NAME, Layout


def blob(data: bytes) -> Descriptor:
    return Descriptor(media_type="a/b", digest=Digest.of(data), size=len(data))


def image(layout: Layout, seed: bytes) -> Descriptor:
    """Put one manifest with a config and a layer."""
    for data in (seed, seed + b"layer"):
        layout.put(data)
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": blob(seed).to_json(),
        "layers": [blob(seed + b"layer").to_json()],
    }
    raw = json.dumps(document).encode()
    return Descriptor(media_type=media.OCI_MANIFEST, digest=layout.put(raw), size=len(raw))


def test_layout_is_what_the_specification_says(layout: Layout) -> None:
    found = image(layout, b"one")
    layout.tag({"docker.io/rancher/demo:v1": found})
    assert json.loads((layout.root / "oci-layout").read_bytes()) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads((layout.root / "index.json").read_bytes()) == {
        "schemaVersion": 2,
        "mediaType": media.OCI_INDEX,
        "manifests": [
            {
                "mediaType": media.OCI_MANIFEST,
                "digest": str(found.digest),
                "size": found.size,
                "annotations": {
                    IMAGE_NAME: "docker.io/rancher/demo:v1",
                    REF_NAME: "docker.io/rancher/demo:v1",
                },
            }
        ],
    }
    assert isinstance(layout.document(found), Manifest)
    assert layout.path(found.digest).stat().st_mode & 0o777 == 0o644


def test_put_is_idempotent(layout: Layout) -> None:
    digest = layout.put(b"data")
    before = layout.path(digest).stat()
    assert layout.put(b"data") == digest
    assert layout.path(digest).stat().st_mtime_ns == before.st_mtime_ns
    assert layout.path(digest).stat().st_ino == before.st_ino


def test_blob_of_another_size_is_replaced(layout: Layout) -> None:
    digest = layout.put(b"data")
    layout.path(digest).write_bytes(b"dat")
    assert not layout.has(blob(b"data"))
    layout.put(b"data")
    assert layout.path(digest).read_bytes() == b"data"


def test_read_verifies(layout: Layout) -> None:
    digest = layout.put(b"data")
    layout.path(digest).write_bytes(b"DATA")
    with pytest.raises(IntegrityError, match=f"expected {digest}"):
        layout.read(digest)
    with pytest.raises(IntegrityError, match="larger than the limit of 3 bytes"):
        layout.read(digest, max_bytes=3)
    with pytest.raises(NotFoundError, match="has no blob"):
        layout.read(Digest.of(b"other"))


def test_entries_of_others_stay(layout: Layout) -> None:
    foreign = {
        "mediaType": media.OCI_MANIFEST,
        "digest": str(Digest.of(b"x")),
        "size": 1,
        "platform": {"os": "linux", "architecture": "amd64"},
        "annotations": {REF_NAME: "theirs", "more": "kept"},
        "x-unknown": [1],
    }
    document = {"schemaVersion": 2, "manifests": [foreign]}
    (layout.root / "index.json").write_text(json.dumps(document))
    layout.tag({"ours": image(layout, b"one")})
    entries = json.loads((layout.root / "index.json").read_bytes())["manifests"]
    assert foreign in entries
    assert [entry.name for entry in layout.entries()] == ["ours", "theirs"]
    layout.untag(frozenset({"ours"}))
    assert [entry.name for entry in layout.entries()] == ["theirs"]


def test_name_points_at_one_image(layout: Layout) -> None:
    one, two = image(layout, b"one"), image(layout, b"two")
    layout.tag({"name": one})
    layout.tag({"name": two})
    assert layout.find("name") is not None
    assert [entry.descriptor.digest for entry in layout.entries()] == [two.digest]
    assert layout.find("other") is None


def test_taggers_do_not_lose_each_other_s_names(layout: Layout) -> None:
    found = image(layout, b"one")

    def tag(number: int) -> None:
        Layout.open(layout.root).tag({f"name-{number:02}": found})

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(tag, range(40)))
    assert [entry.name for entry in layout.entries()] == [f"name-{n:02}" for n in range(40)]


def test_writers_of_one_blob_take_turns(layout: Layout) -> None:
    data = os.urandom(300_000)
    turns: list[str] = []

    def receive(_: int) -> None:
        with Layout.open(layout.root).receive(blob(data)) as partial:
            if partial is None:
                turns.append("there")
                return
            turns.append("wrote")
            for start in range(0, len(data), 50_000):
                partial.write(data[start : start + 50_000])
                time.sleep(0.005)

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(receive, range(6)))
    assert sorted(turns) == ["there"] * 5 + ["wrote"]
    assert layout.path(blob(data).digest).read_bytes() == data
    assert list(layout.partial_folder.iterdir()) == []


def receive(layout: Layout, promised: bytes, came: bytes, *, then: Exception | None = None) -> None:
    with layout.receive(blob(promised)) as partial:
        assert partial is not None
        partial.write(came)
        if then is not None:
            raise then


def test_failed_writer_leaves_its_bytes_to_the_next(layout: Layout) -> None:
    data = b"0123456789"
    with pytest.raises(ToolError):
        receive(layout, data, data[:4], then=ToolError("broken"))
    with layout.receive(blob(data)) as partial:
        assert partial is not None
        assert (partial.offset, partial.was_resumed) == (4, True)
        partial.write(data[4:])
    assert layout.has(blob(data))


def test_wrong_bytes_are_removed(layout: Layout) -> None:
    with pytest.raises(IntegrityError, match="content is"):
        receive(layout, b"good", b"evil")
    assert list(layout.partial_folder.iterdir()) == []
    assert not layout.has(blob(b"good"))


def test_layout_of_another_version_is_refused(tmp_path: Path) -> None:
    (tmp_path / "oci-layout").write_text('{"imageLayoutVersion": "9.0.0"}')
    with pytest.raises(ValidationError, match=r"imageLayoutVersion is not 1\.0\.0"):
        Layout.open(tmp_path)


def test_damaged_index_is_an_error(layout: Layout) -> None:
    (layout.root / "index.json").write_text('{"manifests": 3}')
    with pytest.raises(IntegrityError, match="there is no list 'manifests'"):
        layout.entries()


def test_gc_keeps_what_is_reached_and_what_is_young(layout: Layout) -> None:
    kept, lost = image(layout, b"kept"), image(layout, b"lost")
    layout.tag({"kept": kept, "lost": lost})
    index = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": media.OCI_INDEX,
            "manifests": [kept.to_json(), blob(b"not here").to_json()],
        }
    ).encode()
    found = Descriptor(media_type=media.OCI_INDEX, digest=layout.put(index), size=len(index))
    layout.tag({"kept": found})
    layout.untag(frozenset({"lost"}))
    layout.partial_folder.mkdir(exist_ok=True)
    (layout.partial_folder / "old.partial").write_bytes(b"12")
    now = time.time()
    assert upkeep.gc(layout, now=now, hours=1.0).young == 4
    looked = upkeep.gc(layout, now=now + 7200, hours=1.0, is_dry_run=True)
    stats = upkeep.stats(layout)
    assert (stats.images, stats.blobs, stats.unreachable, stats.partial) == (1, 7, 3, 1)
    assert looked.removed == stats.unreachable + stats.partial
    done = upkeep.gc(layout, now=now + 7200, hours=1.0)
    assert done == looked
    assert not layout.has(lost)
    assert layout.has(kept)
    assert upkeep.stats(layout).unreachable == 0


def test_gc_waits_for_nobody_and_takes_nothing_from_a_running_pull(layout: Layout) -> None:
    with layout.in_use(), pytest.raises(ToolError, match="another rke2pack is using"):
        upkeep.gc(layout, now=time.time(), hours=0.0)


def test_pull_waits_for_gc(layout: Layout) -> None:
    order: list[str] = []

    def use() -> None:
        with layout.in_use():
            order.append("pull")

    thread = threading.Thread(target=use)
    with layout.alone():
        thread.start()
        time.sleep(0.15)
        order.append("gc")
    thread.join()
    assert order == ["gc", "pull"]


def test_gc_does_not_guess_below_a_damaged_manifest(layout: Layout) -> None:
    found = image(layout, b"one")
    layout.tag({"one": found})
    layout.path(found.digest).write_bytes(bytes(found.size))
    with pytest.raises(IntegrityError) as caught:
        upkeep.gc(layout, now=time.time(), hours=0.0)
    assert caught.value.hint == "run 'rke2pack cache verify', then pull"


def test_verify_removes_what_is_damaged_and_names_the_image(layout: Layout) -> None:
    good, bad = image(layout, b"good"), image(layout, b"bad")
    layout.tag({"good": good, "bad": bad})
    path = layout.path(Digest.of(b"badlayer"))
    path.write_bytes(b"BADLAYER")
    found = upkeep.verify(layout)
    assert found.damaged == (Digest.of(b"badlayer"),)
    assert found.incomplete == ("bad",)
    assert not path.exists()
    assert upkeep.verify(layout).damaged == ()
    layout.put(b"badlayer")
    assert upkeep.verify(layout).incomplete == ()


def test_stats_of_an_empty_store(layout: Layout) -> None:
    found = upkeep.stats(layout)
    assert (found.images, found.blobs, found.bytes, found.partial) == (0, 0, 0, 0)


@pytest.mark.parametrize("has_lock", [True, False])
def test_store_that_cannot_be_written_can_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, has_lock: bool
) -> None:
    layout = Layout.open(tmp_path)
    if has_lock:
        with layout.in_use():
            pass
    real = Path.open

    def refuse(path: Path, mode: str = "r", **more: Any) -> Any:  # noqa: ANN401 - as Path.open
        if mode != "rb":
            raise OSError(errno.EROFS, "Read-only file system")
        return real(path, mode, **more)

    monkeypatch.setattr(Path, "open", refuse)
    with layout.in_use():
        assert layout.entries() == ()
    with pytest.raises(ToolError, match="Read-only file system"), layout.alone():
        pass


def test_gc_that_is_refused_forgets_nothing(layout: Layout) -> None:
    layout.tag({"one": image(layout, b"one")})
    with layout.in_use(), pytest.raises(ToolError, match="another rke2pack is using"):
        upkeep.gc(layout, now=time.time(), hours=0.0, without=frozenset({"one"}))
    assert layout.find("one") is not None
    done = upkeep.gc(layout, now=time.time(), hours=0.0, without=frozenset({"one"}))
    assert (done.removed, layout.entries()) == (3, ())


def test_names_that_came_meanwhile_are_not_overwritten(layout: Layout) -> None:
    mine, theirs = image(layout, b"one"), image(layout, b"two")
    layout.tag({"both": theirs})
    layout.tag_new({"both": mine, "mine": mine})
    assert {e.name: e.descriptor.digest for e in layout.entries()} == {
        "both": theirs.digest,
        "mine": mine.digest,
    }


def test_a_blob_that_gets_its_name_while_files_are_counted_is_no_error(
    layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout.partial_folder.mkdir(exist_ok=True)
    gone = layout.partial_folder / "gone.partial"
    gone.touch()
    real = Path.lstat

    def lstat(self: Path) -> os.stat_result:
        if self == gone:
            self.unlink(missing_ok=True)
        return real(self)

    monkeypatch.setattr(Path, "lstat", lstat)
    assert upkeep.stats(layout).partial == 0


def test_damaged_bytes_go_and_those_of_the_next_process_stay(layout: Layout) -> None:
    wanted = blob(b"right")
    place = layout.partial_folder / f"{wanted.digest.hex}.partial"

    def damaged() -> None:
        with layout.receive(wanted) as partial:
            assert partial is not None
            partial.write(b"wrong")
            place.unlink()
            place.write_bytes(b"rig")  # another process takes it up

    with pytest.raises(IntegrityError, match="content is"):
        damaged()
    assert place.read_bytes() == b"rig"
