from __future__ import annotations

import http.client
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from rke2pack.digest import Digest
from rke2pack.lab import registry
from rke2pack.lab.registry import LabImages
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.oci.wish import Wish
from tests.contract.oci import images
from tests.contract.oci.images import AMD64

PAUSE = Reference.parse("docker.io/rancher/mirrored-pause:3.6")
MADE = images.manifest(AMD64, [b"pushed"])
Heard = tuple[int, Mapping[str, str], bytes]


class Client:
    """One connection to the lab's registry."""

    def __init__(self, address: str) -> None:
        self.connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=10)

    def ask(self, method: str, path: str, body: bytes | None = None, **headers: str) -> Heard:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.connection.request(method, path, body=body, headers=named)
        reply = self.connection.getresponse()
        return reply.status, dict(reply.headers.items()), reply.read()

    def push_blobs(self, repository: str) -> None:
        for digest, data in MADE.blobs.items():
            place = self.ask("POST", f"/v2/{repository}/blobs/uploads/")[1]["Location"]
            assert self.ask("PUT", f"{place}?digest={digest}", data)[0] == 201

    def push(self, repository: str, name: str) -> Heard:
        self.push_blobs(repository)
        path = f"/v2/{repository}/manifests/{name}"
        return self.ask("PUT", path, MADE.raw, Content_Type=MADE.media_type)


@pytest.fixture
def wishes(tmp_path: Path) -> list[Wish]:
    (tmp_path / "images.txt").touch()
    return [Wish(reference=PAUSE, platforms=(AMD64, Platform.parse("linux/arm64")))]


@pytest.fixture
def made(tmp_path: Path, wishes: list[Wish]) -> LabImages:
    return LabImages(tmp_path / "lab", lambda: wishes, sources=(tmp_path / "images.txt",))


@pytest.fixture
def client(made: LabImages) -> Iterator[Client]:
    with registry.serve(made) as address:
        client = Client(address)
        yield client
        client.connection.close()


def errors(heard: Heard) -> tuple[int, str]:
    document: dict[str, Any] = json.loads(heard[2])
    return heard[0], document["errors"][0]["code"]


def test_images_are_made_when_they_are_asked_for(made: LabImages, client: Client) -> None:
    assert made.layout.entries() == ()
    status, headers, body = client.ask("GET", "/v2/rancher/mirrored-pause/manifests/3.6")
    assert (status, headers["Docker-Content-Digest"]) == (200, str(Digest.of(body)))
    assert [entry.name for entry in made.layout.entries()] == [str(PAUSE)]


def test_a_changed_list_gives_new_images(
    client: Client, wishes: list[Wish], tmp_path: Path
) -> None:
    path = "/v2/rancher/mirrored-pause/manifests/3.7"
    assert client.ask("GET", path)[0] == 404
    reference = Reference.parse("docker.io/rancher/mirrored-pause:3.7")
    wishes.append(Wish(reference=reference, platforms=(AMD64,)))
    assert client.ask("GET", path)[0] == 404
    (tmp_path / "new").touch()
    (tmp_path / "new").replace(tmp_path / "images.txt")
    assert client.ask("GET", path)[0] == 200


@pytest.mark.parametrize("name", ["v1", str(MADE.digest)])
def test_what_is_pushed_can_be_pulled(client: Client, name: str) -> None:
    status, headers, _ = client.push("mirror/rancher/x", name)
    assert (status, headers["Docker-Content-Digest"]) == (201, str(MADE.digest))
    assert client.ask("GET", f"/v2/mirror/rancher/x/manifests/{name}")[2] == MADE.raw
    for digest, data in MADE.blobs.items():
        assert client.ask("GET", f"/v2/mirror/rancher/x/blobs/{digest}")[2] == data


def test_pushes_stay_for_the_next_run(client: Client, made: LabImages) -> None:
    client.push("mirror/rancher/x", "v1")
    with registry.serve(made) as address:
        again = Client(address)
        assert again.ask("GET", "/v2/mirror/rancher/x/manifests/v1")[2] == MADE.raw
        digest = next(iter(MADE.blobs))
        assert again.ask("HEAD", f"/v2/mirror/rancher/x/blobs/{digest}")[0] == 200
        again.connection.close()


def test_push_beside_the_labs_own_images_joins_them(client: Client) -> None:
    client.push("rancher/mirrored-pause", "pushed")
    tags = json.loads(client.ask("GET", "/v2/rancher/mirrored-pause/tags/list")[2])["tags"]
    assert tags == ["3.6", "pushed"]


def test_blob_comes_in_pieces_and_in_order(client: Client) -> None:
    data = bytes(range(200))
    digest = Digest.of(data)
    status, headers, _ = client.ask("POST", "/v2/mirror/x/blobs/uploads/")
    place = headers["Location"]
    assert (status, headers["Range"]) == (202, "0-0")
    status, headers, _ = client.ask("PATCH", place, data[:50], Content_Range="0-49")
    assert (status, headers["Range"]) == (202, "0-49")
    assert client.ask("PATCH", place, data[90:], Content_Range="90-199")[0] == 416
    status, headers, _ = client.ask("GET", place)
    assert (status, headers["Range"]) == (204, "0-49")
    assert client.ask("PATCH", place, data[50:], Content_Range="50-199")[0] == 202
    assert client.ask("PUT", f"{place}?digest={digest}")[0] == 201
    assert client.ask("GET", f"/v2/mirror/x/blobs/{digest}")[2] == data
    assert errors(client.ask("PATCH", place, b"x")) == (404, "BLOB_UPLOAD_UNKNOWN")


def test_blob_in_one_request_and_by_mount(client: Client) -> None:
    data = b"all at once"
    digest = Digest.of(data)
    uploads = "/v2/mirror/{}/blobs/uploads/"
    assert client.ask("POST", f"{uploads.format('x')}?digest={digest}", data)[0] == 201
    mount = f"{uploads.format('y')}?mount={digest}&from=mirror/x"
    assert client.ask("POST", mount)[0] == 201
    assert client.ask("GET", f"/v2/mirror/y/blobs/{digest}")[2] == data
    unknown = f"{uploads.format('y')}?mount={Digest.of(b'no')}&from=mirror/x"
    assert client.ask("POST", unknown)[0] == 202


def test_wrong_blob_is_refused_and_not_kept(client: Client, made: LabImages) -> None:
    place = client.ask("POST", "/v2/mirror/x/blobs/uploads/")[1]["Location"]
    wrong = Digest.of(b"other")
    assert errors(client.ask("PUT", f"{place}?digest={wrong}", b"data")) == (400, "DIGEST_INVALID")
    assert client.ask("GET", f"/v2/mirror/x/blobs/{wrong}")[0] == 404
    assert not any(made.layout.partial_folder.iterdir())


def test_upload_can_be_given_up(client: Client) -> None:
    place = client.ask("POST", "/v2/mirror/x/blobs/uploads/")[1]["Location"]
    assert client.ask("DELETE", place)[0] == 204
    assert errors(client.ask("GET", place)) == (404, "BLOB_UPLOAD_UNKNOWN")


@pytest.mark.parametrize(
    ("name", "body", "status", "code"),
    [
        ("v1", MADE.raw, 404, "MANIFEST_BLOB_UNKNOWN"),
        ("v1", b"{}", 400, "MANIFEST_INVALID"),
        ("v1", b"x" * 5_000_000, 413, "MANIFEST_INVALID"),
        (f"sha256:{'0' * 64}", MADE.raw, 400, "DIGEST_INVALID"),
        ("a:b", MADE.raw, 400, "DIGEST_INVALID"),
        ("a+b", MADE.raw, 400, "TAG_INVALID"),
    ],
)
def test_manifest_that_cannot_be_is_refused(
    client: Client, name: str, body: bytes, status: int, code: str
) -> None:
    heard = client.ask("PUT", f"/v2/mirror/x/manifests/{name}", body, Content_Type=MADE.media_type)
    assert errors(heard) == (status, code)


def test_every_host_has_a_place_of_its_own(client: Client, made: LabImages) -> None:
    status, _, body = client.ask("GET", "/docker.io/v2/rancher/mirrored-pause/manifests/3.6")
    assert status == 200
    other = "/registry.example.com:5000/v2/rancher/mirrored-pause"
    assert client.ask("GET", f"{other}/manifests/3.6")[0] == 404
    uploads = client.ask("POST", f"{other}/blobs/uploads/")[1]["Location"]
    assert uploads.startswith(f"{other}/blobs/uploads/")
    for digest, data in MADE.blobs.items():
        assert client.ask("POST", f"{other}/blobs/uploads/?digest={digest}", data)[0] == 201
    path = f"{other}/manifests/3.6"
    assert client.ask("PUT", path, MADE.raw, Content_Type=MADE.media_type)[0] == 201
    assert client.ask("GET", path)[2] == MADE.raw
    assert client.ask("GET", "/docker.io/v2/rancher/mirrored-pause/manifests/3.6")[2] == body
    name = "registry.example.com:5000/rancher/mirrored-pause:3.6"
    assert made.layout.find(name) is not None
    listed = client.ask("GET", f"{other}/tags/list?n=1")
    assert json.loads(listed[2])["tags"] == ["3.6"]


def test_tag_can_be_deleted(client: Client) -> None:
    client.push("mirror/x", "v1")
    client.push("mirror/x", "v2")
    assert client.ask("DELETE", "/v2/mirror/x/manifests/v1")[0] == 202
    assert client.ask("GET", "/v2/mirror/x/manifests/v1")[0] == 404
    assert client.ask("DELETE", f"/v2/mirror/x/manifests/{MADE.digest}")[0] == 202
    assert client.ask("GET", "/v2/mirror/x/manifests/v2")[0] == 404
    assert client.ask("DELETE", "/v2/mirror/x/manifests/v2")[0] == 405
