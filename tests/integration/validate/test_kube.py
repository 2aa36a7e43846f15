"""The door to an API server, against one on loopback that answers as told."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from rke2pack.errors import NotFoundError, ToolError
from rke2pack.kube import Cluster, Named

CORE = {
    "resources": [
        {"name": "secrets", "kind": "Secret", "namespaced": True, "verbs": ["list"]},
        {"name": "secrets/status", "kind": "Secret", "namespaced": True, "verbs": ["get"]},
        {"name": "namespaces", "kind": "Namespace", "namespaced": False, "verbs": ["list"]},
    ]
}
SECRET: dict[str, Any] = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}
DEFINITION = {
    "spec": {
        "group": "example.com",
        "names": {"plural": "lamps"},
        "versions": [{"name": "v1", "served": True}, {"name": "v2", "served": False}],
    }
}


@dataclass(kw_only=True)
class Server:
    """``answers``: method and path -> status and document, the last one again and again."""

    answers: dict[str, list[tuple[int, object]]] = field(default_factory=dict)
    asked: list[tuple[str, str, Any]] = field(default_factory=list)
    types: list[str | None] = field(default_factory=list)

    def tell(self, what: str, *answers: tuple[int, object]) -> None:
        self.answers[what] = list(answers)


@pytest.fixture
def server() -> Server:
    return Server(answers={"GET /api/v1": [(200, CORE)]})


@pytest.fixture
def cluster(server: Server, tmp_path: Path) -> Iterator[Cluster]:
    class Handler(BaseHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            """Stay silent."""

        def _answer(self) -> None:
            length = int(self.headers["Content-Length"] or 0)
            body = json.loads(self.rfile.read(length)) if length else None
            server.asked.append((self.command, self.path, body))
            server.types.append(self.headers["Content-Type"])
            found = server.answers.get(f"{self.command} {self.path.partition('?')[0]}")
            status, document = found[0] if found else (404, {"message": "not there"})
            if found and len(found) > 1:
                found.pop(0)
            content = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = do_PATCH = _answer  # noqa: N815 - http.server's names

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        name = {"name": "x"}
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "x",
            "clusters": [
                {**name, "cluster": {"server": f"http://127.0.0.1:{http.server_address[1]}"}}
            ],
            "users": [{**name, "user": {}}],
            "contexts": [{**name, "context": {"cluster": "x", "user": "x"}}],
        }
        (tmp_path / "kubeconfig").write_text(json.dumps(config))
        made = Cluster.connect(tmp_path / "kubeconfig")
        yield made
        made.close()
        http.shutdown()


def test_object_is_asked_about_in_a_dry_run(cluster: Cluster, server: Server) -> None:
    server.tell("POST /api/v1/namespaces/here/secrets", (201, {}))
    assert cluster.refusal(SECRET, namespace="here") == ""
    path = "/api/v1/namespaces/here/secrets?dryRun=All"
    assert server.asked[-1] == ("POST", path, SECRET)


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (409, ""),
        (422, "/api/v1/namespaces/here/secrets?dryRun=All: the API server says 422: too long"),
        (404, "/api/v1/namespaces/here/secrets?dryRun=All: the API server says 404: too long"),
    ],
)
def test_refusal_is_told_in_the_servers_words(
    cluster: Cluster, server: Server, status: int, said: str
) -> None:
    server.tell("POST /api/v1/namespaces/here/secrets", (status, {"message": "too long"}))
    assert cluster.refusal(SECRET, namespace="here") == said


def test_kind_that_is_not_served_is_a_refusal(cluster: Cluster) -> None:
    lamp = {**SECRET, "apiVersion": "example.com/v1", "kind": "Lamp"}
    said = "example.com/v1 Lamp: the API server knows no such kind"
    assert cluster.refusal(lamp, namespace="here") == said
    with pytest.raises(ToolError, match=f"^{said}$"):
        cluster.create(lamp)


def test_server_that_fails_is_no_refusal(cluster: Cluster, server: Server) -> None:
    server.tell("POST /api/v1/namespaces/here/secrets", (500, {"message": "broken"}))
    with pytest.raises(ToolError, match="the API server says 500: broken"):
        cluster.refusal(SECRET, namespace="here")


def test_object_that_is_there_is_not_created_again(cluster: Cluster, server: Server) -> None:
    server.tell("POST /api/v1/namespaces/default/secrets", (201, {}), (409, {}))
    assert cluster.create(SECRET) is True
    assert cluster.create(SECRET) is False


def test_definitions_are_waited_for(cluster: Cluster, server: Server) -> None:
    listed = {"items": [DEFINITION]}
    server.tell("GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions", (200, listed))
    served = {"resources": [{"name": "lamps"}]}
    server.tell("GET /apis/example.com/v1", (404, {}), (200, {"resources": []}), (200, served))
    assert cluster.wait_defined(seconds=60)
    assert len([path for _, path, _ in server.asked if path == "/apis/example.com/v1"]) == 3


def test_definition_that_is_never_served_is_told(cluster: Cluster, server: Server) -> None:
    listed = {"items": [DEFINITION]}
    server.tell("GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions", (200, listed))
    assert not cluster.wait_defined(seconds=0)


def test_labels_are_merged_into_a_node(cluster: Cluster, server: Server) -> None:
    server.tell("PATCH /api/v1/nodes/n", (200, {}))
    cluster.label("n", {"role": "true"})
    body = {"metadata": {"labels": {"role": "true"}}}
    assert server.asked[-1] == ("PATCH", "/api/v1/nodes/n", body)
    assert server.types[-1] == "application/merge-patch+json"


def test_objects_of_all_kinds_and_pages_are_named(cluster: Cluster, server: Server) -> None:
    server.tell("GET /apis", (200, {"groups": []}))
    pages = (
        {"items": [{"metadata": {"name": "a", "namespace": "n", "uid": "1"}}],
         "metadata": {"continue": "more"}},
        {"items": [{"metadata": {"name": "b", "namespace": "n", "uid": "2"}}]},
    )  # fmt: skip
    server.tell("GET /api/v1/secrets", *((200, page) for page in pages))
    assert cluster.objects() == {
        Named(group="", kind="Secret", namespace="n", name="a", uid="1"),
        Named(group="", kind="Secret", namespace="n", name="b", uid="2"),
    }
    assert "/api/v1/secrets?limit=500&continue=more" in [path for _, path, _ in server.asked]


def test_what_is_not_there_is_told_apart(cluster: Cluster) -> None:
    with pytest.raises(NotFoundError, match="the API server says 404: not there"):
        cluster.get("/apis/none/v1")
