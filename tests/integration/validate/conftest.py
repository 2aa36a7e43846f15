"""Programs and an API server that behave as level kind meets them, where the real are too slow.

The programs kind, docker and helm are one script. What they do is told by files of a folder,
so that processes and threads of a run see the same cluster.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final

import pytest

from tests.kind.node import imagefile
from tests.kind.node.imagefile import Image
from tests.unit.stages.conftest import chart, write_repository, write_tree

KUBERNETES: Final = "v1.32.5"
IMAGE: Final = "docker.io/example/stays:v1"
ROWS: Final = ("first", "second")
ENDING: Final = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_VERSION: Final = {
    "gitVersion": KUBERNETES,
    "ApiVersion": "1.41",
    "Version": "20.10.24",
    "Os": "linux",
}
_KINDS: Final = {
    "/api/v1": {"pods": "Pod", "events": "Event", "secrets": "Secret", "namespaces": "Namespace"},
    "/apis/apps/v1": {"deployments": "Deployment"},
}


@dataclass(kw_only=True)
class Fakes:
    """A folder with the programs, what they find, and what they did."""

    folder: Path
    address: str = ""
    asked: list[tuple[str, Any]] = field(default_factory=list)
    processes: list[subprocess.Popen[str]] = field(default_factory=list)

    def tell(self, what: str, text: str = "") -> None:
        """Make the programs behave otherwise."""
        (self.folder / what).write_text(text)

    @property
    def clusters(self) -> frozenset[str]:
        """Names of the clusters that are there."""
        return frozenset(path.name for path in (self.folder / "clusters").iterdir())

    @property
    def calls(self) -> list[str]:
        """Every call of a program."""
        path = self.folder / "calls"
        return path.read_text().splitlines() if path.exists() else []

    def remove(self, program: str) -> None:
        """Take a program away."""
        (self.folder / "bin" / program).unlink()

    def pods(self, cluster: str = "*") -> list[dict[str, Any]]:
        """Return the pods of a cluster, or of all."""
        found = sorted(self.folder.glob(f"pods-{cluster}"))
        return [pod for path in found if not path.suffix for pod in json.loads(path.read_text())]


class _Handler(BaseHTTPRequestHandler):
    fakes: Fakes

    def log_message(self, *_: object) -> None:
        """Stay silent."""

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        cluster = path.split("/")[1]
        if cluster.startswith("rke2pack-"):
            path = path.removeprefix(f"/{cluster}")
        self._answer(json.dumps(self._found(path, cluster)).encode())

    def do_POST(self) -> None:
        given = self.rfile.read(int(self.headers["Content-Length"]))
        self.fakes.asked.append((self.path.partition("/api/")[2], json.loads(given)))
        refused = "dryRun" in self.path and b"refused" in given
        self._answer(b'{"message": "too long"}' if refused else b"{}", 422 if refused else 200)

    def do_PATCH(self) -> None:
        self.do_POST()

    def _answer(self, content: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _found(self, path: str, cluster: str) -> object:
        if path.endswith("/version"):
            told = self.fakes.folder / "version"
            return {**_VERSION, **({"gitVersion": told.read_text()} if told.exists() else {})}
        if path == "/apis":
            return {"groups": [{"name": "apps", "preferredVersion": {"groupVersion": "apps/v1"}}]}
        if path in _KINDS:
            return {
                "resources": [
                    {
                        "name": plural,
                        "kind": kind,
                        "namespaced": kind != "Namespace",
                        "verbs": ["list"],
                    }
                    for plural, kind in _KINDS[path].items()
                ]
            }
        return {"items": self.fakes.pods(cluster) if path.endswith("/pods") else []}


@pytest.fixture
def fakes(tmp_path: Path) -> Iterator[Fakes]:
    """The programs, and the server; at the end no process of a test is left."""
    made = Fakes(folder=tmp_path / "fakes")
    for name in ("bin", "clusters"):
        (made.folder / name).mkdir(parents=True)
    script = Path(__file__).with_name("fakeprograms.py").read_text()
    for name in ("kind", "docker", "helm"):
        program = made.folder / "bin" / name
        program.write_text(f"#!{sys.executable}\n{script}")
        program.chmod(0o755)
    handler = type("Handler", (_Handler,), {"fakes": made})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        made.address = f"127.0.0.1:{server.server_address[1]}"
        made.tell("address", made.address)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield made
        finally:
            for process in made.processes:
                process.kill()
                process.wait()
            server.shutdown()


@dataclass(frozen=True, kw_only=True)
class Bench:
    """A tree with charts of every fate, and how to validate it."""

    fakes: Fakes
    tree: Path
    charts: Path
    archive: Path
    cache: Path

    def start(
        self, *more: str, heeds: tuple[signal.Signals, ...] = ENDING
    ) -> subprocess.Popen[str]:
        """Begin a validation in a process of its own, which heeds signals that ours may ignore."""
        command = [
            *(sys.executable, "-m", "rke2pack", "validate", "--level", "kind", str(self.archive)),
            *("--tree", str(self.tree), "--charts-repo", str(self.charts)),
            *("--cache-dir", str(self.cache), *more),
        ]
        environment = {
            **os.environ,
            "PATH": str(self.fakes.folder / "bin"),
            "DOCKER_HOST": f"tcp://{self.fakes.address}",
        }
        before = {number: signal.signal(number, signal.default_int_handler) for number in heeds}
        process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for number, handler in before.items():
            signal.signal(number, handler)
        self.fakes.processes.append(process)
        return process

    def validate(self, *more: str) -> tuple[int, str, str]:
        """Run one to its end; return exit code, stdout and stderr."""
        process = self.start(*more)
        out, err = process.communicate(timeout=200)
        return process.returncode, out, err


@pytest.fixture
def bench(fakes: Fakes, tmp_path: Path) -> Bench:
    """Charts that become ready, that crash for ever, that hang, and that another is held up by."""
    charts = {name: chart(name, "1.0.000") for name in ("good", "crashes", "hangs")}
    charts["defined"] = chart("defined", "1.0.000")
    charts["defined-crd"] = chart("defined-crd", "1.0.000")
    write_repository(tmp_path / "charts", *charts.values())
    tree = write_tree(tmp_path / "tree", dict.fromkeys(charts, "1.0.000"), kube=KUBERNETES)
    rows = [{"name": name, "rke2": f"{KUBERNETES}+rke2r1"} for name in ROWS]
    (tree / "charts-manifest/support-matrix.yaml").write_text(json.dumps({"rows": rows}))
    program = tmp_path / "program"
    program.write_bytes(b"a program")
    layer = imagefile.layer(tmp_path / "layer.tar", {"bin/stays": program})
    archive = tmp_path / "stays.linux-amd64.tar"
    imagefile.write(archive, [Image(name=IMAGE, layer=layer)])
    return Bench(
        fakes=fakes,
        tree=tree,
        charts=tmp_path / "charts",
        archive=archive,
        cache=tmp_path / "cache",
    )
