"""release.yml: from a tag to a published release that proves who made it, or to nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.github import sigstore as services
from tests.contract.github.sigstore import Sigstore
from tests.contract.github.simulator import Simulator, simulated
from tests.integration.archives.conftest import Consumer
from tests.integration.container.conftest import socket
from tests.integration.workflows.repository import TAG, git
from tests.integration.workflows.runner import REPOSITORY, TOKEN, Ran, Runner

WORKFLOW = "release.yml"
ISSUER = "https://token.actions.githubusercontent.com"
SIGNER = f"https://github.com/{REPOSITORY}/.github/workflows/{WORKFLOW}@refs/tags/{TAG}"
SHARDS = 3


@dataclass(kw_only=True)
class Site:
    """GitHub and sigstore, and what a job is told of them."""

    github: Simulator
    sigstore: Sigstore
    environment: Mapping[str, str]

    def release(self, runner: Runner) -> Ran:
        """Push the tag."""
        self.github.tags[TAG] = git(runner.repository, "rev-parse", "HEAD")
        git(runner.repository, "checkout", "--quiet", "--detach", TAG)
        payload = {"ref": f"refs/tags/{TAG}"}
        options = ("--env", f"SHARDS={SHARDS}")
        return runner.run(WORKFLOW, "push", *options, payload=payload, **self.environment)


@pytest.fixture
def site(engine: Consumer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setattr(services, "ISSUER", ISSUER)
    with simulated() as github, services.running() as sigstore:
        sigstore.identity = SIGNER
        trust, roots = tmp_path / "trust.json", tmp_path / "roots.json"
        trust.write_text(json.dumps(sigstore.trust_config()))
        roots.write_text(json.dumps(sigstore.trusted_root()))
        environment = {
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job",
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{sigstore.url}/token?x=1",
            "DOCKER_HOST": socket(engine),
            "GITHUB_WORKFLOW_REF": SIGNER.removeprefix("https://github.com/"),
            "RKE2PACK_RELEASE_API": github.url,
            "RKE2PACK_RELEASE_TRUST_CONFIG": str(trust),
            "RKE2PACK_VERIFY_TRUSTED_ROOT": str(roots),
            "STANDIN_API": github.url,
        }
        yield Site(github=github, sigstore=sigstore, environment=environment)


@pytest.mark.timeout(1500)
def test_tag_becomes_a_published_release(runner: Runner, site: Site) -> None:
    ran = site.release(runner)
    assert (ran.code, ran.failed, ran.left(runner.repository, WORKFLOW)) == (0, {}, {}), ran.output
    (release,) = site.github.releases
    assert (release.tag, release.is_draft) == (TAG, False)
    assert {"provenance.sigstore.json", "report.html", "sha256sum-amd64.txt"} <= {*release.assets}
    shards = {path.name for path in (runner.repository.parent.parent / "artifacts").iterdir()}
    assert shards == {
        *(f"shard-{n}-of-{SHARDS}" for n in range(1, SHARDS + 1)),
        "made",
        "signature",
    }
    assert site.github.tokens_elsewhere == []
    assert TOKEN not in ran.output


@pytest.mark.timeout(1500)
def test_draft_that_another_workflow_signed_is_not_published(runner: Runner, site: Site) -> None:
    site.sigstore.identity = SIGNER.replace(WORKFLOW, "other.yml")
    ran = site.release(runner)
    (release,) = site.github.releases
    assert (ran.code, release.is_draft) == (1, True), ran.output
    (failed,) = ran.failed
    assert failed[0] == "publish"
    assert "provenance.sigstore.json" in ran.failed[failed]


def test_shard_that_is_lost_leaves_no_release(runner: Runner, site: Site) -> None:
    ran = runner_without_images(runner, site)
    assert {job for job, _ in ran.failed} == {"shard"}
    assert (ran.code, site.github.requests, site.github.releases) == (1, [], [])


def runner_without_images(runner: Runner, site: Site) -> Ran:
    """Push the tag while nothing can be pulled."""
    nowhere = {**site.environment, "RKE2PACK_AIRGAP_ENDPOINT": "docker.io=http://127.0.0.1:9"}
    site.environment = nowhere
    return site.release(runner)
