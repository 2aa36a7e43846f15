"""Level kind around what goes wrong: signals, what is missing, what never gets ready."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.integration.validate.conftest import Bench

FIRST = ("--row", "first")
GOOD = (*FIRST, "--chart", "good")


def wait_for(happened: Callable[[], object], process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while not happened():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < until
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def document(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out)
    return found


ENDINGS = {
    signal.SIGINT: (130, "interrupted"),
    signal.SIGTERM: (143, "ended by SIGTERM"),
    signal.SIGHUP: (129, "ended by SIGHUP"),
}


@pytest.mark.parametrize("number", ENDINGS)
def test_signal_while_a_cluster_is_made_removes_it(bench: Bench, number: signal.Signals) -> None:
    bench.fakes.tell("creation-hangs")
    process = bench.start(*GOOD)
    creating = bench.fakes.folder / "creating"
    wait_for(creating.exists, process)
    process.send_signal(number)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.splitlines()[-1]) == ENDINGS[number]
    assert not bench.fakes.clusters
    assert not is_running(int(creating.read_text()))
    assert not [call for call in bench.fakes.calls if call.startswith("kind export")]


def test_signals_that_are_sent_again_do_not_end_the_removal(bench: Bench) -> None:
    process = bench.start(*FIRST, "--chart", "hangs", "--timeout", "600")
    wait_for(bench.fakes.pods, process)
    process.send_signal(signal.SIGTERM)
    ended = [call for call in bench.fakes.calls if call.startswith("kind delete")]
    while process.poll() is None and not ended:
        time.sleep(0.05)
        process.send_signal(signal.SIGTERM)
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGHUP)
        ended = [call for call in bench.fakes.calls if call.startswith("kind delete")]
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.splitlines()[-1]) == ENDINGS[signal.SIGTERM]
    assert not bench.fakes.clusters


def test_hang_up_is_not_heeded_where_the_caller_ignores_it(bench: Bench) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        heeded = (signal.SIGINT, signal.SIGTERM)
        process = bench.start(*FIRST, "--chart", "hangs", "--timeout", "600", heeds=heeded)
    finally:
        signal.signal(signal.SIGHUP, before)
    wait_for(bench.fakes.pods, process)
    process.send_signal(signal.SIGHUP)
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == ENDINGS[signal.SIGTERM][0]


def test_good_chart_passes_and_the_pulls_that_failed_are_in_the_report(bench: Bench) -> None:
    code, out, err = bench.validate(*GOOD, "--json")
    assert code == 0, err
    results = {(each["subject"], each["check"]): each for each in document(out)["results"]}
    isolated = results["first: cluster", "isolated"]
    assert isolated["status"] == "passed"
    assert isolated["detail"] == "pulls: " + "; ".join(
        f"{host}: no route to host"
        for host in (
            *("registry.example.com", "203.0.113.1:5000", "[2001:db8::1]:5000"),
            "172.18.0.1:5000",
        )
    )
    assert not bench.fakes.clusters


def test_definitions_are_installed_before_and_removed_after(bench: Bench) -> None:
    code, _, err = bench.validate(*FIRST, "--chart", "defined")
    assert code == 0, err
    calls = [re.sub(r"/\S+/", "", call).split()[:3] for call in bench.fakes.calls]
    assert [(verb, name.removesuffix(".tgz")) for word, verb, name in calls if word == "helm"] == [
        ("install", "defined-crd"),
        ("install", "defined"),
        ("uninstall", "defined"),
        ("uninstall", "defined-crd"),
    ]


def test_chart_that_is_only_accepted_is_not_installed(bench: Bench) -> None:
    entry = {"good": {"reaches": "accepted", "reason": "it would take the network away"}}
    (bench.tree / "charts-manifest/validate-kind.yaml").write_text(json.dumps({"charts": entry}))
    objects = [
        {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "own"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a", "namespace": "own"}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "refused"}},
        {"apiVersion": "example.com/v1", "kind": "Lamp", "metadata": {"name": "lamp"}},
    ]
    bench.fakes.tell("manifest", "\n---\n".join(map(json.dumps, objects)))
    code, out, err = bench.validate(*GOOD, "--json")
    assert code == 7, err
    found = {each["subject"].split()[-1]: each["got"] for each in document(out)["findings"]}
    assert "the API server says 422: too long" in found["Secret/refused"]
    assert "knows no such kind" in found["Lamp/lamp"]
    assert set(found) == {"Secret/refused", "Lamp/lamp"}
    asked = [(path, body["metadata"].get("name")) for path, body in bench.fakes.asked]
    assert ("v1/namespaces/kube-system/secrets?dryRun=All", "a") in asked
    assert ("v1/namespaces?dryRun=All", "own") in asked
    assert not bench.fakes.pods()


def test_node_is_labelled_as_a_server(bench: Bench) -> None:
    code, _, err = bench.validate(*GOOD)
    assert code == 0, err
    path, body = bench.fakes.asked[0]
    assert path.startswith("v1/nodes/rke2pack-first-")
    assert body["metadata"]["labels"]["node-role.kubernetes.io/control-plane"] == "true"


@pytest.mark.timeout(120)
def test_chart_that_crashes_for_ever_is_not_waited_for(bench: Bench) -> None:
    code, out, err = bench.validate(*FIRST, "--chart", "crashes", "--timeout", "3600", "--json")
    assert code == 7, err
    (found,) = document(out)["findings"]
    assert found["check"] == "state"
    assert found["got"].startswith("Running, not ready: main: CrashLoopBackOff back-off (rows")


def test_chart_that_may_yet_come_up_is_waited_for_as_long_as_said(bench: Bench) -> None:
    code, out, err = bench.validate(*FIRST, "--chart", "hangs", "--timeout", "1", "--json")
    assert code == 7, err
    (found,) = document(out)["findings"]
    assert found["got"].startswith("Running, not ready (rows")
    assert [call for call in bench.fakes.calls if "--timeout 1s" in call]


def test_rows_are_tried_side_by_side(bench: Bench) -> None:
    bench.fakes.tell("together", "2")  # no cluster is ready before the other one is there
    code, out, err = bench.validate("--chart", "good", "--jobs", "2", "--json")
    assert code == 0, err
    passed = [each for each in document(out)["results"] if each["check"] == "state"]
    assert {each["subject"].partition(":")[0] for each in passed} == {"first", "second"}
    assert not bench.fakes.clusters


def test_error_of_one_row_leaves_no_cluster_of_the_other(bench: Bench) -> None:
    bench.fakes.tell("together", "2")
    bench.fakes.tell("import-fails", "write /x: no space left on device")
    code, _, err = bench.validate("--chart", "good", "--jobs", "2")
    assert code == 6, err
    assert not bench.fakes.clusters


def test_kept_cluster_is_named_with_its_kubeconfig(bench: Bench) -> None:
    code, _, err = bench.validate(*GOOD, "--keep")
    assert code == 0, err
    (name,) = bench.fakes.clusters
    kubeconfig = bench.tree / "dist/validate/kind/first/kubeconfig"
    assert f"first: keeping {name}, kubeconfig {kubeconfig}" in err
    assert kubeconfig.is_file()
    assert not [call for call in bench.fakes.calls if call.startswith("kind delete")]


def test_two_runs_at_once_have_clusters_of_other_names(bench: Bench, tmp_path: Path) -> None:
    bench.fakes.tell("together", "2")
    trees = [Path(shutil.copytree(bench.tree, tmp_path / name)) for name in "ab"]
    runs = [replace(bench, tree=tree).start(*GOOD, "--keep") for tree in trees]
    for each in runs:
        _, err = each.communicate(timeout=120)
        assert each.returncode == 0, err
    names = bench.fakes.clusters
    assert len(names) == 2
    assert all(re.fullmatch(r"rke2pack-first-[0-9a-f]{6}", name) for name in names)


@pytest.mark.parametrize(
    ("program", "message", "hint"),
    [
        ("docker", "docker: no such program", "install it, or name its path"),
        ("kind", "kind: no such program", "install it (go install sigs.k8s.io/kind@latest)"),
        ("helm", "helm: no such program", "install helm, or name it with --helm"),
    ],
)
def test_program_that_is_missing_is_named_before_anything_is_made(
    bench: Bench, program: str, message: str, hint: str
) -> None:
    bench.fakes.remove(program)
    code, _, err = bench.validate(*GOOD)
    assert (code, f"error: {message}\n" in err) == (6, True), err
    assert f"hint: {hint}" in err
    assert not [call for call in bench.fakes.calls if call.startswith("kind create")]


def test_engine_that_does_not_answer_is_an_error_before_anything_is_made(bench: Bench) -> None:
    bench.fakes.address = "127.0.0.1:9"
    code, _, err = bench.validate(*GOOD)
    assert code == 6
    assert "error: the docker engine" in err
    assert "hint: start it, or name it with DOCKER_HOST" in err
    assert not bench.fakes.calls


@pytest.mark.parametrize(
    ("said", "hint"),
    [
        (
            'failed to pull image "kindest/node:v1.32.5": exit status 1',
            "load it into docker, or name another one with --node-image",
        ),
        (
            "write /var/lib/docker/x: no space left on device",
            "free space where docker keeps its images and volumes",
        ),
        ("failed to init node", "look at its logs in the output folder"),
    ],
)
def test_cluster_that_is_not_made_is_an_error_with_the_next_step(
    bench: Bench, said: str, hint: str
) -> None:
    bench.fakes.tell("creation-fails", said)
    code, _, err = bench.validate(*GOOD)
    assert code == 6
    assert re.search(
        rf"error: rke2pack-first-\w+: no cluster from kindest/node:v1.32.5: .*{re.escape(said)}",
        err,
    ), err
    assert f"hint: {hint}" in err
    assert not bench.fakes.clusters
    assert (bench.tree / "dist/validate/kind/first/logs").is_dir()


def test_node_image_of_another_kubernetes_is_refused(bench: Bench) -> None:
    bench.fakes.tell("version", "v1.31.9")
    code, _, err = bench.validate(*GOOD)
    assert code == 6
    assert "error: first: the cluster runs v1.31.9, the row is for v1.32.5\n" in err
    assert "hint: choose the row with --row, or another --node-image" in err
    assert not bench.fakes.clusters


def test_full_disk_of_a_node_is_an_error_with_the_next_step(bench: Bench) -> None:
    bench.fakes.tell("import-fails", "write /x: no space left on device")
    code, _, err = bench.validate(*GOOD)
    assert code == 6
    assert "has no room left: ctr: write /x: no space left on device" in err
    assert "hint: free space where it keeps its images" in err
    assert not bench.fakes.clusters


@pytest.mark.parametrize("said", ["connect: connection refused", "not found"])
def test_pull_that_fails_for_another_reason_ends_the_run(bench: Bench, said: str) -> None:
    bench.fakes.tell("pull", said)
    code, _, err = bench.validate(*GOOD)
    assert code == 6
    assert "a pull from registry.example.com does not fail for want of a route" in err
    assert said in err
    assert "hint: name a node image that has iptables and ip" in err
    assert not [call for call in bench.fakes.calls if call.startswith("helm")]
    assert not bench.fakes.clusters
