"""The lab's images run: docker pulls one from ``serve --lab``, starts it and stops it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.integration.archives.conftest import Consumer
from tests.integration.serving.conftest import serving

CNI = "rancher/hardened-cni-plugins"


@pytest.fixture
def image(project: Path, tmp_path: Path, docker: Consumer) -> str:
    """Pull one of the lab's images."""
    shutil.copytree(project / "charts-manifest", tmp_path / "charts-manifest")
    shutil.copyfile(project / "images.txt", tmp_path / "images.txt")
    lines = (tmp_path / "images.txt").read_text().splitlines()
    tag = next(line.rpartition(":")[2] for line in lines if CNI in line)
    with serving("--lab", "--tree", tmp_path) as host:
        docker.run("pull", f"{host}/{CNI}:{tag}")
        return f"{host}/{CNI}:{tag}"


def test_container_runs_until_it_is_stopped(image: str, docker: Consumer) -> None:
    name = docker.run("run", "--detach", "--network", "none", image).strip()
    running = docker.run("inspect", "--format", "{{.State.Running}}", name).strip()
    docker.run("stop", "--time", "60", name)
    code = docker.run("inspect", "--format", "{{.State.ExitCode}}", name).strip()
    docker.run("rm", name)
    # Code 0, not 137: it has ended on SIGTERM, as the first process of its container.
    assert (running, code) == ("true", "0")


def test_container_that_is_to_end_does(image: str, docker: Consumer) -> None:
    done = docker.tried("run", "--rm", "--network", "none", image, "once")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr


def test_image_tells_its_name(image: str, docker: Consumer, tmp_path: Path) -> None:
    name = docker.run("create", image).strip()
    docker.run("cp", f"{name}:/etc/lab-image", tmp_path / "lab-image")
    docker.run("rm", name)
    path = image.partition("/")[2]
    assert (tmp_path / "lab-image").read_text() == f"docker.io/{path} linux/amd64\n"
