"""support-matrix.yaml: the rows on which a release is verified.

A row names what it is made of. What a machine cannot check of it is said by
hand: each named part, each scenario and each line of ``manual``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rke2pack.errors import ConfigError, choice
from rke2pack.helm.constraint import Constraint
from rke2pack.helm.version import Rke2Version, core_numbers
from rke2pack.tree.components import Components
from rke2pack.tree.datafiles import Tree, read
from rke2pack.tree.node import Node

NAME = "support-matrix.yaml"
SUPPORTED = "supported"
EDITIONS = ("prime", "community")
_ROW_NAME = re.compile(r"[a-z0-9]+(?:[.-][a-z0-9]+)*\Z")
_VERSION = re.compile(r"v?\d+(?:\.\d+)*(?:[-+][0-9A-Za-z.+-]+)?\Z")
_NUMBERS = re.compile(r"v?(\d+)\.(\d+)\.(\d+)(?:-([0-9A-Za-z.-]+))?\Z")
_KEYS = (
    *("name", "rke2", "rancher", "harvester", "harvester-ui-extension", "os"),
    *("scenarios", "manual", "notes", "components", "charts"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rancher:
    """Rancher in an edition (``prime`` or ``community``) and version (``v2.9.10``)."""

    edition: str
    version: str

    def satisfies(self, wanted: str) -> bool:
        """Whether the version lies in a range of an annotation; raises ConfigError."""
        found = _NUMBERS.match(self.version)
        if found is None:
            msg = f"not a Rancher version: {self.version!r}"
            raise ConfigError(msg, hint="write it as v2.11.2")
        major, minor, patch = (int(part) for part in found.groups()[:3])
        return Constraint.parse(wanted).allows((major, minor, patch), found[4] or "")

    def __str__(self) -> str:
        return f"Rancher {self.edition.capitalize()} {self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One row; ``charts`` is empty where the row is for every bundled chart.

    ``by_hand`` are the things of the row that people verify.
    """

    name: str
    rke2: str
    rancher: Rancher | None
    charts: tuple[str, ...]
    by_hand: tuple[str, ...]
    notes: str

    @property
    def kube_version(self) -> str:
        """The Kubernetes version, ``v1.32.5``."""
        return self.rke2.partition("+")[0]

    def covers(self, chart: str) -> bool:
        """Whether the row is for a chart."""
        return not self.charts or chart in self.charts


@dataclass(frozen=True, slots=True, kw_only=True)
class Matrix:
    """The whole file."""

    rows: tuple[Row, ...]
    what: str

    @classmethod
    def parse(cls, text: str, *, what: str, components: Components) -> Matrix:
        """Parse the file; raises ConfigError naming the place that is wrong."""
        root = Node.read(text, what=what)
        root.only("rows")
        rows = tuple(_row(node, components) for node in root.items("rows"))
        names = [row.name for row in rows]
        double = next((name for name in names if names.count(name) > 1), None)
        if double or not rows:
            msg = f"{what}: {f'row {double} stands there twice' if double else 'has no rows'}"
            raise ConfigError(msg)
        return cls(rows=rows, what=what)

    def get(self, names: Iterable[str]) -> tuple[Row, ...]:
        """Return the named rows, or all; raises ConfigError with the names there are."""
        by_name: Mapping[str, Row] = {row.name: row for row in self.rows}
        wanted = tuple(dict.fromkeys(names)) or tuple(by_name)
        for name in wanted:
            if name not in by_name:
                msg = f"{name}: {self.what} has no such row"
                raise ConfigError(msg, hint=choice(name, by_name))
        return tuple(by_name[name] for name in wanted)


def _row(node: Node, components: Components) -> Row:
    node.only(*_KEYS)
    name, rke2 = node.text("name"), node.text("rke2")
    if not _ROW_NAME.match(name):
        msg = f"{node.where}: bad name {name!r}"
        raise ConfigError(msg, hint="write it in lower case, e.g. prime-2.10")
    try:
        Rke2Version.parse(rke2)
    except ConfigError as exc:
        msg = f"{node.where}: rke2: {exc.message}"
        raise ConfigError(msg, hint="write it as v1.32.5+rke2r1") from exc
    rancher = _rancher(node)
    return Row(
        name=name,
        rke2=rke2,
        rancher=rancher,
        charts=_charts(node, components),
        by_hand=tuple(_by_hand(node, rancher)),
        notes=node.text("notes", default=""),
    )


def _rancher(node: Node) -> Rancher | None:
    fields = dict(node.fields("rancher"))
    if not fields:
        return None
    inner = Node({key: each.value for key, each in fields.items()}, f"{node.where}: rancher")
    inner.only("edition", "version")
    edition = inner.text("edition")
    if edition not in EDITIONS:
        msg = f"{inner.where}: edition must be one of {', '.join(EDITIONS)}"
        raise ConfigError(msg)
    return Rancher(edition=edition, version=_version(inner, "version"))


def _version(node: Node, key: str) -> str:
    text = node.text(key)
    if not _VERSION.match(text):
        msg = f"{node.where}: {key}: not a version: {text[:80]!r}"
        raise ConfigError(msg, hint="write it as v1.5.0, in quotes where YAML reads a number")
    return text


def _charts(node: Node, components: Components) -> tuple[str, ...]:
    """Return the charts that a row names, by themselves or by their component."""
    found: list[str] = []
    for name in node.texts("components"):
        found += components.get(name).charts
    for name in node.texts("charts"):
        if components.of_chart(name) is None:
            msg = f"{node.where}: charts: no component has {name}"
            raise ConfigError(msg, hint="write the chart's name as in components.yaml")
        found.append(name)
    return tuple(dict.fromkeys(found))


def _by_hand(node: Node, rancher: Rancher | None) -> Iterable[str]:
    if rancher is not None:
        yield f"installed and upgraded with {rancher}"
    for key, title in (
        ("harvester", "Harvester"),
        ("harvester-ui-extension", "Harvester UI Extension"),
    ):
        if node.text(key, default="-") != "-":
            yield f"works with {title} {_version(node, key)}"
    system = node.text("os", default="-")
    if system != "-":
        yield f"nodes of {system}"
    for scenario in node.texts("scenarios"):
        yield f"scenario {scenario}"
    yield from node.texts("manual")


def in_full(tree: Tree, lines: Iterable[str]) -> tuple[str, ...]:
    """Return release lines, each once, with those of the matrix in place of ``supported``.

    A row's line is the branch of its release: ``release-1.32``. Raises ConfigError.
    """
    found: dict[str, None] = {}
    for line in lines:
        found |= dict.fromkeys(_release_lines(tree) if line == SUPPORTED else (line,))
    return tuple(found)


def _release_lines(tree: Tree) -> tuple[str, ...]:
    path = tree.path(NAME)
    rows = Matrix.parse(read(path), what=str(path), components=tree.components).rows
    minors = {core_numbers(Rke2Version.parse(row.rke2).kubernetes)[:2] for row in rows}
    return tuple(f"release-{major}.{minor}" for major, minor in sorted(minors))
