"""A registry that answers with too much, and a process that may have little."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2pack.errors import RegistryError
from rke2pack.oci.registry import wire
from rke2pack.oci.registry.client import Registry
from tests.contract.oci import images
from tests.contract.oci.images import AMD64
from tests.contract.oci.simulator import Simulator
from tests.contract.oci.test_heads import FIRST, GOOD, answer, client, scripted

IMAGES = 70
PROJECT = Path(__file__).parents[3]


def headed(*lines: str, body: bytes = b"{}") -> bytes:
    head = "".join(f"{line}\r\n" for line in ("HTTP/1.1 200 OK", *lines))
    return f"{head}\r\n".encode("latin-1") + body


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(
    "lines",
    [
        [f"X-{number}: x" for number in range(1000)],
        ["X-Long: " + "x" * 200_000],
    ],
    ids=["many", "long"],
)
def test_headers_have_a_ceiling(monkeypatch: pytest.MonkeyPatch, lines: list[str]) -> None:
    monkeypatch.setattr(wire, "_ATTEMPTS", 1)
    with scripted([headed(*lines)] * 2) as (host, _), pytest.raises(RegistryError):
        client(host).get_manifest("a/b", "v1")


@pytest.mark.parametrize("length", ["\u00b2", "9" * 5000, "-7", "7, 7", "x"])
def test_length_that_is_no_number_is_none(length: str) -> None:
    digest = f"Docker-Content-Digest: {FIRST}"
    head = headed(digest, f"Content-Length: {length}", "Connection: close", body=b"")
    with scripted([head, answer(GOOD)]) as (host, _):
        registry = client(host)
        found = registry.head_manifest("a/b", "v1")
        assert (found.digest, found.size) == (FIRST, None)


def read(registry: Registry) -> str:
    with pytest.raises(RegistryError) as caught:
        registry.get_manifest("a/b", "v1")
    return str(caught.value)


@pytest.mark.usefixtures("waits")
@pytest.mark.parametrize(
    "wait",
    ["\x1f0", "\u00b2", "9" * 5000, "2 Oct 0 " + "6" * 100 + ":0", "1 Jan 0001 00:00:00 +2359"],
)
def test_wait_that_is_none_is_passed_over(monkeypatch: pytest.MonkeyPatch, wait: str) -> None:
    monkeypatch.setattr(wire, "_ATTEMPTS", 1)
    busy = headed(f"Retry-After: {wait}", "Content-Length: 2").replace(b"200 OK", b"429 Slow")
    with scripted([busy] * 2) as (host, _):
        assert "429" in read(client(host))


@pytest.fixture
def pull(registry: Simulator, tmp_path: Path) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Pull 70 images in a process of its own that may have so many files open."""
    names = [f"rancher/image-{number}" for number in range(IMAGES)]
    for number, name in enumerate(names):
        made = images.manifest(AMD64, [b"layer %d" % number, b"more %d" % number])
        registry.push(name, made, "v1")
    references = [f"docker.io/{name}:v1" for name in names]

    def call(limit: str, *options: str) -> subprocess.CompletedProcess[str]:
        program = (sys.executable, "-m", "tests.contract.oci.runner", "pull", *references)
        own = ("--store", str(tmp_path / "store"), "--cache-dir", str(tmp_path / "cache"))
        place = ("--endpoint", f"docker.io=http://{registry.host}", "--platform", "linux/amd64")
        return subprocess.run(
            ("sh", "-c", f'ulimit {limit} && exec "$@"', "sh", *program, *own, *place, *options),
            cwd=PROJECT,
            env={**os.environ, "PYTHONPATH": f"{PROJECT}{os.pathsep}{PROJECT / 'build'}"},
            capture_output=True,
            text=True,
            check=False,
        )

    return call


def test_64_transfers_raise_the_limit_of_files_where_they_may(
    pull: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = pull("-S -n 256", "--jobs", "64")
    assert done.returncode == 0, done.stderr


def test_64_transfers_are_refused_where_256_files_are_all(
    pull: Callable[..., subprocess.CompletedProcess[str]],
) -> None:
    done = pull("-n 256", "--jobs", "64")
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "error: --jobs 64: needs 448 open files, this process may have 256",
        "hint: pass --jobs 32, or allow more with 'ulimit -n 448'",
    ]
    done = pull("-n 256", "--jobs", "32")
    assert done.returncode == 0, done.stderr
