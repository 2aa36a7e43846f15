"""The programs of a node and kind itself, from the Go module proxy."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Final

from tests.kind.node.places import BIN, KIND, KUBERNETES, SOURCE, once

PROGRAMS: Final = {
    "pause": "./pause",
    "runtime": "./runtime",
    "coredns": "./coredns",
    "etcd": "go.etcd.io/etcd/server/v3",
    **{
        name: f"k8s.io/kubernetes/cmd/{name}"
        for name in (
            *("kubeadm", "kubelet", "kubectl", "kube-apiserver"),
            *("kube-controller-manager", "kube-scheduler", "kube-proxy"),
        )
    },
}
STANDIN: Final = "standin"
_VERSIONED: Final = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
_ENVIRONMENT: Final = {**os.environ, "CGO_ENABLED": "0", "GOBIN": str(BIN)}


def make() -> None:
    """Build what is not built yet; Go's own cache knows what changed."""
    own = SOURCE / STANDIN
    paths = [path for path in sorted(SOURCE.rglob("*.go")) if path.parent != own]
    sources = [path.read_bytes() for path in paths]
    locked = [(SOURCE / name).read_bytes() for name in ("go.mod", "go.sum")]
    once("programs", [*sources, *locked, KUBERNETES, *PROGRAMS], _build)
    once("kind", [KIND], _install_kind)
    make_standin()


def make_standin() -> None:
    """Build what stands in for the charts' programs; it is not part of the node."""
    sources = [path.read_bytes() for path in sorted((SOURCE / STANDIN).glob("*.go"))]
    once(STANDIN, sources, lambda: _build_one(STANDIN, f"./{STANDIN}"))


def _install_kind() -> None:
    _go("install", f"sigs.k8s.io/kind@{KIND}", at=SOURCE.parents[2])


def kind_files() -> Path:
    """Return the files that kind's own base image has, from the module cache."""
    told = _go("mod", "download", "-json", f"sigs.k8s.io/kind@{KIND}", at=SOURCE.parents[2])
    return Path(json.loads(told)["Dir"]) / "images/base/files"


def _build() -> None:
    major, minor, _ = KUBERNETES.removeprefix("v").split(".")
    facts = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor}
    facts["gitTreeState"] = "clean"
    stamps = [f"-X {package}.{key}={facts[key]}" for package in _VERSIONED for key in facts]
    for name, package in PROGRAMS.items():
        _build_one(name, package, *stamps)


def _build_one(name: str, package: str, *stamps: str) -> None:
    options = ("-mod=readonly", "-trimpath", "-ldflags", " ".join(("-s", "-w", *stamps)))
    _go("build", *options, "-o", str(BIN / name), package, at=SOURCE)


def _go(*arguments: str, at: Path) -> str:
    done = subprocess.run(
        ["go", *arguments], cwd=at, env=_ENVIRONMENT, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout
