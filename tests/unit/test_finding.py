from __future__ import annotations

import dataclasses

from rke2pack.finding import Finding

FINDING = Finding(
    severity="warning",
    check="system-default-registry",
    subject="demo 1.0.0",
    expected="an image below global.systemDefaultRegistry",
    got="rancher/demo:v1",
)


def test_finding_is_one_greppable_line() -> None:
    assert str(FINDING) == (
        "warning: demo 1.0.0: expected an image below global.systemDefaultRegistry, "
        "got rancher/demo:v1 [system-default-registry]"
    )


def test_json_carries_every_field() -> None:
    assert FINDING.to_json() == dataclasses.asdict(FINDING)
