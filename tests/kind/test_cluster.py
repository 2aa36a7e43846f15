"""`validate --level kind` in a real cluster that can pull nothing."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from rke2pack.cli import run
from rke2pack.validate.kind.program import Kind
from tests.kind.conftest import Missing, program
from tests.kind.node import imagefile
from tests.kind.node.imagefile import Image
from tests.kind.node.places import BIN, KUBERNETES
from tests.unit.stages.conftest import chart, write_repository, write_tree

IMAGE: Final = "docker.io/example/stays:v1"
ROWS: Final = {"rows": [{"name": "live", "rke2": f"{KUBERNETES}+rke2r1"}]}
HOOKED: Final = {
    "apiVersion": "v1",
    "kind": "ConfigMap",
    "metadata": {"name": "left", "annotations": {"helm.sh/hook": "post-install"}},
}


def workload(name: str, *, image: str = IMAGE, policy: str = "IfNotPresent") -> dict[str, str]:
    """A chart with one Deployment, in the version ``2.0.000``."""
    container = {"name": "main", "image": image, "imagePullPolicy": policy}
    labels = {"app": name}
    body = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [container]}},
        },
    }
    return {**chart(name, "2.0.000"), "templates/main.yaml": json.dumps(body)}


def older(files: Mapping[str, str], *, label: str = "app") -> dict[str, str]:
    """The same chart in the version ``1.0.000``, with another label to select pods by."""
    head = files["Chart.yaml"].replace("2.0.000", "1.0.000")
    body = files["templates/main.yaml"].replace('"app":', f'"{label}":')
    return {**files, "Chart.yaml": head, "templates/main.yaml": body}


@pytest.fixture
def live(tmp_path: Path, docker: list[str], missing: Missing) -> list[str]:
    """The options of a tree with charts of every fate, and an archive."""
    assert docker
    good = {**workload("good"), "ci/a-values.yaml": "a: 1\n", "ci/b-values.yaml": "b: 1\n"}
    moved = workload("moved")
    left = {**workload("left"), "templates/hook.yaml": json.dumps(HOOKED)}
    charts = {
        "good": good,
        "moved": moved,
        "left": left,
        "always": workload("always", policy="Always"),
        "strange": workload("strange", image="docker.io/example/other:v1"),
        "refused": {**chart("refused", "2.0.000"), "templates/a.yaml": json.dumps(
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "refused"},
             "spec": {"ports": [{"port": 700000}]}})},
    }  # fmt: skip
    former = [older(good), older(moved, label="application")]
    write_repository(tmp_path / "charts", *charts.values(), *former)
    tree = write_tree(tmp_path / "tree", dict.fromkeys(charts, "2.0.000"), kube=KUBERNETES)
    (tree / "charts-manifest/support-matrix.yaml").write_text(json.dumps(ROWS))
    layer = imagefile.layer(tmp_path / "layer.tar", {"bin/stays": BIN / "pause"})
    archive = tmp_path / "stays.linux-amd64.tar"
    imagefile.write(archive, [Image(name=IMAGE, layer=layer, config={"Cmd": ["/bin/stays"]})])
    return [
        *("validate", "--level", "kind", str(archive), "--tree", str(tree)),
        *("--charts-repo", str(tmp_path / "charts"), "--cache-dir", str(tmp_path / "cache")),
        *("--helm", program("helm", missing)),
    ]


@pytest.mark.timeout(1500)
def test_every_chart_ends_as_it_should(
    live: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    steps = ("--old", "good=1.0.000", "--old", "moved=1.0.000")
    code = run([*live, *steps, "--json"])
    captured = capsys.readouterr()
    document: dict[str, Any] = json.loads(captured.out)
    wrong = {(f["subject"].partition(" ")[0], f["check"]) for f in document["findings"]}
    assert wrong == {
        ("moved", "upgrade"),
        ("left", "remove"),
        ("always", "pull"),
        ("always", "state"),
        ("strange", "image"),
        ("strange", "pull"),
        ("strange", "state"),
        ("refused", "install"),
    }, captured.err
    assert code == 7
    passed = {
        each["check"]
        for each in document["results"]
        if each["subject"].startswith("live: good") and each["status"] == "passed"
    }
    assert passed == {"install", "image", "pull", "state", "upgrade", "remove"}
    checked = {each["check"]: each for each in document["results"] if "cluster" in each["subject"]}
    assert checked["import"]["detail"] == "1 archive, 1 name"
    assert checked["isolated"]["status"] == "passed"
    assert "registry.example.com: no route to host" in checked["isolated"]["detail"]
    kept = tmp_path / "tree/dist/validate/kind/live/always/defaults"
    assert json.loads((kept / "pods-pods.json").read_text())
    assert not Kind.find("kind").clusters()


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("number", "is_for_all", "code"),
    [(signal.SIGINT, True, 130), (signal.SIGTERM, False, 143), (signal.SIGHUP, False, 129)],
)
def test_run_that_is_ended_leaves_no_cluster(
    live: list[str], docker: list[str], number: signal.Signals, *, is_for_all: bool, code: int
) -> None:
    """As a terminal sends Ctrl-C, to all programs; as a CI service, to the first one."""
    command = [sys.executable, "-m", "rke2pack", *live, "--chart", "good"]
    nodes = [*docker, "ps", "--quiet", "--filter", "name=rke2pack-live"]
    before = signal.signal(number, signal.default_int_handler)  # not ignored, as under nohup
    process = subprocess.Popen(command, env=os.environ, start_new_session=True)
    signal.signal(number, before)
    until = time.monotonic() + 300
    while not subprocess.run(nodes, check=True, capture_output=True).stdout:
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.5)
    send = os.killpg if is_for_all else os.kill
    send(process.pid, number)
    time.sleep(1)
    if process.poll() is None:
        send(process.pid, number)
    assert process.wait(300) == code
    assert not subprocess.run([*nodes, "--all"], check=True, capture_output=True).stdout
