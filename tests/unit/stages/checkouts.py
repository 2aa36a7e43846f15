"""Small checkouts of rancher/rke2, in git, with charts of our own."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.unit.stages.conftest import chart, write_repository
from tests.unit.tree.scripts import document

VERSIONS, SCRIPT, VERSION_SCRIPT = (
    "charts/chart_versions.yaml",
    "scripts/build-images",
    "scripts/version.sh",
)
COMPONENTS = {
    "registry": "docker.io",
    "platforms": ["linux/amd64", "linux/arm64"],
    "components": [{"name": "core", "charts": ["a", "b"]}, {"name": "extra", "charts": ["c"]}],
}
LISTS = document("${REGISTRY}/x/a:1", "${REGISTRY}/x/b:1", name="core") + document(
    "x/c:1", name="extra"
)


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def charts(folder: Path) -> Path:
    """A repository of a, b and c: their versions 1.0 and 1.1 run images 1 and 2."""
    return write_repository(
        folder,
        *(
            chart(name, f"1.{n}.000", image=f"x/{name}:{n + 1}")
            for name in ("a", "b", "c")
            for n in (0, 1)
        ),
        chart("a", "1.2.000", image="x/a:3", kubeVersion=">= 1.32.0-0"),
        {**chart("c", "1.9.000"), "templates/main.yaml": '{{ fail "no" }}'},
    )


def write_checkout(
    root: Path,
    *,
    lists: str = LISTS,
    versions: Mapping[str, str] | None = None,
    kube: str = "v1.32.4",
) -> Path:
    """Write a checkout's files; ``versions`` are those of the charts a, b and c."""
    bundled = {"a": "1.0.000", "b": "1.0.000", "c": "1.0.000", **(versions or {})}
    entries = "".join(
        f"  - version: {version}\n    filename: /charts/{name}.yaml\n    bootstrap: true\n"
        for name, version in bundled.items()
    )
    texts = {
        VERSIONS: f"charts:\n{entries}",
        SCRIPT: f"#!/usr/bin/env bash\nset -e\nsource ./scripts/version.sh\n\n{lists}",
        VERSION_SCRIPT: f"KUBERNETES_VERSION=${{KUBERNETES_VERSION:-{kube}}}\n",
        "charts-manifest/components.yaml": json.dumps(COMPONENTS),
    }
    for name, text in texts.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(text.encode())
    return root


def commit(root: Path, subject: str) -> str:
    """Commit everything below ``root``; return the commit's id."""
    git(root, "add", "--all", ".")
    git(root, "commit", "--quiet", "--message", subject)
    return git(root, "rev-parse", "HEAD")


def write_lines(root: Path, **kube: str) -> Path:
    """Write a repository with the branches main and ``line-<name>`` for each of ``kube``."""
    root.mkdir(parents=True, exist_ok=True)
    git(root, "init", "--quiet", "--initial-branch=main")
    write_checkout(root)
    commit(root, "first")
    for name, version in kube.items():
        git(root, "switch", "--quiet", "--create", f"line-{name}", "main")
        write_checkout(root, kube=version)
        git(root, "add", "--all", ".")
        git(root, "commit", "--quiet", "--allow-empty", "--message", name)
    git(root, "switch", "--quiet", "main")
    return root
