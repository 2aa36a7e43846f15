"""Pods: how far one has come, and whether its images came from the import."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from rke2pack.errors import ConfigError
from rke2pack.oci.reference import Reference
from rke2pack.validate.issue import Problem, short

# Source: kubelet's reasons of waiting (pkg/kubelet/images/types.go, kuberuntime).
_IMAGE_REASONS: Final = frozenset(
    {
        *("ErrImagePull", "ImagePullBackOff", "ErrImageNeverPull", "InvalidImageName"),
        *("ImageInspectError", "RegistryUnavailable"),
    }
)
# Reasons that no waiting mends by itself, once every other pod of the chart has come to its end.
_STUCK_REASONS: Final = frozenset(
    {*_IMAGE_REASONS, "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}
)
_CRASHES: Final = 2
"""Restarts after which a program that ends at once is believed to do so for ever."""
_PULLS: Final = frozenset({"Pulling", "BackOff"})


def title(pod: Mapping[str, Any]) -> str:
    """Return the name in messages; the random end of a name would make each run's another."""
    metadata = pod["metadata"]
    owner = next(iter(metadata.get("ownerReferences") or ()), None)
    name = str(metadata["name"])
    if owner is not None and owner.get("kind") == "ReplicaSet":
        return f"Deployment/{str(owner['name']).rpartition('-')[0]}"
    return f"{owner['kind']}/{owner['name']}" if owner is not None else f"Pod/{name}"


def images(pod: Mapping[str, Any]) -> Iterator[str]:
    """Yield the references of all containers as they stand there."""
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for each in pod["spec"].get(kind) or ():
            yield str(each.get("image") or "")


def image_problems(pod: Mapping[str, Any], imported: frozenset[str]) -> Iterator[Problem]:
    """Yield an image that was not imported."""
    for text in images(pod):
        try:
            name = str(Reference.parse(text))
        except ConfigError:
            name = text
        if name not in imported:
            yield _problem("image", title(pod), "an image of the archives", f"{name} in none")


def pull_problems(pod: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> Iterator[Problem]:
    """Yield what says that a node wanted to pull."""
    uid = pod["metadata"].get("uid")
    told = set()
    for event in events:
        about = event.get("involvedObject") or {}
        words = f"{event.get('reason')}: {event.get('message')}"
        is_pull = event.get("reason") in _PULLS and "image" in str(event.get("message")).lower()
        if about.get("uid") == uid and is_pull and words not in told:
            told.add(words)
            yield _problem("pull", title(pod), "no pull, all images are there", words)
    for got in _waits_for_image(pod):
        yield _problem("pull", title(pod), "no pull, all images are there", got)


def lacks_image(pod: Mapping[str, Any]) -> bool:
    """Whether a container waits for an image."""
    return any(_waits_for_image(pod))


def _waits_for_image(pod: Mapping[str, Any]) -> Iterator[str]:
    for status in _statuses(pod):
        reason = ((status.get("state") or {}).get("waiting") or {}).get("reason")
        if reason in _IMAGE_REASONS:
            yield f"container {status['name']} waits for its image"


def stuck(pod: Mapping[str, Any], events: Iterable[Mapping[str, Any]]) -> str:
    """Say why a pod gets no further by waiting; empty where it may.

    ``events`` are the namespace's: only they know of a volume that cannot be mounted.
    """
    for status in _statuses(pod):
        reason = str(((status.get("state") or {}).get("waiting") or {}).get("reason") or "")
        is_crashing = reason == "CrashLoopBackOff" and status.get("restartCount", 0) >= _CRASHES
        if reason in _STUCK_REASONS or is_crashing:
            return f"{status['name']}: {reason}"
    scheduled = _condition(pod, "PodScheduled", field="reason")
    if scheduled == "Unschedulable":
        return scheduled
    uid = pod["metadata"].get("uid")
    if any(_statuses(pod)) and not any(map(_is_created, _statuses(pod))):
        for event in events:
            about = event.get("involvedObject") or {}
            if about.get("uid") == uid and event.get("reason") == "FailedMount":
                return "FailedMount"
    return ""


def lacks(pod: Mapping[str, Any], reaches: str) -> str:
    """Say what a pod lacks to be as far as asked; empty where it is."""
    status = pod.get("status") or {}
    if status.get("phase") == "Succeeded":
        return ""
    if not (pod.get("spec") or {}).get("nodeName"):
        return f"has no node: {_condition(pod, 'PodScheduled') or 'not scheduled yet'}"
    if reaches == "created":
        return ""
    return _idle(pod) if reaches == "started" else _unready(pod)


def _idle(pod: Mapping[str, Any]) -> str:
    found = {str(each["name"]): _has_started(each) for each in _statuses(pod)}
    spec = pod["spec"]
    wanted = [*(spec.get("initContainers") or ()), *(spec.get("containers") or ())]
    idle = [str(each["name"]) for each in wanted if not found.get(str(each["name"]))]
    # What waits behind an init container that cannot end is none of the images' fault.
    return f"not started: {', '.join(idle)}{_why(pod)}" if idle and not _is_held(pod) else ""


def _unready(pod: Mapping[str, Any]) -> str:
    status = pod.get("status") or {}
    ready = [c for c in status.get("conditions") or () if c.get("type") == "Ready"]
    if ready and ready[0].get("status") == "True":
        return ""
    return f"{status.get('phase') or 'nothing known'}, not ready{_why(pod)}"


def missing(workload: Mapping[str, Any]) -> str:
    """Say how many pods a Deployment, StatefulSet or DaemonSet lacks; empty where none.

    A DaemonSet without any node lacks one, unless it is for nodes of Windows.
    """
    status = workload.get("status") or {}
    if not status.get("observedGeneration"):
        return "not seen by its controller yet"
    if "desiredNumberScheduled" in status:
        wanted, have = status["desiredNumberScheduled"], status["currentNumberScheduled"]
        if not wanted and not _is_for_windows(workload):
            return "no node is fit for its pods"
    else:
        wanted, have = workload["spec"].get("replicas", 1), status.get("replicas", 0)
    return f"{have} of {wanted} pods" if have < wanted else ""


def _is_for_windows(workload: Mapping[str, Any]) -> bool:
    spec = ((workload.get("spec") or {}).get("template") or {}).get("spec") or {}
    return bool((spec.get("nodeSelector") or {}).get("kubernetes.io/os") == "windows")


def _is_held(pod: Mapping[str, Any]) -> bool:
    """Whether an init container runs or ran in vain, so that the rest has to wait."""
    found = (pod.get("status") or {}).get("initContainerStatuses") or ()
    return any(_has_started(each) and not _has_ended_well(each) for each in found)


def _has_started(status: Mapping[str, Any]) -> bool:
    state, last = status.get("state") or {}, status.get("lastState") or {}
    ran = [*(each.get("terminated") or {} for each in (state, last))]
    # A program that the runtime could not start has no time of its own.
    was_run = any(each and each.get("reason") != "StartError" for each in ran)
    return "running" in state or was_run


def _has_ended_well(status: Mapping[str, Any]) -> bool:
    ended = (status.get("state") or {}).get("terminated") or {}
    return ended.get("exitCode") == 0


def _statuses(pod: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    status = pod.get("status") or {}
    for kind in ("initContainerStatuses", "containerStatuses"):
        yield from status.get(kind) or ()


def _is_created(status: Mapping[str, Any]) -> bool:
    state = status.get("state") or {}
    return bool(status.get("containerID")) or "running" in state or "terminated" in state


def _condition(pod: Mapping[str, Any], name: str, *, field: str = "message") -> str:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return next((str(c.get(field) or "") for c in conditions if c.get("type") == name), "")


def _why(pod: Mapping[str, Any]) -> str:
    for status in _statuses(pod):
        state = status.get("state") or {}
        for each in (state.get("waiting"), state.get("terminated")):
            reason = (each or {}).get("reason")
            if reason in _IMAGE_REASONS:
                return f": {status['name']} waits for its image"
            if each and reason not in {"PodInitializing", "Completed"}:
                said = short(each.get("message") or "")
                return f": {status['name']}: {reason} {said}".rstrip()
    return ""


def _problem(check: str, subject: str, expected: str, got: str) -> Problem:
    return Problem(check=check, subject=subject, expected=expected, got=short(got))
