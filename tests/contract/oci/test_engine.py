"""Images of a docker engine, spoken to over its HTTP interface."""

from __future__ import annotations

import http.server
import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

from rke2pack.digest import Digest
from rke2pack.oci.store.layout import Layout
from tests.contract.oci.runner import Answer, listing, run
from tests.unit.oci.saving import LAYERS, config, saved, tar

NAME = "docker.io/rancher/rke2-runtime:v1"


@dataclass(kw_only=True)
class Docker:
    """An engine with one image; ``cut`` ends its export early."""

    host: str = ""
    identity: str = f"sha256:{Digest.of(config(*LAYERS)).hex}"
    archive: bytes = field(default_factory=lambda: tar(saved(*LAYERS)))
    cut: int | None = None
    status: int = 200
    paths: list[str] = field(default_factory=list)


class _Handler(http.server.BaseHTTPRequestHandler):
    engine: Docker

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.engine.paths.append(path)
        if path.endswith("/version"):
            self._send(200, json.dumps({"ApiVersion": "1.43"}).encode())
        elif self.engine.status != 200:
            self._send(self.engine.status, b'{"message": "disk\\nfull"}')
        elif path.endswith(f"/images/{NAME}/json"):
            self._send(200, json.dumps({"Id": self.engine.identity}).encode())
        elif path.endswith(f"/images/{NAME}/get"):
            self._send(200, self.engine.archive)
        else:
            self._send(404, b'{"message": "No such image"}')

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        is_export = len(body) == len(self.engine.archive)
        self.wfile.write(body[: self.engine.cut] if is_export else body)


@pytest.fixture
def docker() -> Iterator[Docker]:
    engine = Docker()
    handler = type("Handler", (_Handler,), {"engine": engine})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        engine.host = f"tcp://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield engine
        server.shutdown()
        thread.join()


def pull(docker: Docker, tmp_path: Path, *more: str, name: str = NAME) -> Answer:
    arguments = ["pull", name, "--from-engine", "rancher/rke2-*", "--tree", str(tmp_path)]
    own = ["--cache-dir", str(tmp_path / "cache"), "--json"]
    return run([*arguments, *own, *more], {"DOCKER_HOST": docker.host})


def test_image_is_taken_in_once(docker: Docker, tmp_path: Path) -> None:
    answer = pull(docker, tmp_path, "--platform", "linux/amd64")
    assert answer.code == 0, answer.err
    image = answer.json["images"][0]
    assert (image["status"], image["platforms"]) == ("copied", ["linux/amd64"])
    store = Layout.open(tmp_path / "cache/store")
    found = store.find(NAME)
    assert found is not None
    assert image["digest"] == str(found.digest)
    assert all(store.path(Digest.of(layer)).read_bytes() == layer for layer in LAYERS)
    before = listing(store.root)
    docker.paths.clear()
    again = pull(docker, tmp_path)
    assert again.json["images"][0]["status"] == "present"
    assert not [path for path in docker.paths if path.endswith("/get")]
    assert listing(store.root) == before


def test_rebuilt_image_is_taken_in_anew(docker: Docker, tmp_path: Path) -> None:
    first = pull(docker, tmp_path).json["images"][0]
    layers = (*LAYERS, b"third")
    docker.identity = f"sha256:{Digest.of(config(*layers)).hex}"
    docker.archive = tar(saved(*layers))
    second = pull(docker, tmp_path).json["images"][0]
    assert second["status"] == "copied"
    assert first["digest"] != second["digest"]


def test_dry_run_exports_nothing(docker: Docker, tmp_path: Path) -> None:
    answer = pull(docker, tmp_path, "--dry-run")
    assert answer.json["images"][0]["status"] == "planned"
    assert not [path for path in docker.paths if path.endswith("/get")]
    assert not (tmp_path / "cache").exists()


def test_other_platform_is_an_error(docker: Docker, tmp_path: Path) -> None:
    answer = pull(docker, tmp_path, "--platform", "linux/arm64")
    assert answer.code == 4
    assert "the docker engine has it for linux/amd64, not for linux/arm64" in answer.err


def test_missing_image_is_named(docker: Docker, tmp_path: Path) -> None:
    answer = pull(docker, tmp_path, name="docker.io/rancher/rke2-other:v1")
    assert answer.code == 4
    assert "docker.io/rancher/rke2-other:v1: the docker engine has no such image" in answer.err


@pytest.mark.parametrize("cut", [4000, 2_500_000, 6_000_000])
def test_broken_export_leaves_nothing(docker: Docker, tmp_path: Path, cut: int) -> None:
    layers = (bytes(7_000_000), b"two")
    docker.identity = f"sha256:{Digest.of(config(*layers)).hex}"
    docker.archive, docker.cut = tar(saved(*layers)), cut
    answer = pull(docker, tmp_path)
    assert answer.code == 6
    store = tmp_path / "cache/store"
    assert list((store / "blobs/sha256").iterdir()) == []
    assert list(store.glob("partial/*")) == []
    docker.cut = None
    assert pull(docker, tmp_path).code == 0


def test_engine_s_own_words_are_shown_in_one_line(docker: Docker, tmp_path: Path) -> None:
    docker.status = 500
    answer = pull(docker, tmp_path)
    assert answer.code == 6
    assert f"error: {NAME}: the docker engine says: disk full" in answer.err


def test_engine_that_is_not_there_is_named(docker: Docker, tmp_path: Path) -> None:
    docker.host = "tcp://127.0.0.1:1"
    answer = pull(docker, tmp_path)
    assert answer.code == 6
    assert "the docker engine cannot be reached" in answer.err
    assert "hint: start it, or name it with DOCKER_HOST" in answer.err
