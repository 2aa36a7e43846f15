"""What tests of validate share: rows, charts of given objects, what was found."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tests.unit.stages.conftest import Answer, chart

IMAGE = "rancher/a:v1.0.1"
ROWS = [
    {"name": "old", "rke2": "v1.31.9+rke2r1", "manual": ["looked at"]},
    {
        "name": "new",
        "rke2": "v1.32.5+rke2r1",
        "rancher": {"edition": "community", "version": "v2.11.2"},
    },
]
Build = Callable[..., Path]
Validate = Callable[..., Answer]


def with_objects(name: str, *bodies: Mapping[str, Any]) -> dict[str, str]:
    files = chart(name, "1.0.000")
    for number, body in enumerate(bodies):
        files[f"templates/{number}.yaml"] = json.dumps(body)
    return files


def found(answer: Answer) -> set[tuple[str, str]]:
    return {(each["severity"], each["check"]) for each in answer.json["findings"]}
