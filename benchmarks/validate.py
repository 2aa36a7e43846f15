"""Validate: level static over the whole matrix beside the bare time of its renders, in one run.

Runs on the lab's charts, or on real ones: ``nox -s bench -- validate --charts-repo DIR``. Both run
in this process, with the charts fetched; every figure is the median of several rounds.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from charts import copy_tree, median

from rke2pack import cli, files
from rke2pack.errors import ValidationError
from rke2pack.lab import repository
from rke2pack.lists.survey import Surveyor
from rke2pack.settings import Settings
from rke2pack.validate.matrix import NAME, Matrix
from rke2pack.workspace import Workspace

_WORKERS = 4  # as validate has


def main(arguments: list[str]) -> None:
    """Measure, and print one line a figure."""
    parser = argparse.ArgumentParser(prog="validate", description=__doc__)
    parser.add_argument("--charts-repo", type=Path, help="a folder; the lab's charts without it")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args(arguments)
    with tempfile.TemporaryDirectory(prefix="rke2pack-bench-") as name:
        folder = Path(name)
        charts = options.charts_repo or repository.build(folder / "charts")
        tree = copy_tree(folder / "tree", charts)
        jobs = renders(tree, charts)
        bare = median(options.rounds, partial(all_of, jobs))
        cold = median(options.rounds, lambda: validate(tree, charts, forget=True))
        warm = median(options.rounds, lambda: validate(tree, charts, forget=False))
    limit = " [at most 4x]" if options.charts_repo else " (the lab's charts render in no time)"
    print(f"{len(jobs)} renders: bare {bare:.2f} s; validate, nothing kept: {cold:.2f} s,")
    print(f"  {cold / bare:.1f}x{limit}; again: {warm:.2f} s [below 2 s]")


def renders(tree: Path, charts: Path) -> list[Callable[[], object]]:
    """Every row x chart x variant of the tree, to be rendered and thrown away."""
    settings = Settings(
        tree=tree, charts_repo=str(charts), registry=None, platforms=(), components=(),
        cache_dir=tree / "cache", ca_file=None, helm=None, is_prime=False, is_offline=False,
        is_dry_run=False, allows_missing_digest=False, is_lab=False,
    )  # fmt: skip
    workspace = Workspace(settings=settings)
    components, path = workspace.tree.components, workspace.tree.path(NAME)
    matrix = Matrix.parse(files.read_text(path), what=NAME, components=components)
    jobs: list[Callable[[], object]] = []
    for row in matrix.rows:
        kube = row.kube_version
        renderer = workspace.renderer
        surveyor = Surveyor(renderer=renderer, cache=workspace.cache, kube_version=kube)
        for name, version in workspace.bundled().items():
            chart = workspace.chart(name, version)
            jobs += [
                partial(renderer.template, chart, values, kube_version=kube)
                for values in surveyor.variants(components.rules(name)).values()
            ]
    return jobs


def all_of(jobs: list[Callable[[], object]]) -> None:
    """Run jobs side by side."""
    with ThreadPoolExecutor(max_workers=_WORKERS) as pool:
        for future in [pool.submit(job) for job in jobs]:
            future.result()


def validate(tree: Path, charts: Path, *, forget: bool) -> None:
    """Run the command in this process; ``forget`` what it kept first."""
    if forget:
        shutil.rmtree(tree / "cache/validate", ignore_errors=True)
    options = [
        "--tree",
        str(tree),
        "--charts-repo",
        str(charts),
        "--cache-dir",
        str(tree / "cache"),
    ]
    code = cli.run(["validate", *options, "--quiet", "--dry-run"])
    assert code in {0, ValidationError.exit_code}
