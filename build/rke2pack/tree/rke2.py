"""A checkout of rancher/rke2: chart_versions.yaml, scripts/build-images, scripts/version.sh."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from rke2pack import files, journal
from rke2pack.errors import ConfigError
from rke2pack.tree import imagescript
from rke2pack.tree.datafiles import HINT, Tree, read
from rke2pack.tree.scriptedit import Sources
from rke2pack.tree.versions import ChartVersions

if TYPE_CHECKING:
    from rke2pack.helm.manifest import ChartReference

VERSIONS = "charts/chart_versions.yaml"
SCRIPT = "scripts/build-images"
VERSION_SCRIPT = "scripts/version.sh"
FILES = (VERSIONS, SCRIPT, VERSION_SCRIPT)
_OWN_DATA = "charts-manifest"
_BUILT_IN = Path(__file__).parent / "rules"


@dataclass(frozen=True, kw_only=True)
class Rke2Tree(Tree):
    """Reads the checkout's files; ``charts-manifest/`` in it goes before the built-in rules."""

    root: Path
    revision: Mapping[str, str] = field(default_factory=dict)  # texts of another revision

    @staticmethod
    def is_at(root: Path) -> bool:
        """Whether a folder is a checkout of rancher/rke2."""
        return (root / VERSIONS).is_file() and (root / SCRIPT).is_file()

    @classmethod
    def open(cls, root: Path) -> Rke2Tree:
        """Open a checkout and finish what an interrupted command left; raises ConfigError."""
        if not cls.is_at(root):
            msg = f"{root.absolute()}: not a checkout of rancher/rke2, it has no {VERSIONS}"
            raise ConfigError(msg, hint=HINT)
        journal.recover(root)
        return cls(root=root)

    def path(self, name: str) -> Path:
        """Return the path of a data file: the checkout's own, or the built-in one."""
        own = self.root / _OWN_DATA / name
        return own if own.is_file() else _BUILT_IN / name

    @property
    def versions_path(self) -> Path:
        """The path of chart_versions.yaml."""
        return self.root / VERSIONS

    def reviewed(self, chart: str) -> ChartReference | None:  # noqa: ARG002 - no tree file says it
        """Return None: a checkout names versions, not digests."""
        return None

    def text(self, name: str) -> str:
        """Return the text of one of the checkout's files by its path in it."""
        return self.revision[name] if name in self.revision else read(self.root / name)

    @cached_property
    def versions(self) -> ChartVersions:
        """chart_versions.yaml."""
        return ChartVersions.parse(self.text(VERSIONS), what=str(self.versions_path))

    @cached_property
    def sources(self) -> Sources:
        """The two scripts that lists are made of."""
        texts = {name: self.text(name) for name in (SCRIPT, VERSION_SCRIPT)}
        return Sources(texts=texts, script=SCRIPT, version=VERSION_SCRIPT)

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """Variables of version.sh whose values stand there; raises ConfigError."""
        scope = self.sources.variables
        found = {name: imagescript.text_of(name, scope) for name in scope}
        known = {name: value for name, value in found.items() if value is not None}
        if not known.get("KUBERNETES_VERSION"):
            msg = f"{self.root / VERSION_SCRIPT}: KUBERNETES_VERSION is missing"
            raise ConfigError(msg)
        return known

    def is_private(self, variable: str) -> bool:
        """Whether no other file of the checkout's build uses a variable of version.sh."""
        name = variable.encode()
        for path in self._build_files():
            with files.reported("read", path):
                if name in path.read_bytes():
                    return False
        return True

    def _build_files(self) -> Iterator[Path]:
        for pattern in ("scripts/**/*", "Dockerfile*", "Makefile", ".github/workflows/*"):
            for path in sorted(self.root.glob(pattern)):
                if path.is_file() and path.relative_to(self.root).as_posix() not in (
                    SCRIPT,
                    VERSION_SCRIPT,
                ):
                    yield path
