"""The node image without a cluster: its containerd takes archives, and then nothing else."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from rke2pack.errors import ToolError
from rke2pack.oci.intake import archivefile
from rke2pack.oci.platform import Platform
from rke2pack.oci.store.layout import Layout
from rke2pack.validate.kind.node import Node
from rke2pack.validate.kind.program import Kind
from tests.unit.oci.imaging import layer, put_image
from tests.unit.oci.packing import pack

IMAGE = "docker.io/example/app:v1"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    made = Layout.open(tmp_path / "store")
    put_image(made, IMAGE, [(layer({"a": b"a"}), "gzip")])
    return pack(made, tmp_path / "app.tar.zst", "default")


def test_node_takes_an_archive_and_tells_its_names(node: str, archive: Path) -> None:
    found = Node.find(node)
    before = found.images()
    assert found.load(archivefile.find(archive), found.platform()) == ""
    assert found.images() - before == {IMAGE}
    assert "registry.k8s.io/kube-apiserver:v1.32.5" in before


def test_node_says_why_it_does_not_take_an_archive(node: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.tar"
    path.write_bytes(bytes(10240))
    assert Node.find(node).load(archivefile.find(path), Platform.parse("linux/amd64"))


@contextlib.contextmanager
def registry(address: str) -> Iterator[tuple[str, list[str]]]:
    """A registry without images on the engine's host, and what it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            asked.append(self.path)
            self.send_error(404)

    with ThreadingHTTPServer((address, 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"{address}:{server.server_address[1]}", asked
        server.shutdown()


@pytest.fixture
def networked(node: str, docker: list[str]) -> Iterator[str]:
    """The node in a network of the engine; its gateway's address."""
    subprocess.run([*docker, "network", "create", "cut"], check=True)
    try:
        subprocess.run([*docker, "network", "disconnect", "none", node], check=True)
        subprocess.run([*docker, "network", "connect", "cut", node], check=True)
        route = Node.find(node).run("ip", "-4", "route", "show", "default").split()
        yield route[route.index("via") + 1]
    finally:
        subprocess.run([*docker, "network", "disconnect", "--force", "cut", node], check=True)
        subprocess.run([*docker, "network", "rm", "cut"], check=True)


def test_node_that_is_cut_off_reaches_nothing(node: str, networked: str) -> None:
    found = Node.find(node)
    assert found.tried("ip", "route", "get", "203.0.113.1")[0] == 0
    with registry(networked) as (host, asked):
        pull = ("ctr", "images", "pull", "--plain-http", f"{host}/a/b:v1")
        assert "not found" in found.tried(*pull)[2]
        assert asked
        asked.clear()
        said = found.cut_off()
        assert found.tried("ip", "route", "get", "203.0.113.1")[0]
        assert found.tried("ip", "-6", "route", "get", "2001:db8::1")[0]
        assert "no route to host" in found.tried(*pull)[2]
        assert not asked
    assert f"{networked}:5000: no route to host" in said
    assert "registry.example.com: no route to host" in said


def test_container_that_is_not_there_is_named(docker: list[str]) -> None:
    assert docker
    with pytest.raises(ToolError, match=r"^no-such-node: uname --machine: .*[Nn]o such container"):
        Node.find("no-such-node").platform()


def test_image_that_is_no_node_leaves_no_cluster(docker: list[str], tmp_path: Path) -> None:
    kind = Kind.find("kind")
    subprocess.run([*docker, "import", "--change", 'CMD ["/none"]', "-", "empty:1"],
                   check=True, input=bytes(10240))  # fmt: skip
    before = kind.clusters()
    with (
        pytest.raises(ToolError, match=r"^rke2pack-row-1-[0-9a-f]{6}: no cluster from empty:1: "),
        kind.cluster("row.1", "empty:1", tmp_path, keep=False),
    ):
        pytest.fail("a cluster without a program")
    assert kind.clusters() == before
    asked = [*docker, "ps", "--all", "--quiet", "--filter", "name=rke2pack-row-1"]
    assert not subprocess.run(asked, check=True, capture_output=True).stdout
