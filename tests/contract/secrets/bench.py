"""One machine with everything that a credential can be for, and others that must not get it."""

from __future__ import annotations

import contextlib
import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from rke2pack.cli import run
from tests.contract import simulator as repositories
from tests.contract.oci import images
from tests.contract.oci import simulator as registries
from tests.contract.secrets import witness
from tests.contract.workbench import CHART

IMAGE = "docker.io/rancher/demo:v1"
MADE = images.manifest(images.AMD64, [images.noise(2000, 1)])


@dataclass(kw_only=True)
class Bench:
    """The rightful hosts, the other ones, a tree, and what was planted where."""

    root: Path
    home: Path
    monkeypatch: pytest.MonkeyPatch
    capsys: pytest.CaptureFixture[str]
    charts: repositories.Simulator
    registry: registries.Simulator
    other_charts: repositories.Simulator
    neighbour: repositories.Simulator
    other_registry: registries.Simulator
    host: str = ""
    source: list[str] = field(default_factory=list)
    secrets: list[str] = field(default_factory=lambda: [witness.CANARY])
    own: set[Path] = field(default_factory=set)
    said: str = ""

    @property
    def tree(self) -> Path:
        return self.root / "tree"

    def plant(self, path: Path, text: str, *, mode: int = 0o600) -> Path:
        """Write a file that holds a secret by right."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(mode)
        self.own.add(path)
        return path

    def set(self, **variables: str) -> None:
        for name, value in variables.items():
            self.monkeypatch.setenv(name, value)

    def run(self, *arguments: str | Path) -> int:
        """Run a command line, talkative, and keep what it says."""
        self.capsys.readouterr()
        witness.started.clear()
        code = run([*map(str, arguments), "--json", "-v", "--cache-dir", str(self.root / "cache")])
        captured = self.capsys.readouterr()
        self.said = captured.out + captured.err
        return code

    def arrived(self) -> bool:
        """Whether the rightful host got the secret, so that there was something to lose."""
        requests = [*witness.sent(self.charts.requests), *witness.sent(self.registry.requests)]
        # An identity token travels in a body, which the simulator does not keep.
        posted = self.registry.asked("POST", "/token")
        return bool(witness.told(requests, self.secrets) or posted)

    def leaks(self) -> list[str]:
        """Say where a secret is that is none of its places."""
        others: list[witness.Request] = [
            *self.other_charts.requests,
            *self.neighbour.requests,
            *self.other_registry.requests,
        ]
        found = {
            "output": [self.said],
            "arguments": witness.started,
            "other hosts": witness.sent(others),
        }
        leaks = [name for name, texts in found.items() if witness.told(texts, self.secrets)]
        for path, text in witness.written((self.root, self.home), self.own):
            if witness.told([text], self.secrets):
                leaks.append(str(path))
        return leaks


def fill(root: Path) -> None:
    """Put an image into the store, as an earlier pull did."""
    images.write(root / "cache/store", {IMAGE: MADE})


@contextlib.contextmanager
def machine(
    *,
    tree: Path,
    home: Path,
    charts: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    registry: Callable[[], contextlib.AbstractContextManager[registries.Simulator]],
) -> Iterator[Bench]:
    """Start all hosts; the other ones have the same content and ask nobody who they are."""
    with (
        repositories.serving() as ours,
        repositories.serving(host="127.0.0.2") as theirs,
        repositories.serving() as neighbour,
        registry() as own,
        registries.serving(address="127.0.0.2") as foreign,
    ):
        for path in charts.rglob("*"):
            if path.is_file():
                name = f"/{path.relative_to(charts)}"
                for each in (ours, theirs, neighbour):
                    each.files[name] = path.read_bytes()
        for hub in (own, foreign):
            hub.push("rancher/demo", MADE, "v1")
        bench = Bench(
            root=tree.parent, home=home, monkeypatch=monkeypatch, capsys=capsys, charts=ours,
            registry=own, other_charts=theirs, neighbour=neighbour, other_registry=foreign,
            host=own.host, source=["--charts-repo", ours.url],
        )  # fmt: skip
        (tree / "images.txt").write_text(f"# component: core (linux/amd64)\n{IMAGE}\n")
        monkeypatch.chdir(tree.parent)
        bench.set(GITHUB_ACTIONS="true", GITHUB_STEP_SUMMARY=str(tree.parent / "summary.md"))
        yield bench


# ---- words

Word = Callable[[Bench], int]


def bump(bench: Bench) -> int:
    where: tuple[str | Path, ...] = ("--tree", bench.tree, *bench.source)
    return bench.run("bump", CHART, "0.2.10", "--report", bench.root / "report.md", *where)


def commit(bench: Bench) -> int:
    """Bump in a checkout, whose repositories.yaml is nobody's to commit."""
    git = ("git", "-C", str(bench.tree))
    for words in (["init", "--quiet"], ["add", ".", ":!charts-manifest/repositories.yaml"],
                  ["commit", "--quiet", "--message", "begin"]):  # fmt: skip
        subprocess.run([*git, *words], check=True)
    where: tuple[str | Path, ...] = ("--tree", bench.tree, *bench.source)
    return bench.run("bump", CHART, "0.2.11", "--commit", "--branch", "bump", *where)


def page(bench: Bench) -> int:
    where: tuple[str | Path, ...] = ("--tree", bench.tree, *bench.source)
    return bench.run("report", *where)


def charts(bench: Bench) -> int:
    return bench.run("charts", "--tree", bench.tree, *bench.source)


def diff(bench: Bench) -> int:
    where: tuple[str | Path, ...] = ("--tree", bench.tree, *bench.source)
    return bench.run("diff", CHART, "0.2.900", "0.2.10", *where)


def lists(bench: Bench) -> int:
    return bench.run("images", "--tree", bench.tree, *bench.source)


def _ask(bench: Bench, host: str) -> tuple[str | Path, ...]:
    hub = ("--endpoint", f"docker.io=http://{host}", "--insecure-registry", bench.host)
    return (*hub, "--tree", bench.tree)


def pull(bench: Bench) -> int:
    return bench.run("pull", IMAGE, "--platform", "linux/amd64", *_ask(bench, bench.host))


def mirror_from(bench: Bench) -> int:
    target = bench.other_registry.host
    more = ("--platform", "linux/amd64", "--insecure-registry", target)
    return bench.run("mirror", f"{target}/team", IMAGE, *_ask(bench, bench.host), *more)


def mirror_to(bench: Bench) -> int:
    source = bench.other_registry.host
    more = ("--platform", "linux/amd64", "--insecure-registry", source)
    return bench.run("mirror", f"{bench.host}/team", IMAGE, *_ask(bench, source), *more)


def lock(bench: Bench) -> int:
    return bench.run("images", "--lock", *_ask(bench, bench.host))


def push(bench: Bench) -> int:
    fill(bench.root)
    more = ("--insecure-registry", bench.host)
    return bench.run("cache", "push", f"{bench.host}/ci/cache:main", *more)


def docker_config(bench: Bench, document: object) -> None:
    bench.plant(bench.home / ".docker/config.json", json.dumps(document))
