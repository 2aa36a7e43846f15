"""Images under real names: a program that stays, wherever the charts' containers start one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from rke2pack import safeyaml
from rke2pack.helm.chart import Chart
from rke2pack.helm.render import SdkRenderer
from rke2pack.oci.reference import Reference
from tests.kind.node import imagefile
from tests.kind.node.imagefile import Image
from tests.kind.node.places import BIN, KUBERNETES

_DEFAULT: Final = "standin"
_FOLDER: Final = "usr/local/bin"


def write(target: Path, charts: Iterable[tuple[Chart, Mapping[str, Any]]]) -> Path:
    """Write an archive with an image for every container of the charts with their values."""
    commands: dict[str, set[str]] = {}
    for chart, values in charts:
        for container in _containers(chart, values):
            command = (container.get("command") or [_DEFAULT])[0]
            name = str(Reference.parse(container["image"]))
            commands.setdefault(name, set()).add(str(command))
    images = []
    for number, (name, programs) in enumerate(sorted(commands.items())):
        paths = {_place(each) for each in (*programs, _DEFAULT)}
        files = dict.fromkeys(paths, BIN / "pause")
        layer = imagefile.layer(target.with_name(f"{number}.layer"), files)
        config = {"Env": [f"PATH=/{_FOLDER}"], "Entrypoint": [_DEFAULT]}
        images.append(Image(name=name, layer=layer, config=config))
    imagefile.write(target, images)
    return target


def _place(command: str) -> str:
    return command.lstrip("/") if command.startswith("/") else f"{_FOLDER}/{command}"


def _containers(chart: Chart, values: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    rendered = SdkRenderer().template(chart, values, kube_version=KUBERNETES)
    for path, text in rendered.items():
        if path.endswith(".yaml"):
            for document in safeyaml.load_all(text, what=path):
                yield from _within(document)


def _within(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, list):
        for each in node:
            yield from _within(each)
    elif isinstance(node, dict):
        for key, value in node.items():
            if key in {"containers", "initContainers"} and isinstance(value, list):
                yield from (each for each in value if isinstance(each, dict) and "image" in each)
            else:
                yield from _within(value)
