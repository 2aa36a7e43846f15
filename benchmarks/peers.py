"""The programs that rke2pack is measured beside, and how a run is measured."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

CRANE = "github.com/google/go-containerregistry/cmd/crane@v0.20.6"
WATCH = """
import os, sys, time
started = time.perf_counter()
child = os.posix_spawnp(sys.argv[1], sys.argv[1:], os.environ, file_actions=[
    (os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)])
_, status, usage = os.wait4(child, 0)
print(time.perf_counter() - started, usage.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""
PROGRAM = [sys.executable, "-m", "rke2pack"]
_MEGABYTE = 1_000_000


@dataclass(frozen=True, kw_only=True)
class Run:
    """What a command took."""

    seconds: float
    megabytes: int

    @classmethod
    def nothing(cls) -> Run:
        """Return the run of a step that is left out."""
        return cls(seconds=0.0, megabytes=0)

    def __add__(self, other: Run) -> Run:
        """Return one after the other."""
        return Run(
            seconds=self.seconds + other.seconds, megabytes=max(self.megabytes, other.megabytes)
        )


def timed(command: Sequence[str | Path]) -> Run:
    """Run a command; return its wall time and its largest memory."""
    # A child's figure begins with its parent's size, so a small process stands between.
    watched = [sys.executable, "-c", WATCH, *map(str, command)]
    done = subprocess.run(watched, check=False, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"{command[0]}: ended with {done.returncode}")
    seconds, kilobytes = done.stdout.split()
    return Run(seconds=float(seconds), megabytes=int(kilobytes) * 1024 // _MEGABYTE)


def crane(folder: Path) -> Path | None:
    """Return crane, built by Go where it is not on PATH; None without both."""
    found = shutil.which("crane")
    if found or not shutil.which("go"):
        return Path(found) if found else None
    environment = {**os.environ, "GOBIN": str(folder)}
    subprocess.run(["go", "install", CRANE], env=environment, check=True)
    return folder / "crane"


@contextlib.contextmanager
def registry(root: Path) -> Iterator[str]:
    """Run an empty docker-registry for the length of a block; give its address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        host = f"127.0.0.1:{probe.getsockname()[1]}"
    root.mkdir()
    settings = {
        "version": 0.1,
        "log": {"level": "error", "accesslog": {"disabled": True}},
        "storage": {"filesystem": {"rootdirectory": str(root / "data")}},
        "http": {"addr": host},
    }
    (root / "config.yml").write_text(json.dumps(settings))
    command = ["docker-registry", "serve", str(root / "config.yml")]
    with daemon(command, root / "log"):
        wait_for(host)
        yield host


@contextlib.contextmanager
def docker(root: Path) -> Iterator[list[str] | None]:
    """Run a docker engine for the length of a block; give its client, None without one."""
    if os.geteuid() != 0 or not shutil.which("dockerd"):
        yield None
        return
    root.mkdir()
    host = f"unix://{root}/d.sock"
    command = [
        *("dockerd", "--host", host, "--data-root", f"{root}/data", "--exec-root", f"{root}/exec"),
        *("--pidfile", f"{root}/pid", "--iptables=false", "--ip6tables=false", "--bridge=none"),
    ]
    client = ["docker", "--host", host]
    with daemon(command, root / "log"):
        for _ in range(300):
            if subprocess.run([*client, "info"], capture_output=True, check=False).returncode == 0:
                break
            time.sleep(0.1)
        yield client


@contextlib.contextmanager
def daemon(command: Sequence[str], log: Path) -> Iterator[None]:
    """Run a program for the length of a block."""
    with log.open("wb") as handle:
        process = subprocess.Popen(command, stdout=handle, stderr=handle)
        try:
            yield
        finally:
            process.terminate()
            process.wait()


def wait_for(host: str) -> None:
    """Wait until a registry answers."""
    for _ in range(200):
        connection = http.client.HTTPConnection(host)
        with contextlib.closing(connection), contextlib.suppress(OSError):
            connection.request("GET", "/v2/")
            connection.getresponse().read()
            return
        time.sleep(0.05)
    sys.exit(f"{host}: docker-registry does not answer")
