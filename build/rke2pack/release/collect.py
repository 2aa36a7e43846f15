"""Collect: the files that a release has to have, and nothing else, each as its list says."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from rke2pack import files
from rke2pack.digest import Digest
from rke2pack.errors import PackError, ReleaseError
from rke2pack.helm import manifest
from rke2pack.oci.intake import archivefile
from rke2pack.oci.intake.archivefile import ArchiveFile
from rke2pack.oci.platform import Platform
from rke2pack.oci.reference import Reference
from rke2pack.release import contents, sums
from rke2pack.release.asset import Asset, Kind
from rke2pack.release.digests import Digests
from rke2pack.release.sums import Sums
from rke2pack.shards.archives import Archives, Target
from rke2pack.tree.native import NativeTree
from rke2pack.tree.versions import BundledChart

FORMATS = (".tar.zst", ".tar.gz")
_HEAD = 4096
# What is hidden, and the records that shards leave beside their archives.
_OWN = re.compile(r"\.|shard-\d+-of-\d+\.json\Z")
Shipped = Mapping[tuple[Reference, Platform], Digest]


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The files, and what the archives hold: image and platform -> its manifest's digest."""

    assets: tuple[Asset, ...]
    shipped: Shipped


@dataclass(kw_only=True)
class Collector:
    """Looks at the folders that `airgap` and `charts` wrote; what is wrong is told all at once."""

    artifacts: Path
    charts: Path
    digests: Digests
    assets: list[Asset] = field(default_factory=list)
    shipped: dict[tuple[Reference, Platform], Digest] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def collect(
        self, plan: Archives, tree: NativeTree, bundled: Iterable[BundledChart], *, is_whole: bool
    ) -> Collected:
        """Return the release's files; raises ReleaseError that lists what is wrong.

        ``bundled`` are the charts whose manifests belong to it. What else lies in the
        folder of manifests is only wrong where the release ``is_whole``.
        """
        for folder in (self.artifacts, self.charts):
            if not folder.is_dir():
                self.problems.append(f"{folder}: no such folder")
        if not self.problems:
            self._archives(plan)
            self._charts(tree, tuple(bundled), is_whole=is_whole)
        if self.problems:
            msg = f"release: {len(self.problems)} files are missing, too many or wrong"
            if len(self.problems) == 1:
                msg = f"release: {self.problems[0]}"
            raise ReleaseError(
                msg,
                hint="run 'rke2pack airgap' and 'rke2pack charts'; remove what is not of this tree",
                details=tuple(self.problems) if len(self.problems) > 1 else (),
            )
        return Collected(assets=tuple(self.assets), shipped=self.shipped)

    def _archives(self, plan: Archives) -> None:
        listed = sums.read(self.artifacts)
        self.problems += [f"{each.subject}: {each.detail}" for each in listed.wrong]
        with files.reported("read", self.artifacts):
            there = {p.name for p in self.artifacts.iterdir() if not _OWN.match(p.name)}
        formats = [form for form in FORMATS if any(_has(there, plan, form))] or [FORMATS[0]]
        seen = {sums.list_name(each.platform.architecture) for each in _every(plan)}
        for target in plan.targets:
            for form in formats:
                seen |= self._archive(target, f"{target.name}{form}", listed)
        for target in (*(t for t in plan.targets if t.has_list), *plan.lists):
            seen.add(f"{target.name}.txt")
            self._list(target, listed)
        self.problems += [
            f"{self.artifacts.name}/{name}: does not belong to this release"
            for name in sorted(there - seen)
        ]
        self.problems += [
            f"{listed.known[name][0]}: names {name}, which is not there"
            for name in sorted(listed.known.keys() - there)
        ]

    def _archive(self, target: Target, name: str, listed: Sums) -> set[str]:
        """Take in an archive or its parts; return the names of its files."""
        try:
            file = archivefile.find(self.artifacts / name)
            held = contents.read(file)
        except PackError as exc:
            text = exc.message.removeprefix(f"{self.artifacts}/")
            self.problems.append(text if name in text else f"{name}: {text}")
            return {name}
        self._compare(target, name, held)
        self.shipped |= {(reference, target.platform): held[reference] for reference in held}
        for part in file.parts:
            self._add(part, "archive", target.platform.architecture, listed)
        return {part.name for part in file.parts} | self._other_form(file)

    def _other_form(self, file: ArchiveFile) -> set[str]:
        """Name the parts of an archive that is there in one piece as well."""
        if file.parts != (file.path,):
            return set()
        for part in sorted(self.artifacts.glob(f"{file.path.name}.part[0-9][0-9]")):
            self.problems.append(f"{part.name}: {file.path.name} is there in one piece")
        return {part.name for part in self.artifacts.glob(f"{file.path.name}.part[0-9][0-9]")}

    def _compare(self, target: Target, name: str, held: Mapping[Reference, Digest]) -> None:
        wanted = set(target.references)
        self.problems += [f"{name}: lacks {each}" for each in sorted(wanted - held.keys())]
        self.problems += [
            f"{name}: has {each}, which images.txt has not" for each in sorted(held.keys() - wanted)
        ]

    def _list(self, target: Target, listed: Sums) -> None:
        path = self.artifacts / f"{target.name}.txt"
        if not path.is_file():
            self.problems.append(f"{path.name}: no such file")
            return
        with files.reported("read", path):
            is_same = path.read_bytes() == target.list_bytes
        if not is_same:
            self.problems.append(f"{path.name}: does not have the images of images.txt")
        self._add(path, "list", target.platform.architecture, listed)

    def _add(self, path: Path, kind: Kind, architecture: str, listed: Sums) -> None:
        size, digest = self.digests.of(path)
        where = sums.list_name(architecture)
        expected = listed.known.get(path.name)
        if expected is None or expected[0] != where:
            self.problems.append(f"{path.name}: {where} has no line for it")
        elif expected[1] != digest:
            self.problems.append(f"{path.name}: is {digest}, {where} has {expected[1]}")
        self.assets.append(
            Asset(
                name=path.name,
                kind=kind,
                path=path,
                size=size,
                digest=digest,
                architecture=architecture,
            )
        )

    def _charts(
        self, tree: NativeTree, bundled: tuple[BundledChart, ...], *, is_whole: bool
    ) -> None:
        names = {f"{chart.name}.yaml" for chart in bundled}
        with files.reported("read", self.charts):
            there = {p.name for p in self.charts.iterdir() if not p.name.startswith(".")}
        for chart in bundled:
            path = self.charts / f"{chart.name}.yaml"
            problem = _chart_problem(tree, chart, path) if path.is_file() else "no such file"
            if problem:
                self.problems.append(f"{self.charts.name}/{path.name}: {problem}")
                continue
            size, digest = self.digests.of(path)
            self.assets.append(
                Asset(name=path.name, kind="chart", path=path, size=size, digest=digest)
            )
        self.problems += [
            f"{self.charts.name}/{name}: does not belong to this release"
            for name in sorted(there - names if is_whole else ())
        ]


def _every(plan: Archives) -> Iterator[Target]:
    yield from plan.targets
    yield from plan.lists


def _has(there: Iterable[str], plan: Archives, form: str) -> Iterator[bool]:
    names = {f"{target.name}{form}" for target in plan.targets}
    return (name in names or name.partition(".part")[0] in names for name in there)


def _chart_problem(tree: NativeTree, chart: BundledChart, path: Path) -> str:
    """Say what a manifest has to do with another version; empty where all is well."""
    with files.reported("read", path), path.open("rb") as handle:
        head = handle.read(_HEAD).decode(errors="replace")
    if chart.version.is_removed:
        return "" if manifest.is_removed(head) else "the chart is removed, this has content"
    reference = tree.reference(chart.name)
    if reference is None or reference.version != chart.version.text:
        return f"the tree's own manifest is not for {chart.version}"
    line = f'{manifest.URL_ANNOTATION}: "{reference.url}"\n'
    return "" if line in head else f"is not of {reference.url}"
