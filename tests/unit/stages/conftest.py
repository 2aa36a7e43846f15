"""Trees and chart repositories for the stages' tests, made of charts of our own."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from rke2pack.cli import run
from rke2pack.digest import Digest
from rke2pack.helm.archive import Member, pack
from rke2pack.lab import repository
from tests.answer import Answer

__all__ = ["Answer"]

DEPLOYMENT = """\
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
spec:
  selector: {{matchLabels: {{app: {name}}}}}
  template:
    metadata: {{labels: {{app: {name}}}}}
    spec:
      containers:
        - name: main
          image: '{{{{ .Values.global.systemDefaultRegistry }}}}/{image}'
"""


Rke2pack = Callable[..., Answer]


@pytest.fixture
def rke2pack(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> Rke2pack:
    """Run a command line in this process."""

    def call(*arguments: str | Path) -> Answer:
        capsys.readouterr()
        cache = ["--cache-dir", str(tmp_path / "cache")]
        code = run([*map(str, arguments), *([] if "--help" in arguments else cache)])
        captured = capsys.readouterr()
        return Answer(code=code, out=captured.out, err=captured.err)

    return call


@pytest.fixture(scope="session")
def lab_charts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The lab's chart repository as a folder."""
    return repository.build(tmp_path_factory.mktemp("lab-charts"))


@pytest.fixture
def lab_tree(project: Path, lab_charts: Path, tmp_path: Path, rke2pack: Rke2pack) -> Path:
    """A copy of the project's tree whose manifests name the lab's charts."""
    tree = tmp_path / "tree"
    shutil.copytree(project / "charts-manifest", tree / "charts-manifest")
    shutil.copyfile(project / "images.txt", tree / "images.txt")
    answer = rke2pack("charts", "--references", "--tree", tree, "--charts-repo", lab_charts)
    assert answer.code == 0, answer.err
    return tree


def chart(name: str, version: str, *, image: str = "", **metadata: object) -> dict[str, str]:
    """Files of a small chart; ``image`` makes it run a deployment."""
    head = {"apiVersion": "v2", "name": name, "version": version, **metadata}
    text = "".join(f"{key}: {json.dumps(value)}\n" for key, value in head.items())
    files = {"Chart.yaml": text, "values.yaml": "global: {}\n"}
    if image:
        files["templates/main.yaml"] = DEPLOYMENT.format(name=name, image=image)
    return files


def write_repository(folder: Path, *charts: Mapping[str, str]) -> Path:
    """Write a chart repository of the given charts."""
    entries: dict[str, list[dict[str, str | list[str]]]] = {}
    folder.mkdir(parents=True, exist_ok=True)
    for files in charts:
        head = dict(line.split(": ", 1) for line in files["Chart.yaml"].splitlines())
        name, version = json.loads(head["name"]), json.loads(head["version"])
        data = pack(Member(f"{name}/{path}", text.encode()) for path, text in files.items())
        (folder / f"{name}-{version}.tgz").write_bytes(data)
        entry: dict[str, str | list[str]] = {
            "name": name,
            "version": version,
            "digest": Digest.of(data).hex,
            "urls": [f"{name}-{version}.tgz"],
        }
        entries.setdefault(name, []).append(entry)
    index = {"apiVersion": "v1", "entries": entries}
    (folder / "index.yaml").write_text(json.dumps(index))
    return folder


def write_tree(root: Path, charts: Mapping[str, str], *, kube: str = "v1.32.4") -> Path:
    """Write a tree that bundles ``charts`` (name -> version) in the one component ``core``."""
    folder = root / "charts-manifest"
    folder.mkdir(parents=True)
    entries = "".join(
        f"  - version: {version}\n    filename: /charts/{name}.yaml\n    bootstrap: false\n"
        for name, version in charts.items()
    )
    (folder / "chart_versions.yaml").write_text(f"charts:\n{entries}")
    components = {
        "registry": "docker.io",
        "platforms": ["linux/amd64", "linux/arm64"],
        "components": [{"name": "core", "charts": list(charts)}],
    }
    (folder / "components.yaml").write_text(json.dumps(components))
    (folder / "versions.env").write_text(f"RKE2_VERSION={kube}+rke2r1\nKUBERNETES_VERSION={kube}\n")
    repositories = [{"name": "home", "url": "https://charts.example.com"}]
    (folder / "repositories.yaml").write_text(json.dumps({"repositories": repositories}))
    return root


def contents(root: Path) -> dict[str, bytes]:
    """Every file below ``root`` but the lock, with its bytes."""
    return {
        path.relative_to(root).as_posix(): path.read_bytes()
        for path in sorted(root.rglob("*"))
        if path.is_file() and path.name != "lock"
    }
