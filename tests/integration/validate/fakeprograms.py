"""The programs kind, docker and helm, as far as level kind calls them; made executable by tests."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

FOLDER = Path(sys.argv[0]).parent.parent
WORDS = sys.argv[1:]
STATES = {
    "good": {"running": {}},
    "crashes": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
    "hangs": {"running": {}},
    "defined": {"running": {}},
}


def told(name: str) -> str | None:
    """Return what a test wants of the programs."""
    path = FOLDER / name
    return path.read_text() if path.exists() else None


def after(word: str) -> str:
    """Return the value of an option."""
    return WORDS[WORDS.index(word) + 1]


def fail(said: str) -> None:
    """End as a program that fails."""
    sys.stderr.write(f"{said}\n")
    sys.exit(1)


def hang(name: str) -> None:
    """Tell one's id, and stay."""
    (FOLDER / f"{name}.new").write_text(str(os.getpid()))
    (FOLDER / f"{name}.new").rename(FOLDER / name)
    time.sleep(600)


def kind() -> None:
    """Make, list and remove clusters."""
    clusters = FOLDER / "clusters"
    if WORDS[0] == "version":
        sys.stdout.write("0.0.0\n")
    elif WORDS[0] == "get":
        sys.stdout.write("".join(f"{path.name}\n" for path in clusters.iterdir()))
    elif WORDS[0] == "export":
        Path(WORDS[2]).mkdir(parents=True)
    elif WORDS[0] == "delete":
        (clusters / after("--name")).unlink()
    else:
        create(clusters)


def create(clusters: Path) -> None:
    """Make a cluster, in the way that the test wants."""
    (clusters / after("--name")).touch()
    if (said := told("creation-fails")) is not None:
        fail(f"Creating cluster ...\nERROR: failed to create cluster: {said}")
    if told("creation-hangs") is not None:
        hang("creating")
    together = int(told("together") or 1)
    until = time.monotonic() + 60
    while len(list(clusters.iterdir())) < together:
        if time.monotonic() > until:
            fail("ERROR: the others do not come")
        time.sleep(0.05)
    address = told("address")
    name = {"name": "fake"}
    document = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "fake",
        "clusters": [{**name, "cluster": {"server": f"http://{address}/{after('--name')}"}}],
        "users": [{**name, "user": {}}],
        "contexts": [{**name, "context": {"cluster": "fake", "user": "fake"}}],
    }
    Path(after("--kubeconfig")).write_text(json.dumps(document))


def docker() -> None:
    """Run a program in the node."""
    called = " ".join(WORDS)
    node = next(word for word in WORDS if word.endswith("-control-plane"))
    imported = FOLDER / f"imported-{node}"
    if "uname" in WORDS:
        sys.stdout.write("x86_64\n")
    elif "route show default" in called and "-4" in WORDS:
        sys.stdout.write("default via 172.18.0.1 dev eth0\n")
    elif "pull" in WORDS:
        fail(f"ctr: failed to do request: {told('pull') or 'connect: no route to host'}")
    elif "import" in WORDS:
        sys.stdin.buffer.read()
        if (said := told("import-fails")) is not None:
            fail(f"ctr: {said}")
        imported.touch()
    elif "images ls" in called and imported.exists():
        sys.stdout.write("docker.io/example/stays:v1\n")


def helm() -> None:
    """Install a chart of one pod, or remove it."""
    name = Path(WORDS[1]).name
    kubeconfig = json.loads(Path(after("--kubeconfig")).read_text())
    server = kubeconfig["clusters"][0]["cluster"]["server"]
    pods = FOLDER / f"pods-{server.rpartition('/')[2]}"
    if WORDS[0] == "uninstall":
        pods.unlink(missing_ok=True)
        return
    sys.stdin.read()
    if "--dry-run=server" in WORDS:
        sys.stdout.write(json.dumps({"manifest": told("manifest"), "hooks": []}))
        return
    if name not in STATES:
        return
    is_ready = name in {"good", "defined"}
    status = {"name": "main", "state": STATES[name], "restartCount": 3, "containerID": "c"}
    conditions = [{"type": "Ready", "status": str(is_ready)}]
    pod = {
        "metadata": {"name": f"{name}-1", "uid": f"{name}-{time.time_ns()}"},
        "spec": {
            "nodeName": "node",
            "containers": [{"name": "main", "image": "docker.io/example/stays:v1"}],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": [status],
            "conditions": conditions,
        },
    }
    pods.with_suffix(".new").write_text(json.dumps([pod]))
    pods.with_suffix(".new").rename(pods)


with (FOLDER / "calls").open("a") as calls:
    calls.write(" ".join((Path(sys.argv[0]).name, *WORDS)) + "\n")
{"kind": kind, "docker": docker, "helm": helm}[Path(sys.argv[0]).name]()
