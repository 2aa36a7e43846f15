"""kind.yml: archives once, then a cluster for each row of the support matrix."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from benchmarks.helm_program import unpack
from tests.integration.workflows.runner import Runner
from tests.kind.conftest import Missing, docker_host, engine_folder, node_image
from tests.kind.node.places import BIN, KUBERNETES

__all__ = ["docker_host", "engine_folder", "node_image"]
WORKFLOW = "kind.yml"
CHART, COMPONENT = "harvester-cloud-provider", "harvester"
LABELLED = {"action": "labeled", "pull_request": {"labels": [{"name": "kind"}]}}


@pytest.mark.timeout(1500, func_only=True)
def test_labelled_change_is_tried_in_a_cluster(
    runner: Runner, docker_host: str, tmp_path: Path, missing: Missing
) -> None:
    helm = shutil.which("helm") or unpack(tmp_path) or missing("helm", "helm is not on PATH")
    rows = {"rows": [{"name": "live", "rke2": f"{KUBERNETES}+rke2r1"}]}
    matrix = runner.repository / "charts-manifest/support-matrix.yaml"
    matrix.write_text(json.dumps(rows))
    environment = {
        "DOCKER_HOST": docker_host,
        "PATH": f"{BIN}{os.pathsep}{runner.environment['PATH']}",
        "RKE2PACK_AIRGAP_COMPONENT": COMPONENT,
        "RKE2PACK_PULL_COMPONENT": COMPONENT,
        "RKE2PACK_VALIDATE_CHART": CHART,
        "RKE2PACK_VALIDATE_HELM": str(helm),
    }
    ran = runner.run(WORKFLOW, "pull_request", payload=LABELLED, **environment)
    assert (ran.code, ran.failed, ran.left(runner.repository, WORKFLOW)) == (0, {}, {}), ran.output
    assert "live" in ran.output


def test_change_without_the_label_is_not(runner: Runner) -> None:
    other = {"action": "labeled", "pull_request": {"labels": [{"name": "documentation"}]}}
    ran = runner.run(WORKFLOW, "pull_request", payload=other)
    assert (ran.code, ran.done) == (0, set()), ran.output
