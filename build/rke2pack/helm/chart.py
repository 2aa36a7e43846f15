"""Chart: a verified ``.tgz`` and what its files say."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from rke2pack import safeyaml
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError, ValidationError
from rke2pack.helm import archive

KUBE_VERSION_ANNOTATION = "catalog.cattle.io/kube-version"
UPSTREAM_VERSION_ANNOTATION = "catalog.cattle.io/upstream-version"


@dataclass(frozen=True, kw_only=True)
class Chart:
    """One version of a chart: the archive's bytes, its digest and its files.

    ``files`` maps a path below the chart's folder (``templates/rbac.yaml``) to
    its bytes, in the archive's order.
    """

    name: str
    version: str
    digest: Digest
    data: bytes
    files: Mapping[str, bytes]

    @classmethod
    def open(cls, data: bytes, *, name: str, version: str) -> Chart:
        """Read an archive and check that it is the chart ``name`` in ``version``.

        Raises IntegrityError for an archive that no chart repository should
        serve and ValidationError for a chart without a usable Chart.yaml.
        """
        what = f"{name} {version}"
        members = archive.unpack(data, what=what)
        prefix = f"{name}/"
        stray = next((m.path for m in members if not m.path.startswith(prefix)), None)
        if stray is not None:
            msg = f"{what}: {stray!r} is outside the chart's folder {prefix!r}"
            raise IntegrityError(msg)
        files = {m.path.removeprefix(prefix): m.data for m in members}
        chart = cls(name=name, version=version, digest=Digest.of(data), data=data, files=files)
        chart._check_identity()
        return chart

    def _check_identity(self) -> None:
        what = f"{self.name} {self.version}"
        if "Chart.yaml" not in self.files:
            msg = f"{what}: the archive has no Chart.yaml"
            raise IntegrityError(msg)
        for field, expected in (("name", self.name), ("version", self.version)):
            got = self.text_metadata.get(field)
            if got != expected:
                msg = f"{what}: Chart.yaml says {field} {got!r}"
                raise IntegrityError(msg)

    @cached_property
    def text_metadata(self) -> Mapping[str, Any]:
        """Chart.yaml with every scalar as the text that stands there."""
        return self._mapping("Chart.yaml", scalars=False)

    @property
    def app_version(self) -> str:
        """``appVersion``, or an empty string."""
        return str(self.text_metadata.get("appVersion") or "")

    @property
    def kube_version(self) -> str:
        """``kubeVersion``: the range of Kubernetes versions, empty where any will do."""
        return str(self.text_metadata.get("kubeVersion") or "")

    @property
    def annotations(self) -> Mapping[str, str]:
        """Chart.yaml's annotations."""
        found = self.text_metadata.get("annotations") or {}
        return found if isinstance(found, dict) else {}

    @cached_property
    def values(self) -> Mapping[str, Any]:
        """values.yaml, without the values of subcharts."""
        return self._mapping("values.yaml") if "values.yaml" in self.files else {}

    @property
    def sources(self) -> Mapping[str, str]:
        """Every template and helper by path, subcharts included, as text."""
        return {
            path: content.decode(errors="replace")
            for path, content in self.files.items()
            if "templates/" in path
        }

    @property
    def subcharts(self) -> tuple[str, ...]:
        """Names of the folders below ``charts/`` (archives without their ending)."""
        names = {p.split("/")[1] for p in self.files if p.startswith("charts/") and p != "charts/"}
        return tuple(sorted(name for name in names if not name.startswith(("_", "."))))

    @property
    def missing_dependencies(self) -> tuple[str, ...]:
        """Declared dependencies that ``charts/`` lacks; Helm refuses such a chart."""
        declared = self.text_metadata.get("dependencies") or ()
        names = [str(d.get("name")) for d in declared if isinstance(d, dict)]
        return tuple(name for name in names if not any(_holds(f, name) for f in self.subcharts))

    def _mapping(self, path: str, *, scalars: bool = True) -> Mapping[str, Any]:
        what = f"{self.name} {self.version}: {path}"
        document = safeyaml.load(self.text(path), what=what, scalars=scalars)
        if document is None:
            return {}
        if not isinstance(document, dict):
            msg = f"{what}: expected a mapping"
            raise ValidationError(msg)
        return document

    def text(self, path: str) -> str:
        """Return one file as text; raises ValidationError when it is not UTF-8."""
        try:
            return self.files[path].decode()
        except UnicodeDecodeError as exc:
            msg = f"{self.name} {self.version}: {path} is not UTF-8 text"
            raise ValidationError(msg) from exc


def _holds(entry: str, name: str) -> bool:
    """Whether an entry of ``charts/`` is the chart ``name``: a folder, or ``NAME-VERSION.tgz``."""
    return entry == name or re.match(rf"{re.escape(name)}-v?\d.*\.tgz\Z", entry) is not None
