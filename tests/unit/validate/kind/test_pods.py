"""How far a pod has come, as the API server tells it."""

from __future__ import annotations

from typing import Any

import pytest

from rke2pack.validate.kind import pods

WAITING = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off 10s"}}
ENDED = {"terminated": {"exitCode": 1, "reason": "Error"}}
DONE = {"terminated": {"exitCode": 0, "reason": "Completed"}}
RUNNING: dict[str, Any] = {"running": {}}


def pod(
    *states: dict[str, Any], init: tuple[dict[str, Any], ...] = (), **more: object
) -> dict[str, Any]:
    def named(kind: str, given: tuple[dict[str, Any], ...]) -> list[dict[str, Any]]:
        return [{"name": f"{kind}{number}", **state} for number, state in enumerate(given)]

    return {
        "metadata": {"name": "cloud-abc-1", "uid": "u1"},
        "spec": {
            "nodeName": "node",
            "containers": [
                {"name": f"c{n}", "image": "rancher/cloud:v1"} for n in range(len(states))
            ],
            "initContainers": [
                {"name": f"i{n}", "image": "rancher/init:v1"} for n in range(len(init))
            ],
        },
        "status": {
            "phase": "Running",
            "containerStatuses": named("c", states),
            "initContainerStatuses": named("i", init),
            **more,
        },
    }


@pytest.mark.parametrize(
    ("reaches", "found", "lack"),
    [
        ("started", pod({"state": RUNNING}), ""),
        ("started", pod({"state": WAITING, "lastState": ENDED}), ""),
        ("started", pod({"state": WAITING}), "not started: c0: c0: CrashLoopBackOff back-off 10s"),
        ("started", pod({"state": RUNNING}, {"state": WAITING}), "not started: c1"),
        ("started", pod({}, init=({"state": RUNNING},)), ""),
        ("started", pod({}, init=({"state": DONE},)), "not started: c0"),
        ("created", pod({"state": WAITING}), ""),
        ("ready", pod({"state": RUNNING}), "Running, not ready"),
        ("ready", pod({}, conditions=[{"type": "Ready", "status": "True"}]), ""),
        ("ready", pod({"state": DONE}, phase="Succeeded"), ""),
    ],
)
def test_pod_is_as_far_as_it_says(reaches: str, found: dict[str, Any], lack: str) -> None:
    told = pods.lacks(found, reaches)
    assert told.startswith(lack) if lack else told == ""


def test_program_that_could_not_be_started_has_not_started() -> None:
    ended = {"terminated": {"exitCode": 128, "reason": "StartError", "message": "no such file"}}
    found = pod({"state": WAITING, "lastState": ended})
    assert pods.lacks(found, "started").startswith("not started: c0")


def test_pod_without_a_node_says_why() -> None:
    condition = {"type": "PodScheduled", "message": "0/1 nodes are available: 1 node(s) had taints"}
    found = pod({}, conditions=[condition])
    del found["spec"]["nodeName"]
    assert pods.lacks(found, "created") == f"has no node: {condition['message']}"


def test_image_that_was_not_imported_is_named_in_full() -> None:
    (found,) = pods.image_problems(pod({}), frozenset({"docker.io/rancher/cloud:v10"}))
    assert (found.check, found.got) == ("image", "docker.io/rancher/cloud:v1 in none")
    assert not list(pods.image_problems(pod({}), frozenset({"docker.io/rancher/cloud:v1"})))


def test_pull_shows_in_events_and_in_states() -> None:
    event = {
        "reason": "Pulling",
        "message": 'Pulling image "rancher/cloud:v1"',
        "involvedObject": {"uid": "u1"},
    }
    other = {**event, "involvedObject": {"uid": "u2"}}
    restarted = {**event, "reason": "BackOff", "message": "Back-off restarting failed container"}
    refused = pod({"state": {"waiting": {"reason": "ErrImagePull"}}})
    assert [p.got for p in pods.pull_problems(refused, [event, event, other, restarted])] == [
        'Pulling: Pulling image "rancher/cloud:v1"',
        "container c0 waits for its image",
    ]


def test_title_does_not_change_from_run_to_run() -> None:
    found = pod({})
    owner = {"kind": "ReplicaSet", "name": "cloud-7d9f"}
    found["metadata"]["ownerReferences"] = [owner]
    assert pods.title(found) == "Deployment/cloud"


@pytest.mark.parametrize(
    ("status", "lack"),
    [
        ({}, "not seen by its controller yet"),
        ({"observedGeneration": 1, "replicas": 1}, "1 of 2 pods"),
        ({"observedGeneration": 1, "replicas": 2}, ""),
        (
            {"observedGeneration": 1, "desiredNumberScheduled": 0, "currentNumberScheduled": 0},
            "no node is fit for its pods",
        ),
        (
            {"observedGeneration": 1, "desiredNumberScheduled": 1, "currentNumberScheduled": 0},
            "0 of 1 pods",
        ),
    ],
)
def test_workload_without_its_pods_is_told(status: dict[str, int], lack: str) -> None:
    assert pods.missing({"spec": {"replicas": 2}, "status": status}) == lack


def test_workload_for_windows_needs_no_node() -> None:
    status = {"observedGeneration": 1, "desiredNumberScheduled": 0, "currentNumberScheduled": 0}
    selector = {"nodeSelector": {"kubernetes.io/os": "windows"}}
    assert pods.missing({"spec": {"template": {"spec": selector}}, "status": status}) == ""


CREATING = {"waiting": {"reason": "ContainerCreating"}}


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (pod({"state": {"waiting": {"reason": "CreateContainerConfigError"}}}),
         "c0: CreateContainerConfigError"),
        (pod({"state": {"waiting": {"reason": "ErrImageNeverPull"}}}), "c0: ErrImageNeverPull"),
        (pod({"state": WAITING, "restartCount": 2}), "c0: CrashLoopBackOff"),
        (pod({"state": WAITING, "restartCount": 1, "containerID": "c"}), ""),
        (pod({"state": RUNNING}), ""),
        (pod({"state": CREATING}), "FailedMount"),
        (pod({"state": CREATING}, {"state": RUNNING}), ""),
        (pod({}, conditions=[{"type": "PodScheduled", "reason": "Unschedulable"}]),
         "Unschedulable"),
    ],
)  # fmt: skip
def test_pod_that_waiting_does_not_help_says_why(found: dict[str, Any], reason: str) -> None:
    mount = {"reason": "FailedMount", "involvedObject": {"uid": "u1"}}
    assert pods.stuck(found, [mount]) == reason


def test_volume_of_another_pod_holds_up_none() -> None:
    mount = {"reason": "FailedMount", "involvedObject": {"uid": "u2"}}
    assert pods.stuck(pod({"state": CREATING}), [mount]) == ""
