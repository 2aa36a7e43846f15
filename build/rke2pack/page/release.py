"""Everything that the page shows of a release."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from rke2pack.finding import Finding
from rke2pack.page import sharing
from rke2pack.page.archives import PageArchive
from rke2pack.page.changes import Changes
from rke2pack.page.history import History
from rke2pack.page.images import PageImage
from rke2pack.page.sharing import Scope
from rke2pack.page.validation import Validation

FORMAT: Final = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PageComponent:
    """A component: its charts with their versions, and the platforms it ships for."""

    name: str
    charts: tuple[tuple[str, str], ...]
    platforms: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        charts = [{"chart": name, "version": version} for name, version in self.charts]
        return {"name": self.name, "charts": charts, "platforms": list(self.platforms)}


@dataclass(frozen=True, slots=True, kw_only=True)
class PageData:
    """The data of the page; ``missing`` maps a section to what it lacks and the way to it."""

    release: str
    kubernetes: str
    is_lab: bool
    components: tuple[PageComponent, ...]
    images: tuple[PageImage, ...]
    archives: tuple[PageArchive, ...]
    changes: Changes | None
    validations: tuple[Validation, ...]
    history: History | None
    findings: tuple[Finding, ...]
    missing: dict[str, str]

    @property
    def scopes(self) -> tuple[Scope, ...]:
        """What the treemap can show."""
        component_of = {image.reference: image.components[0] for image in self.images}
        return sharing.scopes(self.archives, component_of)

    def to_json(self) -> dict[str, Any]:
        """Return the document of ``--json``."""
        return {
            "format": FORMAT,
            "release": self.release,
            "kubernetes": self.kubernetes,
            "lab": self.is_lab,
            "components": [each.to_json() for each in self.components],
            "images": [each.to_json() for each in self.images],
            "archives": [each.to_json() for each in self.archives],
            "sharing": [sharing.to_json(each) for each in self.scopes],
            "changes": self.changes.to_json() if self.changes else None,
            "validations": [each.to_json() for each in self.validations],
            "history": self.history.to_json() if self.history else None,
            "findings": [each.to_json() for each in self.findings],
            "missing": dict(self.missing),
        }
