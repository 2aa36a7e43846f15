from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest

from rke2pack.digest import Digest
from rke2pack.oci import media
from rke2pack.oci.server import RegistryServer
from rke2pack.oci.store.layout import Layout
from rke2pack.serving.message import Answer, FilePart, Request
from tests.contract.oci import images
from tests.contract.oci.images import AMD64, Made

ALPHA, BETA = images.multi(1), images.multi(2)
OTHER = images.manifest(AMD64, [b"other host's"], is_docker=True)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    names = {
        "docker.io/rancher/alpha:v1": ALPHA,
        "docker.io/rancher/alpha:v2": BETA,
        "docker.io/rancher/beta:v1": BETA,
        "registry.example.com/rancher/alpha:v1": OTHER,
        "registry.example.com/team/own:v1": OTHER,
        "registry.example.com:5000/team/own:v9": ALPHA,
    }
    return images.write(tmp_path / "store", names)


@pytest.fixture
def registry(layout: Layout) -> RegistryServer:
    return RegistryServer(layout)


def ask(
    registry: RegistryServer,
    path: str,
    query: Mapping[str, str] | None = None,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
) -> Answer:
    request = Request(method=method, path=path, query=query or {}, headers=headers or {})
    return registry(request)


def body(answer: Answer) -> bytes:
    if isinstance(answer.body, bytes):
        return answer.body
    with answer.body.handle as handle:
        handle.seek(answer.body.start)
        return handle.read(len(answer.body))


def read(answer: Answer) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(body(answer))
    return found


def failure(answer: Answer) -> tuple[int, str]:
    (error,) = read(answer)["errors"]
    assert error["message"]
    return answer.status, error["code"]


@pytest.mark.parametrize("path", ["/v2", "/v2/"])
def test_it_speaks_version_2(registry: RegistryServer, path: str) -> None:
    reply = ask(registry, path)
    assert (reply.status, read(reply)) == (HTTPStatus.OK, {})
    assert reply.headers["Docker-Distribution-Api-Version"] == "registry/2.0"


@pytest.mark.parametrize("name", ["v1", str(ALPHA.digest)])
def test_manifest_is_given_as_it_is(registry: RegistryServer, name: str) -> None:
    reply = ask(registry, f"/v2/rancher/alpha/manifests/{name}")
    assert (reply.status, reply.body) == (HTTPStatus.OK, ALPHA.raw)
    assert reply.headers["Content-Type"] == ALPHA.media_type
    assert reply.headers["Docker-Content-Digest"] == str(ALPHA.digest)
    assert reply.headers["ETag"] == f'"{ALPHA.digest}"'


def test_child_manifests_and_blobs_of_an_image_are_there(registry: RegistryServer) -> None:
    for child in ALPHA.children:
        reply = ask(registry, f"/v2/rancher/alpha/manifests/{child.digest}")
        assert (reply.status, reply.body) == (HTTPStatus.OK, child.raw)
        for digest, data in child.blobs.items():
            found = ask(registry, f"/v2/rancher/alpha/blobs/{digest}")
            assert isinstance(found.body, FilePart)
            assert body(found) == data
            assert found.headers["Docker-Content-Digest"] == str(digest)


def test_blobs_of_other_repositories_are_not(registry: RegistryServer) -> None:
    own = set(BETA.all_blobs) - set(ALPHA.all_blobs)
    other = next(iter(set(OTHER.all_blobs)))
    assert own
    for path in (
        f"/v2/rancher/beta/blobs/{other}",
        f"/v2/rancher/beta/blobs/{next(iter(set(ALPHA.all_blobs) - set(BETA.all_blobs)))}",
        f"/v2/rancher/alpha/blobs/{ALPHA.digest}",
        f"/v2/rancher/alpha/blobs/sha256:{'0' * 64}",
    ):
        assert failure(ask(registry, path)) == (404, "BLOB_UNKNOWN")


def test_manifests_of_other_repositories_are_not(registry: RegistryServer) -> None:
    reply = ask(registry, f"/v2/rancher/beta/manifests/{ALPHA.digest}")
    assert failure(reply) == (404, "MANIFEST_UNKNOWN")


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/v2/rancher/alpha/manifests/v3", 404, "MANIFEST_UNKNOWN"),
        ("/v2/rancher/gamma/manifests/v1", 404, "NAME_UNKNOWN"),
        ("/v2/rancher/gamma/tags/list", 404, "NAME_UNKNOWN"),
        ("/v2/rancher/alpha/manifests/sha256:12", 400, "DIGEST_INVALID"),
        ("/v2/rancher/alpha/manifests/sha512:12", 400, "DIGEST_INVALID"),
        (f"/v2/rancher/alpha/blobs/{'0' * 64}", 400, "DIGEST_INVALID"),
        ("/v2/rancher/alpha/blobs/v1", 400, "DIGEST_INVALID"),
        ("/v2/rancher/alpha/manifests/", 404, "NAME_INVALID"),
        ("/v2/rancher/alpha/manifests/.hidden", 404, "NAME_INVALID"),
        ("/v2/rancher/alpha/tags/other", 404, "NAME_INVALID"),
        ("/v2/Rancher/alpha/manifests/v1", 404, "NAME_INVALID"),
        ("/v2/../../etc/passwd", 404, "NAME_INVALID"),
        ("/v2/a/../../b/blobs/x", 404, "NAME_UNKNOWN"),
        ("/v2/rancher/alpha/blobs/../../index.json", 404, "NAME_INVALID"),
        (f"/v2/{'a' * 300}/manifests/v1", 404, "NAME_INVALID"),
        ("/v2/\0/manifests/v1", 404, "NAME_INVALID"),
    ],
)
def test_what_is_not_there_is_said_in_the_registrys_form(
    registry: RegistryServer, path: str, status: int, code: str
) -> None:
    assert failure(ask(registry, path)) == (status, code)


@pytest.mark.parametrize("method", ["PUT", "POST", "PATCH", "DELETE", "OPTIONS"])
@pytest.mark.parametrize(
    "path", ["/v2/", "/v2/rancher/alpha/blobs/uploads/", "/v2/rancher/alpha/manifests/v1"]
)
def test_nothing_can_be_written(registry: RegistryServer, method: str, path: str) -> None:
    reply = ask(registry, path, method=method)
    assert failure(reply) == (405, "UNSUPPORTED")
    assert reply.headers["Allow"] == "GET, HEAD"


# ---- hosts


def test_the_asker_says_which_host_is_meant(registry: RegistryServer) -> None:
    path = "/v2/rancher/alpha/manifests/v1"
    for query, made in (
        ({}, ALPHA),
        ({"ns": "docker.io"}, ALPHA),
        ({"ns": "registry.example.com"}, OTHER),
    ):
        assert ask(registry, path, query).body == made.raw
    assert failure(ask(registry, path, {"ns": "quay.example.com"})) == (404, "NAME_UNKNOWN")


def test_other_hosts_paths_need_no_host(registry: RegistryServer) -> None:
    reply = ask(registry, "/v2/team/own/manifests/v1")
    assert reply.body == OTHER.raw
    port = ask(registry, "/v2/team/own/manifests/v9", {"ns": "registry.example.com:5000"})
    assert port.body == ALPHA.raw


def test_host_may_begin_the_path(registry: RegistryServer) -> None:
    assert ask(registry, "/v2/registry.example.com/rancher/alpha/manifests/v1").body == OTHER.raw
    assert ask(registry, "/v2/docker.io/rancher/alpha/manifests/v1").body == ALPHA.raw


# ---- lists


def test_catalog_has_every_path_once(registry: RegistryServer) -> None:
    every = ["rancher/alpha", "rancher/beta", "team/own"]
    assert read(ask(registry, "/v2/_catalog")) == {"repositories": every}
    own = read(ask(registry, "/v2/_catalog", {"ns": "registry.example.com"}))
    assert own == {"repositories": ["rancher/alpha", "team/own"]}


def test_lists_come_in_pages(registry: RegistryServer) -> None:
    first = ask(registry, "/v2/rancher/alpha/tags/list", {"n": "1", "ns": "docker.io"})
    assert read(first) == {"name": "rancher/alpha", "tags": ["v1"]}
    assert first.headers["Link"] == (
        '</v2/rancher/alpha/tags/list?n=1&last=v1&ns=docker.io>; rel="next"'
    )
    last = ask(registry, "/v2/rancher/alpha/tags/list", {"n": "1", "last": "v1"})
    assert read(last)["tags"] == ["v2"]
    assert "Link" not in last.headers
    beyond = ask(registry, "/v2/rancher/alpha/tags/list", {"last": "v2"})
    assert read(beyond)["tags"] == []


def test_a_page_of_none_has_no_next(registry: RegistryServer) -> None:
    reply = ask(registry, "/v2/_catalog", {"n": "0"})
    assert read(reply) == {"repositories": []}
    assert "Link" not in reply.headers


@pytest.mark.parametrize("number", ["-1", "x", "1.5", "9" * 20, "\u0661"])
def test_page_of_no_number_is_an_error(registry: RegistryServer, number: str) -> None:
    reply = ask(registry, "/v2/_catalog", {"n": number})
    assert failure(reply) == (400, "PAGINATION_NUMBER_INVALID")


# ---- referrers


def referring(to: Made, kind: str) -> Made:
    subject = {"subject": to.descriptor.to_json(), "artifactType": kind}
    return images.manifest(AMD64, [kind.encode()], extra={**subject, "annotations": {"a": "b"}})


def test_referrers_of_an_image_are_found(layout: Layout, tmp_path: Path) -> None:
    signature, report = referring(ALPHA, "example/signature"), referring(ALPHA, "example/report")
    names = {
        f"docker.io/rancher/alpha@{signature.digest}": signature,
        f"docker.io/rancher/alpha@{report.digest}": report,
        "registry.example.com/rancher/alpha:elsewhere": referring(ALPHA, "example/other"),
    }
    images.write(tmp_path / "store", names)
    registry = RegistryServer(layout)
    place = f"/v2/rancher/alpha/referrers/{ALPHA.digest}"
    every = ask(registry, place)
    assert every.headers["Content-Type"] == media.OCI_INDEX
    assert {each["digest"] for each in read(every)["manifests"]} == {
        str(signature.digest),
        str(report.digest),
    }
    one = ask(registry, place, {"artifactType": "example/report"})
    assert one.headers["OCI-Filters-Applied"] == "artifactType"
    assert read(one)["manifests"] == [
        {
            **report.descriptor.to_json(),
            "artifactType": "example/report",
            "annotations": {"a": "b"},
        }
    ]


@pytest.mark.parametrize("path", ["rancher/alpha", "rancher/gamma"])
def test_no_referrers_is_an_empty_index(registry: RegistryServer, path: str) -> None:
    reply = ask(registry, f"/v2/{path}/referrers/sha256:{'0' * 64}")
    assert (reply.status, read(reply)["manifests"]) == (HTTPStatus.OK, [])
    assert failure(ask(registry, "/v2/rancher/alpha/referrers/v1")) == (400, "DIGEST_INVALID")


# ---- a store that changes


def test_names_that_come_while_it_runs_are_served(registry: RegistryServer, layout: Layout) -> None:
    assert ask(registry, "/v2/rancher/new/manifests/v1").status == 404
    layout.tag({"docker.io/rancher/new:v1": ALPHA.descriptor})
    assert ask(registry, "/v2/rancher/new/manifests/v1").body == ALPHA.raw
    layout.untag(frozenset({"docker.io/rancher/new:v1"}))
    assert ask(registry, "/v2/rancher/new/manifests/v1").status == 404


def test_platform_that_comes_later_is_served(tmp_path: Path) -> None:
    layout = Layout.open(tmp_path / "store")
    layout.put(ALPHA.raw)
    layout.tag({"docker.io/rancher/alpha:v1": ALPHA.descriptor})
    registry = RegistryServer(layout)
    child = ALPHA.children[1]
    digest, data = next(iter(child.blobs.items()))
    assert failure(ask(registry, f"/v2/rancher/alpha/manifests/{child.digest}"))[0] == 404
    assert failure(ask(registry, f"/v2/rancher/alpha/blobs/{digest}"))[0] == 404
    layout.put(child.raw)
    assert failure(ask(registry, f"/v2/rancher/alpha/blobs/{digest}"))[0] == 404
    layout.put(data)
    assert ask(registry, f"/v2/rancher/alpha/manifests/{child.digest}").body == child.raw
    assert body(ask(registry, f"/v2/rancher/alpha/blobs/{digest}")) == data


def test_damaged_manifest_is_an_error_and_never_given(
    registry: RegistryServer, layout: Layout
) -> None:
    layout.path(ALPHA.digest).write_bytes(b"{" + ALPHA.raw[1:-1] + b"]")
    reply = ask(registry, "/v2/rancher/alpha/manifests/v1")
    assert failure(reply) == (500, "UNKNOWN")
    assert ask(registry, "/v2/rancher/beta/manifests/v1").body == BETA.raw


def test_cut_blob_is_not_there(registry: RegistryServer, layout: Layout) -> None:
    digest = next(iter(ALPHA.children[0].blobs))
    layout.path(digest).write_bytes(b"")
    reply = ask(registry, f"/v2/rancher/alpha/blobs/{digest}")
    assert failure(reply) == (404, "BLOB_UNKNOWN")


def test_manifest_that_is_gone_is_not_there(registry: RegistryServer, layout: Layout) -> None:
    layout.drop(ALPHA.digest)
    reply = ask(registry, "/v2/rancher/alpha/manifests/v1")
    assert failure(reply) == (404, "MANIFEST_UNKNOWN")


def test_names_that_no_registry_has_are_left_out(tmp_path: Path) -> None:
    names = {"Not A Name": ALPHA, "docker.io/rancher/alpha": ALPHA, "docker.io/a/b:v1": ALPHA}
    layout = images.write(tmp_path / "store", names)
    catalog = RegistryServer(layout).catalog
    assert catalog.unnamed == ("Not A Name", "docker.io/rancher/alpha")
    assert catalog.paths() == ["a/b"]


def test_empty_store_has_nothing(tmp_path: Path) -> None:
    registry = RegistryServer(Layout.open(tmp_path / "store"))
    assert read(ask(registry, "/v2/_catalog")) == {"repositories": []}
    assert failure(ask(registry, "/v2/a/blobs/" + str(Digest.of(b""))))[0] == 404
