"""Blobs arrive as their digest says, or not at all, whatever the registry does."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from rke2pack import files
from rke2pack.digest import Digest
from rke2pack.errors import (
    IntegrityError,
    NotFoundError,
    RateLimitedError,
    RegistryError,
    ToolError,
)
from rke2pack.oci.model import Descriptor
from rke2pack.oci.registry import answer, wire
from rke2pack.oci.registry.access import Access
from rke2pack.oci.store.layout import Layout
from rke2pack.oci.store.partial import Partial
from tests.contract.oci.conftest import MakeAccess
from tests.contract.oci.images import noise
from tests.contract.oci.simulator import Simulator

REPOSITORY = "rancher/demo"
DATA = noise(700_000, 7)
BLOB = Descriptor(media_type="application/octet-stream", digest=Digest.of(DATA), size=len(DATA))


@pytest.fixture
def access(make_access: MakeAccess, registry: Simulator) -> Access:
    registry.blobs[REPOSITORY, BLOB.digest] = DATA
    return make_access()


def fetch(access: Access, registry: Simulator, layout: Layout, blob: Descriptor = BLOB) -> None:
    with layout.receive(blob) as partial:
        assert partial is not None
        access.registry(registry.host).fetch_blob(REPOSITORY, blob, partial)


def leftovers(layout: Layout) -> list[str]:
    blobs = [p.name for p in (layout.root / "blobs/sha256").iterdir()]
    folder = layout.partial_folder
    return blobs + ([p.name for p in folder.iterdir()] if folder.is_dir() else [])


def test_blob_arrives_once_and_under_its_digest(
    access: Access, registry: Simulator, layout: Layout
) -> None:
    fetch(access, registry, layout)
    assert layout.path(BLOB.digest).read_bytes() == DATA
    assert leftovers(layout) == [BLOB.digest.hex]
    assert access.received == len(DATA)
    with layout.receive(BLOB) as partial:
        assert partial is None


def test_empty_blob_arrives(access: Access, registry: Simulator, layout: Layout) -> None:
    empty = Descriptor(media_type="a/b", digest=Digest.of(b""), size=0)
    registry.blobs[REPOSITORY, empty.digest] = b""
    fetch(access, registry, layout, empty)
    assert layout.has(empty)


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
@pytest.mark.parametrize(
    "body", [DATA[:-1], DATA + b"x", DATA[:-1] + bytes([DATA[-1] ^ 1]), b""], ids=len
)
def test_body_that_is_not_its_digest_leaves_nothing(
    access: Access,
    registry: Simulator,
    layout: Layout,
    body: bytes,
    framing: str,
) -> None:
    registry.bodies[BLOB.digest] = body
    registry.framing = framing  # type: ignore[assignment]
    # Without any framing, short cannot be told from broken off: it is tried again.
    expected = RegistryError if framing == "close" and len(body) < len(DATA) else IntegrityError
    with pytest.raises(expected):
        fetch(access, registry, layout)
    assert not layout.has(BLOB)
    if expected is IntegrityError:
        assert leftovers(layout) == []
        assert len(registry.asked("GET", str(BLOB.digest))) == 1


@pytest.mark.parametrize("framing", ["length", "chunked", "close"])
def test_reset_at_any_byte_is_taken_up_by_range(
    access: Access, registry: Simulator, layout: Layout, framing: str
) -> None:
    chance = random.Random(11)  # noqa: S311 - the same places each time
    registry.framing = framing  # type: ignore[assignment]
    registry.resets[BLOB.digest] = [0, 1, *(chance.randrange(300_000) for _ in range(3))]
    fetch(access, registry, layout)
    assert layout.path(BLOB.digest).read_bytes() == DATA
    assert access.received == len(DATA)
    starts = [r.headers.get("Range", "") for r in registry.asked("GET", str(BLOB.digest))]
    assert starts[0] == ""
    assert len(set(starts)) > 2


def test_registry_that_ignores_range_sends_all_again(
    access: Access, registry: Simulator, layout: Layout
) -> None:
    registry.range_mode = "ignore"
    registry.resets[BLOB.digest] = [300_000]
    fetch(access, registry, layout)
    assert layout.path(BLOB.digest).read_bytes() == DATA
    assert [r.status for r in registry.asked("GET", str(BLOB.digest))] == [200, 200]


@pytest.mark.parametrize("mode", ["wrong", "refuse"])
def test_part_that_was_not_asked_for_is_never_appended(
    access: Access, registry: Simulator, layout: Layout, mode: str
) -> None:
    registry.range_mode = mode  # type: ignore[assignment]
    registry.resets[BLOB.digest] = [300_000]
    fetch(access, registry, layout)
    assert layout.path(BLOB.digest).read_bytes() == DATA
    asked = registry.asked("GET", str(BLOB.digest))
    assert ["Range" in r.headers for r in asked] == [False, True, False]


def test_rest_of_an_earlier_run_is_not_fetched_again(
    access: Access, registry: Simulator, layout: Layout
) -> None:
    layout.partial_folder.mkdir()
    (layout.partial_folder / f"{BLOB.digest.hex}.partial").write_bytes(DATA[:500_000])
    fetch(access, registry, layout)
    assert layout.path(BLOB.digest).read_bytes() == DATA
    assert access.received == len(DATA) - 500_000


def test_registry_that_breaks_for_ever_fails_and_keeps_what_came(
    access: Access, registry: Simulator, layout: Layout, waits: list[float]
) -> None:
    registry.resets[BLOB.digest] = [100_000] + [0] * 20
    with pytest.raises(RegistryError) as caught:
        fetch(access, registry, layout)
    assert caught.value.temporary
    assert caught.value.message.startswith(f"{registry.host}/{REPOSITORY}@{BLOB.digest}: ")
    assert len(registry.asked("GET", str(BLOB.digest))) == 6
    assert len(waits) == 5
    kept = (layout.partial_folder / f"{BLOB.digest.hex}.partial").read_bytes()
    assert DATA.startswith(kept)


def test_silent_server_times_out(
    access: Access, registry: Simulator, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "READ_SECONDS", 0.1)
    registry.silence[BLOB.digest] = 5.0
    with pytest.raises(RegistryError, match="timed out"):
        fetch(access, registry, layout)


def test_trickle_is_given_up(
    access: Access, registry: Simulator, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = answer.stream

    def impatient(response: answer.Response, *, what: str) -> object:
        return real(response, what=what, patience=0.0, least=10_000_000)

    monkeypatch.setattr(answer, "stream", impatient)
    with pytest.raises(RegistryError, match=r"only \d+ bytes in 0 s"):
        fetch(access, registry, layout)


def test_storm_of_429_is_waited_out_as_asked(
    access: Access, registry: Simulator, layout: Layout, waits: list[float]
) -> None:
    registry.statuses = [(429, {"Retry-After": "7"})] * 4
    fetch(access, registry, layout)
    assert layout.has(BLOB)
    assert [round(wait) for wait in waits] == [7] * 4


def test_429_that_asks_for_an_hour_fails_and_says_so(
    access: Access, registry: Simulator, layout: Layout, waits: list[float]
) -> None:
    registry.statuses = [(429, {"Retry-After": "3600"})]
    with pytest.raises(RateLimitedError, match="429 Too Many Requests; it asks to wait 3600 s"):
        fetch(access, registry, layout)
    assert waits == []


@pytest.mark.parametrize("status", [500, 502, 503, 408])
def test_500_for_a_while_is_survived(
    access: Access, registry: Simulator, layout: Layout, status: int
) -> None:
    registry.statuses = [(status, {})] * 3
    fetch(access, registry, layout)
    assert layout.has(BLOB)


def test_500_for_ever_is_an_error(access: Access, registry: Simulator, layout: Layout) -> None:
    registry.statuses = [(500, {})] * 50
    with pytest.raises(RegistryError, match="500 Internal Server Error"):
        fetch(access, registry, layout)
    assert len(registry.requests) == 6


def test_redirect_to_storage_goes_without_credentials(
    make_access: MakeAccess, registry: Simulator, storage: Simulator, layout: Layout
) -> None:
    registry.blobs[REPOSITORY, BLOB.digest] = DATA
    storage.blobs[REPOSITORY, BLOB.digest] = DATA
    storage.resets[BLOB.digest] = [1000]
    registry.auth, registry.redirect = "basic", f"http://{storage.host}"
    stem = "RKE2PACK_REGISTRY_" + registry.host.replace(".", "_").replace(":", "_")
    access = make_access((f"{stem}_USERNAME", "user"), (f"{stem}_PASSWORD", "pass"))
    fetch(access, registry, layout)
    assert layout.has(BLOB)
    assert len(storage.requests) == 2
    assert all("Authorization" not in request.headers for request in storage.requests)
    assert all("Cookie" not in request.headers for request in storage.requests)
    # The registry is asked again after the reset: a signed address may have run out.
    assert [r.status for r in registry.asked("GET", "/blobs/")] == [401, 307, 307]


def test_redirects_that_never_end_are_refused(
    access: Access, registry: Simulator, layout: Layout
) -> None:
    place = f"http://{registry.host}/v2/{REPOSITORY}/blobs/{BLOB.digest}"
    registry.statuses = [(302, {"Location": place})] * 50
    with pytest.raises(RegistryError, match="more than 5 redirects"):
        fetch(access, registry, layout)


@pytest.mark.parametrize("place", ["ftp://example.com/x", "file:///etc/passwd", "http://[::1"])
def test_redirect_to_anything_but_http_is_refused(
    access: Access, registry: Simulator, layout: Layout, place: str
) -> None:
    registry.statuses = [(302, {"Location": place})]
    with pytest.raises(RegistryError, match="redirects"):
        fetch(access, registry, layout)


def test_missing_blob_is_named_with_the_registry_s_own_words(
    access: Access, registry: Simulator, layout: Layout
) -> None:
    registry.blobs.clear()
    with pytest.raises(NotFoundError) as caught:
        fetch(access, registry, layout)
    assert caught.value.message == (
        f"{registry.host}/{REPOSITORY}@{BLOB.digest}: "
        "404 Not Found (BLOB_UNKNOWN no luck with blob_unknown)"
    )


def test_foreign_layer_is_looked_for_at_its_https_addresses_only(
    access: Access, registry: Simulator, layout: Layout
) -> None:
    registry.blobs.clear()
    foreign = Descriptor(
        media_type="a/b", digest=BLOB.digest, size=BLOB.size, urls=("http://example.com/layer",)
    )
    with pytest.raises(NotFoundError):
        fetch(access, registry, layout, foreign)


def test_full_disk_is_a_tool_error_and_not_tried_again(
    access: Access, registry: Simulator, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(partial: Partial, data: bytes) -> None:
        with files.reported("write", partial._path), Path("/dev/full").open("wb", 0) as device:
            device.write(data)

    monkeypatch.setattr(Partial, "write", full)
    with pytest.raises(ToolError, match="No space left on device"):
        fetch(access, registry, layout)
    assert access.sent == {"GET": 1}
