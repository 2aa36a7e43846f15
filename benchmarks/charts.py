"""Charts: rke2pack beside the helm binary and beside itself, as ratios of one run.

Runs on the lab's charts, or on real ones: ``nox -s bench -- charts --charts-repo DIR``.
Every figure is the median of several rounds; timings of different machines do not compare, the
ratios do.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from helm_program import unpack

from rke2pack.lab import repository
from rke2pack.lists.survey import Surveyor
from rke2pack.settings import Settings
from rke2pack.workspace import Workspace

CHART = "harvester-cloud-provider"
ROOT = Path(__file__).resolve().parent.parent
PROGRAM = [sys.executable, "-m", "rke2pack"]


def main(arguments: list[str]) -> None:
    """Measure, and print one line a figure."""
    parser = argparse.ArgumentParser(prog="charts", description=__doc__)
    parser.add_argument("--charts-repo", type=Path, help="a folder; the lab's charts without it")
    parser.add_argument("--helm", type=Path, help="a helm program; from the bench lock without it")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rke2pack-bench-") as name:
        folder = Path(name)
        charts = options.charts_repo or repository.build(folder / "charts")
        tree = copy_tree(folder / "tree", charts)
        helm = options.helm or unpack(folder)
        if helm is None:
            sys.exit("no helm program: run 'nox -s bench', or name one with --helm")
        print(f"charts: {charts if options.charts_repo else 'lab'}, helm: {version_of(helm)}")
        images(tree, charts, helm, options.rounds)
        bumps(tree, charts, folder, options.rounds)


def images(tree: Path, charts: Path, helm: Path, rounds: int) -> None:
    """Measure all renders of a tree: `images` without a cache beside one helm process each."""
    jobs = renders(tree, charts, tree.parent)
    cache = tree.parent / "cache"
    empty = median(rounds, lambda: run_images(tree, charts, cache, forget=cache))
    ours = median(rounds, lambda: run_images(tree, charts, cache, forget=cache / "surveys"))
    peer = median(rounds, lambda: run_helm(helm, jobs))
    ratio = f"rke2pack {ours:.2f} s, helm {peer:.2f} s: {peer / ours:.1f}x"
    print(f"images, {len(jobs)} renders of downloaded charts: {ratio}")
    print(f"images, the index and every chart read anew: {empty:.2f} s: {peer / empty:.1f}x")


def bumps(tree: Path, charts: Path, folder: Path, rounds: int) -> None:
    """Measure a warm bump: process time above an interpreter that does nothing."""
    where = ["--tree", str(tree), "--charts-repo", str(charts), "--cache-dir", str(folder / "warm")]
    bump = [*PROGRAM, "bump", CHART, "0.2.10", "--dry-run", "--quiet", *where]
    subprocess.run(bump, check=True, stdout=subprocess.DEVNULL)
    start = statistics.median(cpu([sys.executable, "-c", ""]) for _ in range(rounds))
    warm = statistics.median(cpu(bump) for _ in range(rounds))
    help_ = statistics.median(cpu([*PROGRAM, "--help"]) for _ in range(rounds))
    print(f"bump, warm: {warm - start:.2f} s of process time above Python's own {start:.2f} s")
    print(f"--help: {help_ - start:.2f} s of process time above Python's own")


def renders(tree: Path, charts: Path, folder: Path) -> list[tuple[str, Path, Path]]:
    """Every chart and variant of the tree: name, archive and a file with the values."""
    settings = Settings(
        tree=tree, charts_repo=str(charts), registry=None, platforms=(), components=(),
        cache_dir=folder / "renders", ca_file=None, helm=None, is_prime=False, is_offline=False,
        is_dry_run=False, allows_missing_digest=False, is_lab=False,
    )  # fmt: skip
    workspace = Workspace(settings=settings)
    surveyor = Surveyor(
        renderer=workspace.renderer, cache=workspace.cache, kube_version=workspace.tree.kube_version
    )
    jobs = []
    for name, version in workspace.bundled().items():
        chart = workspace.chart(name, version)
        archive = folder / f"{name}.tgz"
        archive.write_bytes(chart.data)
        for variant, values in surveyor.variants(workspace.tree.components.rules(name)).items():
            path = folder / f"{name}.{variant}.json"
            path.write_text(json.dumps(values))
            jobs.append((name, archive, path))
    return jobs


def run_images(tree: Path, charts: Path, cache: Path, *, forget: Path) -> None:
    """Run `images --check` as a process, after forgetting a part of the cache."""
    shutil.rmtree(forget, ignore_errors=True)
    where = ["--tree", str(tree), "--charts-repo", str(charts), "--cache-dir", str(cache)]
    run([*PROGRAM, "images", "--check", "--quiet", *where])


def run_helm(helm: Path, jobs: Sequence[tuple[str, Path, Path]]) -> None:
    """Render the same charts and values with the helm program."""
    for name, archive, values in jobs:
        where = ["--namespace", "kube-system", "--kube-version", "v1.32.4", "--include-crds"]
        run([str(helm), "template", name, str(archive), "--values", str(values), *where])


def run(command: Sequence[str]) -> None:
    """Run a command silently; it must succeed."""
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def median(rounds: int, work: Callable[[], None]) -> float:
    """Median wall time of ``work`` in seconds."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def cpu(command: Sequence[str]) -> float:
    """Process time of a command, its children's included, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def copy_tree(tree: Path, charts: Path) -> Path:
    """Copy the project's tree and let its manifests name the archives of ``charts``."""
    shutil.copytree(ROOT / "charts-manifest", tree / "charts-manifest")
    shutil.copyfile(ROOT / "images.txt", tree / "images.txt")
    where = ["--tree", str(tree), "--charts-repo", str(charts), "--cache-dir", str(tree / "cache")]
    run([*PROGRAM, "charts", "--references", *where])
    return tree


def version_of(helm: Path) -> str:
    """Ask a helm program for its version."""
    command = [str(helm), "version", "--template", "{{.Version}}"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout
