"""What tests put on the bench: charts of a few bytes, a tree, and a look at all of it."""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from rke2pack import cli
from rke2pack.digest import Digest
from rke2pack.helm import archive
from rke2pack.helm.archive import Member
from rke2pack.helm.chart import Chart
from rke2pack.helm.repository import ChartRepository

CHART = "harvester-cloud-provider"
Open = Callable[..., ChartRepository]


def content(folder: Path) -> dict[str, str]:
    """Path -> digest (or link target) of all there is below a folder.

    The lock stays behind by design (a lock file that is removed locks nothing), and so does
    what keeps it out of git's sight.
    """
    found = {}
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if name in {".rke2pack", ".rke2pack/lock", ".rke2pack/.gitignore"}:
            continue
        found[name] = str(Digest.of(path.read_bytes())) if path.is_file() else "folder"
    return found


def chart_archive(name: str = CHART, version: str = "0.2.1100", **files: str) -> bytes:
    """Pack a small chart; ``files`` replace its own (``Chart_yaml`` is Chart.yaml)."""
    own = {"Chart_yaml": f"apiVersion: v2\nname: {name}\nversion: {version}\n", **files}
    return archive.pack(
        Member(f"{name}/{path.replace('_', '.')}", text.encode()) for path, text in own.items()
    )


def tar_gz(*members: tarfile.TarInfo | tuple[str, bytes]) -> bytes:
    """Pack members as they are, however hostile."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return gzip.compress(buffer.getvalue(), mtime=0)


def make_tree(project: Path, charts: Path, folder: Path) -> tuple[Path, Path]:
    """Make a tree whose manifests name the lab's archives, and a cache that knows them."""
    tree, cache = folder / "tree", folder / "cache"
    shutil.copytree(project / "charts-manifest", tree / "charts-manifest")
    shutil.copy(project / "images.txt", tree)
    source = ["--quiet", "--tree", str(tree), "--charts-repo", str(charts)]
    source += ["--cache-dir", str(cache)]
    assert cli.run(["charts", "--references", *source]) == 0
    assert cli.run(["images", *source]) == 0
    return tree, cache


@dataclass(kw_only=True)
class Bump:
    """Runs ``bump`` twice, for people and with --json, and checks that both say the same."""

    tree: Path
    source: str
    cache: Path
    capsys: pytest.CaptureFixture[str]
    ignored: tuple[str, ...] = field(default=())

    def fails(
        self, code: int, message: str, *arguments: str, hint: str | None = None
    ) -> dict[str, Any]:
        arguments = arguments or (CHART, "0.2.1100")
        options = ["--tree", str(self.tree), "--charts-repo", self.source]
        options += ["--cache-dir", str(self.cache)]
        before = content(self.tree)
        assert cli.run(["bump", *options, *arguments]) == code
        shown = self.capsys.readouterr()
        assert shown.out == ""
        lines = shown.err.splitlines()
        assert f"error: {message}" in lines
        assert [line for line in lines if line.startswith("hint: ")] == (
            [f"hint: {hint}"] if hint else []
        )
        assert "Traceback" not in shown.err
        assert cli.run(["bump", "--json", *options, *arguments]) == code
        document: dict[str, Any] = json.loads(self.capsys.readouterr().out)
        assert set(document) == {"error"}
        error: dict[str, Any] = document["error"]
        assert (error["exit_code"], error["message"], error["hint"]) == (code, message, hint)
        assert content(self.tree) == before
        return error

    def succeeds(self, *arguments: str) -> str:
        arguments = arguments or (CHART, "0.2.1100")
        options = ["--tree", str(self.tree), "--charts-repo", self.source]
        assert cli.run(["bump", *options, "--cache-dir", str(self.cache), *arguments]) == 0
        return self.capsys.readouterr().err


def chart(repository: ChartRepository) -> Chart:
    (entry,) = repository.index().entries(CHART)
    return repository.fetch(entry)
