"""A small tree with charts, archives, lists and checksums, ready to be released."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from rke2pack.cli import run
from rke2pack.oci.store.layout import Layout
from tests.unit.oci.imaging import layer, put_image
from tests.unit.stages.conftest import Answer, chart, write_repository, write_tree

TAG = "v1.32.4+rke2r1"
IMAGES = ("docker.io/example/dns:v1", "docker.io/example/pause:3.6")
EPOCH = "1735689600"
ARCHIVE = "rke2-images-core.linux-amd64.tar.zst"
LIST = "rke2-images-core.linux-amd64.txt"


@dataclass(kw_only=True)
class Bench:
    """A tree outside git whose dist/ is complete, and the command line."""

    root: Path
    capsys: pytest.CaptureFixture[str]
    monkeypatch: pytest.MonkeyPatch

    @property
    def tree(self) -> Path:
        return self.root / "tree"

    @property
    def artifacts(self) -> Path:
        return self.tree / "dist/artifacts"

    @property
    def charts(self) -> Path:
        return self.tree / "dist/charts"

    @property
    def output(self) -> Path:
        return self.tree / "dist/release"

    @property
    def report(self) -> Path:
        return self.tree / "dist/validate/report.json"

    def run(self, *arguments: str | Path) -> Answer:
        self.capsys.readouterr()
        code = run([*map(str, arguments)])
        captured = self.capsys.readouterr()
        return Answer(code=code, out=captured.out, err=captured.err)

    def release(self, *arguments: str | Path, tag: str = TAG) -> Answer:
        where = ("--tree", self.tree, "--cache-dir", self.root / "cache")
        repository = ("--charts-repo", self.root / "charts")
        return self.run("release", tag, *where, *repository, *arguments)

    def verify(self, *arguments: str | Path) -> Answer:
        return self.run("verify", *arguments)

    def files(self) -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in sorted(self.output.iterdir())}

    def write_sums(self) -> None:
        """Write the checksum lists as airgap does."""
        for arch in ("amd64", "arm64"):
            paths = sorted(p for p in self.artifacts.glob(f"rke2*{arch}*"))
            lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}\n" for p in paths]
            (self.artifacts / f"sha256sum-{arch}.txt").write_text("".join(lines))

    def write_report(self, **changes: Any) -> None:  # noqa: ANN401 - JSON
        subject = "prime-2.10: rke2-coredns 1.39.201"
        result = {"subject": subject, "check": "render", "status": "passed", "detail": ""}
        row = {"name": "prime-2.10", "rke2": "v1.31.9+rke2r1", "rancher": "Rancher Prime v2.10.6",
               "manual": ["nodes of Example Linux"], "notes": ""}  # fmt: skip
        document = {"level": "static", "results": [result], "findings": [], "explained": [],
                    "rows": [row], **changes}  # fmt: skip
        self.report.parent.mkdir(parents=True, exist_ok=True)
        self.report.write_text(json.dumps(document))

    def commit(self, message: str = "a release", *tags: str) -> str:
        """Commit the tree's files, at a known time, and tag them."""
        self.git("init", "--quiet", "--initial-branch", "main")
        (self.tree / ".gitignore").write_text("/dist/\n/.rke2pack/\n")
        self.git("add", "--all")
        self.git("commit", "--quiet", "--allow-empty", "--message", message)
        for tag in tags:
            self.git("tag", tag)
        return self.git("rev-parse", "HEAD").strip()

    def git(self, *arguments: str) -> str:
        dates = {f"GIT_{role}_DATE": "2025-02-03T04:05:06Z" for role in ("AUTHOR", "COMMITTER")}
        done = subprocess.run(["git", *arguments], cwd=self.tree, check=True, capture_output=True,
                              text=True, env={**os.environ, **dates})  # fmt: skip
        return done.stdout


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tree with its dist/, its charts and its cache, to be copied."""
    root = tmp_path_factory.mktemp("made")
    write_repository(
        root / "charts",
        chart("rke2-coredns", "1.39.201", image="example/dns:v1"),
        chart("rke2-coredns", "1.40.000", image="example/dns:v2"),
    )
    tree = write_tree(root / "tree", {"rke2-coredns": "1.39.201", "rke2-old": "0.0.0"})
    (tree / "images.txt").write_text(
        "# component: core\n" + "".join(f"{name}\n" for name in IMAGES)
    )
    layout = Layout.open(root / "cache/store")
    for name in IMAGES:
        put_image(layout, name, [(layer({"name": name.encode() * 50}), "gzip")])
    where = ("--tree", str(tree), "--cache-dir", str(root / "cache"), "--quiet")
    repository = ("--charts-repo", str(root / "charts"))
    for command in (["charts", "--references"], ["charts"], ["airgap"]):
        assert run([*command, *where, *repository]) == 0
    return root


@pytest.fixture
def bench(
    made: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> Bench:
    root = Path(shutil.copytree(made, tmp_path / "bench"))
    monkeypatch.setenv("SOURCE_DATE_EPOCH", EPOCH)
    for name in list(os.environ):  # a CI service may have an identity and a token of its own
        if name.startswith(("ACTIONS_", "BUILDKITE", "CIRCLE", "GITLAB", "GH_", "SIGSTORE_")):
            monkeypatch.delenv(name)
    bench = Bench(root=root, capsys=capsys, monkeypatch=monkeypatch)
    bench.write_report()
    return bench


def wrong(bench: Bench, *arguments: str | Path, tag: str = TAG) -> dict[str, Any]:
    """Release, which must fail and write nothing; return the error."""
    answer = bench.release("--json", *arguments, tag=tag)
    assert answer.code != 0
    assert not bench.output.exists()
    error: dict[str, Any] = answer.json["error"]
    assert error["exit_code"] == answer.code
    return error
