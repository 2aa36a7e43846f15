"""A repository like this one, small and fit for the lab's charts, with a remote and lines."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rke2pack.cli import run
from rke2pack.console import Console
from rke2pack.lab import scratch
from rke2pack.settings import Settings

TAG: Final = "v1.32.4+rke2r1"
LINES: Final = ("release-1.31", "release-1.32")
COPIED: Final = (
    *(".dockerignore", ".github", ".gitignore", "Dockerfile", "LICENSE", "README.md"),
    *("action.yml", "build", "noxfile.py", "pyproject.toml", "requirements"),
    *("tests/__init__.py", "tests/compatibility.py", "tests/conftest.py", "tests/kind/node"),
    *("tests/kind/rows.py", "tests/integration/containerd"),
)
TIERS: Final = ("unit", "contract", "upstream", "integration")
WORDS: Final = ("BUMP", "CHARTS", "IMAGES", "MERGE", "PLAN", "RELEASE", "REPORT", "VALIDATE")
_TEST: Final = '"""A tier of one test."""\n\n\ndef test_tier_is_run() -> None:\n    assert True\n'
# One file is linted: the whole is what session lint does outside of this test.
_LINT: Final = {
    "mypy.ini": "[mypy]\nfiles = noxfile.py\nstrict = True\n",
    "ruff.toml": 'include = ["noxfile.py"]\nline-length = 100\n',
}


@dataclass(frozen=True, kw_only=True)
class Network:
    """Where the lab's charts and images are, for as long as it is open."""

    charts: str
    images: str
    tree: Path

    def environment(self) -> Mapping[str, str]:
        """Return what makes every word ask the lab instead of the world."""
        endpoint = f"docker.io={self.images}/docker.io"
        return {
            **{f"RKE2PACK_{word}_CHARTS_REPO": self.charts for word in WORDS},
            **{f"RKE2PACK_{word}_ENDPOINT": endpoint for word in ("AIRGAP", "IMAGES", "PULL")},
        }


@contextmanager
def network(project: Path, folder: Path) -> Iterator[Network]:
    """Serve the lab; ``tree`` fits its charts."""
    tree = folder / "lab"
    shutil.copytree(project / "charts-manifest", tree / "charts-manifest")
    shutil.copyfile(project / "images.txt", tree / "images.txt")
    settings = Settings(
        tree=tree, charts_repo=None, registry=None, platforms=(), components=(),
        cache_dir=folder / "lab-cache", ca_file=None, helm=None, is_prime=False,
        is_offline=False, is_dry_run=False, allows_missing_digest=False, is_lab=True,
    )  # fmt: skip
    with scratch.opened(settings, Console(verbosity=-1)) as opened:
        assert opened.lab is not None
        assert opened.charts_repo is not None
        yield Network(charts=opened.charts_repo, images=opened.lab.registry, tree=opened.tree)


def make(project: Path, folder: Path, lab: Network) -> Path:
    """Make the repository, as a clone of ``remote.git`` beside it; both have the tag."""
    root, remote = folder / "repository", folder / "remote.git"
    for name in COPIED:
        source = project / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, root / name)
    for tier in TIERS:
        (root / "tests" / tier).mkdir(parents=True, exist_ok=True)
        (root / "tests" / tier / "test_tier.py").write_text(_TEST)
    for name, text in _LINT.items():
        (root / name).write_text(text)
    shutil.copytree(lab.tree / "charts-manifest", root / "charts-manifest")
    shutil.copyfile(lab.tree / "images.txt", root / "images.txt")
    endpoint = f"docker.io={lab.images}/docker.io"
    locked = ["images", "--lock", "--quiet", "--tree", str(root), "--endpoint", endpoint]
    locked += ["--charts-repo", lab.charts, "--cache-dir", str(folder / "cache")]
    assert run(locked) == 0
    git(folder, "init", "--quiet", "--bare", "--initial-branch", "main", str(remote))
    git(root, "init", "--quiet", "--initial-branch", "main")
    git(root, "remote", "add", "origin", str(remote))
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", "begin")
    git(root, "tag", TAG)
    lines = (f"HEAD:refs/heads/{line}" for line in LINES)
    git(root, "push", "--quiet", "origin", "main", TAG, *lines)
    git(root, "fetch", "--quiet", "origin")
    return root


def git(folder: Path, *arguments: str) -> str:
    """Run git; it must succeed."""
    done = subprocess.run(
        ["git", *arguments], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
