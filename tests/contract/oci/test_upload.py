"""What is sent arrives once, whole, and is not sent where it is already."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, RegistryError
from rke2pack.oci import model
from rke2pack.oci.model import Descriptor
from rke2pack.oci.registry import upload, wire
from rke2pack.oci.registry.upload import Uploader
from tests.contract.oci import images
from tests.contract.oci.conftest import MakeAccess
from tests.contract.oci.simulator import Simulator

REPOSITORY = "rancher/demo"
DATA = images.noise(500_000, 3)
BLOB = Descriptor(media_type="a/b", digest=Digest.of(DATA), size=len(DATA))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "blob"
    found.write_bytes(DATA)
    return found


@pytest.fixture
def uploader(make_access: MakeAccess, registry: Simulator) -> Uploader:
    return Uploader(make_access().registry(registry.host))


def test_blob_is_sent_in_one_request(uploader: Uploader, registry: Simulator, path: Path) -> None:
    assert uploader.push_blob(REPOSITORY, BLOB, path) == "pushed"
    assert registry.blobs[REPOSITORY, BLOB.digest] == DATA
    assert [r.method for r in registry.requests] == ["HEAD", "POST", "PUT"]
    assert registry.requests[-1].headers["Content-Length"] == str(len(DATA))
    assert uploader.push_blob(REPOSITORY, BLOB, path) == "present"


def test_empty_blob_is_sent(uploader: Uploader, registry: Simulator, tmp_path: Path) -> None:
    empty = Descriptor(media_type="a/b", digest=Digest.of(b""), size=0)
    (tmp_path / "empty").write_bytes(b"")
    assert uploader.push_blob(REPOSITORY, empty, tmp_path / "empty") == "pushed"
    assert registry.blobs[REPOSITORY, empty.digest] == b""


def test_broken_upload_goes_on_where_the_registry_stands(
    uploader: Uploader, registry: Simulator, path: Path
) -> None:
    registry.upload_resets = [0, 200_000, 1]
    assert uploader.push_blob(REPOSITORY, BLOB, path) == "pushed"
    assert registry.blobs[REPOSITORY, BLOB.digest] == DATA
    assert len(registry.asked("GET", "/uploads/")) == 3


def test_upload_that_the_registry_forgot_begins_again(
    uploader: Uploader, registry: Simulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.upload_resets = [100_000]
    real = Uploader._resumed

    def forget(uploader: Uploader, begun: object) -> object:
        registry.uploads.clear()
        return real(uploader, begun)  # type: ignore[arg-type]

    monkeypatch.setattr(Uploader, "_resumed", forget)
    assert uploader.push_blob(REPOSITORY, BLOB, path) == "pushed"
    assert len(registry.asked("POST")) == 2


def test_upload_that_breaks_for_ever_is_an_error(
    uploader: Uploader, registry: Simulator, path: Path
) -> None:
    registry.upload_resets = [0] * 100
    with pytest.raises(RegistryError):
        uploader.push_blob(REPOSITORY, BLOB, path)
    assert len(registry.asked("PUT")) == 6


def test_registry_that_takes_its_time_to_close_an_upload_gets_it(
    uploader: Uploader, registry: Simulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "READ_SECONDS", 0.2)
    registry.closing_silence = 0.8
    assert uploader.push_blob(REPOSITORY, BLOB, path) == "pushed"
    assert len(registry.asked("PUT")) == len(registry.asked("POST")) == 1


def test_time_to_close_an_upload_has_an_end(
    uploader: Uploader, registry: Simulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "CLOSING_SECONDS", 0.1)
    monkeypatch.setattr(wire, "_ATTEMPTS", 1)
    registry.closing_silence = 60.0
    with pytest.raises(RegistryError, match="timed out"):
        uploader.push_blob(REPOSITORY, BLOB, path)


def test_upload_whose_last_answer_is_lost_is_not_sent_again(
    uploader: Uploader, registry: Simulator, path: Path
) -> None:
    registry.lost_answers = 1
    assert uploader.push_blob(REPOSITORY, BLOB, path)
    assert registry.blobs[REPOSITORY, BLOB.digest] == DATA
    assert len(registry.asked("PUT")) == len(registry.asked("POST")) == 1


def test_upload_that_breaks_often_and_comes_on_is_finished(
    uploader: Uploader, registry: Simulator, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload, "PROGRESS", 10_000)
    registry.upload_resets = [20_000] * 15
    assert uploader.push_blob(REPOSITORY, BLOB, path) == "pushed"
    assert registry.blobs[REPOSITORY, BLOB.digest] == DATA
    assert registry.upload_resets == []


def test_upload_that_comes_on_by_single_bytes_is_an_error(
    uploader: Uploader, registry: Simulator, path: Path
) -> None:
    registry.upload_resets = [2] * 100
    with pytest.raises(RegistryError):
        uploader.push_blob(REPOSITORY, BLOB, path)
    assert len(registry.upload_resets) == 94


def test_blob_of_another_repository_is_mounted(
    uploader: Uploader, registry: Simulator, path: Path
) -> None:
    registry.blobs["rancher/other", BLOB.digest] = DATA
    got = uploader.push_blob(REPOSITORY, BLOB, path, mount_from="rancher/other")
    assert got == "mounted"
    assert registry.blobs[REPOSITORY, BLOB.digest] == DATA
    assert registry.asked("PUT") == []


def test_mount_that_is_refused_becomes_an_upload(
    uploader: Uploader, registry: Simulator, path: Path
) -> None:
    got = uploader.push_blob(REPOSITORY, BLOB, path, mount_from="rancher/empty")
    assert got == "pushed"
    assert registry.blobs[REPOSITORY, BLOB.digest] == DATA


def test_token_is_for_pushing_and_for_reading_the_mounted_one(
    make_access: MakeAccess, registry: Simulator, path: Path
) -> None:
    registry.auth = "bearer"
    registry.token_uses = 1
    uploader = Uploader(make_access().registry(registry.host))
    uploader.push_blob(REPOSITORY, BLOB, path, mount_from="rancher/empty")
    assert registry.blobs[REPOSITORY, BLOB.digest] == DATA
    assert f"repository:{REPOSITORY}:pull,push" in registry.scopes
    assert "repository:rancher/empty:pull" in registry.scopes


def test_bytes_that_are_not_the_digest_are_never_completed(
    uploader: Uploader, registry: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "wrong").write_bytes(bytes(len(DATA)))
    with pytest.raises(IntegrityError, match="content is sha256:"):
        uploader.push_blob(REPOSITORY, BLOB, tmp_path / "wrong")
    assert registry.blobs == {}
    assert 201 not in {r.status for r in registry.asked("PUT")}
    assert len(registry.asked("DELETE", "/uploads/")) == 1


def test_file_that_is_too_short_is_an_error(
    uploader: Uploader, registry: Simulator, tmp_path: Path
) -> None:
    (tmp_path / "short").write_bytes(DATA[:-1])
    with pytest.raises(IntegrityError, match="ends at byte 499999 of 500000"):
        uploader.push_blob(REPOSITORY, BLOB, tmp_path / "short")
    assert registry.blobs == {}


def test_upload_that_is_lost_begins_anew(
    uploader: Uploader, registry: Simulator, path: Path, waits: list[float]
) -> None:
    registry.lost_uploads = 3
    assert uploader.push_blob(REPOSITORY, BLOB, path) == "pushed"
    assert registry.blobs[REPOSITORY, BLOB.digest] == DATA
    assert waits


def test_manifest_is_put_byte_for_byte(uploader: Uploader, registry: Simulator) -> None:
    made = images.multi()
    document = model.parse(made.raw, media_type=made.media_type, what="it")
    uploader.push_manifest(REPOSITORY, document, "v1")
    assert registry.manifests[REPOSITORY, "v1"] == (made.media_type, made.raw)


def test_registry_that_makes_another_manifest_is_found_out(
    uploader: Uploader, registry: Simulator
) -> None:
    made = images.multi()
    document = model.parse(made.raw, media_type=made.media_type, what="it")
    registry.statuses = [(201, {"Docker-Content-Digest": str(BLOB.digest)})]
    with pytest.raises(IntegrityError, match=f"the registry made {BLOB.digest} of"):
        uploader.push_manifest(REPOSITORY, document, "v1")
