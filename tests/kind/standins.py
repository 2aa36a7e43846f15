"""Images under real names: a program that stays and answers probes in place of each one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rke2pack import safeyaml
from rke2pack.helm.chart import Chart
from rke2pack.helm.render import SdkRenderer
from rke2pack.oci.reference import Reference
from tests.kind.node import imagefile
from tests.kind.node.imagefile import Image
from tests.kind.node.places import BIN, KUBERNETES
from tests.kind.node.programs import STANDIN

_FOLDER: Final = "usr/local/bin"
_PROBES: Final = ("startupProbe", "readinessProbe", "livenessProbe")


@dataclass(kw_only=True)
class _Wanted:
    """What one image is asked for: programs, and ports that are to answer, by scheme."""

    programs: set[str] = field(default_factory=set)
    ports: dict[str, set[str]] = field(default_factory=lambda: {"HTTP": set(), "HTTPS": set()})
    is_ending: bool = True


def write(target: Path, charts: Iterable[tuple[Chart, Mapping[str, Any]]]) -> Path:
    """Write an archive with an image for every container of the charts with their values."""
    wanted: dict[str, _Wanted] = {}
    for chart, values in charts:
        for container, is_ending in _containers(chart, values):
            own = wanted.setdefault(str(Reference.parse(container["image"])), _Wanted())
            own.is_ending = own.is_ending and is_ending
            own.programs.add(str((container.get("command") or [STANDIN])[0]))
            for scheme, port in _probed(container):
                own.ports[scheme].add(port)
    images = []
    for number, (name, own) in enumerate(sorted(wanted.items())):
        paths = {_place(each) for each in (*own.programs, STANDIN)}
        layer = imagefile.layer(
            target.with_name(f"{number}.layer"), dict.fromkeys(paths, BIN / STANDIN)
        )
        told = [
            f"STANDIN_{scheme}={','.join(sorted(ports))}" for scheme, ports in own.ports.items()
        ]
        ends = ["STANDIN_ENDS=1"] if own.is_ending else []
        config = {"Env": [f"PATH=/{_FOLDER}", *told, *ends], "Entrypoint": [STANDIN]}
        images.append(Image(name=name, layer=layer, config=config))
    imagefile.write(target, images)
    return target


def _place(command: str) -> str:
    return command.lstrip("/") if command.startswith("/") else f"{_FOLDER}/{command}"


def _probed(container: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    named = {each.get("name"): each["containerPort"] for each in container.get("ports") or ()}
    for probe in _PROBES:
        asked = (container.get(probe) or {}).get("httpGet")
        if asked:
            port = asked["port"]
            yield asked.get("scheme") or "HTTP", str(named.get(port, port))


def _containers(chart: Chart, values: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield each container, and whether its pod has to come to an end."""
    rendered = SdkRenderer().template(chart, values, kube_version=KUBERNETES)
    for path, text in rendered.items():
        if path.endswith(".yaml"):
            for document in safeyaml.load_all(text, what=path):
                yield from _within(document)


def _within(node: object) -> Iterator[tuple[dict[str, Any], bool]]:
    if isinstance(node, list):
        for each in node:
            yield from _within(each)
    elif isinstance(node, dict):
        is_job = node.get("restartPolicy", "Always") != "Always"
        for key, value in node.items():
            if key in {"containers", "initContainers"} and isinstance(value, list):
                found = (each for each in value if isinstance(each, dict) and "image" in each)
                yield from ((each, is_job or key == "initContainers") for each in found)
            else:
                yield from _within(value)
