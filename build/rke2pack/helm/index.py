"""A chart repository's index.yaml as values (Helm, ``pkg/repo/index.go``)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any
from urllib.parse import urlsplit

from rke2pack import safeyaml
from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, IntegrityError, ResolutionError, ValidationError, choice
from rke2pack.helm.version import ChartVersion

FORMAT = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexEntry:
    """One version of one chart; ``digest`` is bare hex, empty where the index has none."""

    chart: str
    version: str
    digest: str
    url: str
    app_version: str

    @property
    def chart_version(self) -> ChartVersion:
        """The version as an ordered value."""
        return ChartVersion.parse(self.version)

    @property
    def checked_digest(self) -> Digest | None:
        """The digest, or None where the index has none; raises IntegrityError if malformed."""
        return Digest.parse(self.digest) if self.digest else None


@dataclass(frozen=True, slots=True)
class ChartIndex:
    """Charts by name, each with its entries in the index's order."""

    charts: Mapping[str, tuple[IndexEntry, ...]]

    @classmethod
    def parse(cls, text: str, *, what: str) -> ChartIndex:
        """Parse index.yaml; raises ValidationError. Versions stay the text that stands there."""
        document = safeyaml.load(text, what=what, scalars=False)
        entries = document.get("entries") if isinstance(document, dict) else None
        if not isinstance(entries, dict):
            msg = f"{what}: not a chart index, it has no 'entries'"
            raise ValidationError(msg)
        return cls({name: _entries(name, found, what) for name, found in entries.items()})

    @classmethod
    def from_json(cls, data: bytes) -> ChartIndex | None:
        """Read what `to_json` wrote; None for any other content."""
        try:
            document = json.loads(data)
            if document["format"] != FORMAT:
                return None
            charts = document["charts"].items()
            return cls({name: tuple(IndexEntry(**e) for e in found) for name, found in charts})
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return None

    def to_json(self) -> bytes:
        """Write the parsed form, which reads back forty times faster than YAML."""
        charts = {name: [asdict(e) for e in found] for name, found in self.charts.items()}
        return json.dumps({"format": FORMAT, "charts": charts}).encode()

    def entries(self, chart: str) -> tuple[IndexEntry, ...]:
        """Return the entries of ``chart``; raises ResolutionError with similar names."""
        if chart not in self.charts:
            msg = f"{chart}: no such chart in the chart repository"
            raise ResolutionError(msg, hint=choice(chart, self.charts))
        return self.charts[chart]

    def entry(self, chart: str, version: ChartVersion) -> IndexEntry:
        """Return the entry of exactly this version; raises ResolutionError."""
        for entry in self.entries(chart):
            if entry.version == version.text:
                return entry
        msg = f"{chart}: the chart repository has no version {version}"
        raise ResolutionError(msg)


def _entries(name: str, found: object, what: str) -> tuple[IndexEntry, ...]:
    if not isinstance(found, list):
        msg = f"{what}: entries of {name} are not a list"
        raise ValidationError(msg)
    return tuple(_entry(name, item, what) for item in found)


def _entry(name: str, item: Any, what: str) -> IndexEntry:  # noqa: ANN401 - unchecked YAML
    urls = item.get("urls") if isinstance(item, dict) else None
    version = item.get("version") if isinstance(item, dict) else None
    if not isinstance(version, str) or not isinstance(urls, list) or not urls:
        msg = f"{what}: an entry of {name} lacks version or urls"
        raise ValidationError(msg)
    entry = IndexEntry(
        chart=name,
        version=version,
        digest=str(item.get("digest") or "").removeprefix("sha256:"),
        url=str(urls[0]),
        app_version=str(item.get("appVersion") or ""),
    )
    try:
        _ = entry.chart_version, entry.checked_digest
    except (ConfigError, IntegrityError) as exc:
        msg = f"{what}: {name}: {exc.message}"
        raise ValidationError(msg) from exc
    if not _is_address(entry.url):
        msg = f"{what}: {name} {version}: not an address: {entry.url!r}"
        raise ValidationError(msg)
    return entry


def _is_address(url: str) -> bool:
    try:
        return url.isprintable() and bool(urlsplit(url).path)
    except ValueError:
        return False
