"""images.txt and the lists per component, as text.

images.txt holds every image of the tree in one section per component::

    # component: vsphere (linux/amd64)
    docker.io/rancher/mirrored-cloud-provider-vsphere:v1.32.1

The platforms stand in the heading where a component does not ship for all of the
tree's. The lists per component and architecture (``rke2-images-vsphere.linux-amd64.txt``,
the names of RKE2's release) have one reference a line and nothing else; Windows
has one for all of its components, ``rke2-images.windows-amd64.txt``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from rke2pack.errors import ConfigError
from rke2pack.lists.model import ImageList
from rke2pack.oci.reference import Reference

HEADER = (
    "# Every image that an air-gapped RKE2 needs, one section per component.\n"
    "# Written by 'rke2pack images' from charts-manifest/; checked by 'rke2pack images --check'.\n"
)
_HEADING_START = "# component:"
_HEADING = re.compile(r"# component: ([a-z0-9-]+)(?: \(([a-z0-9/, ]+)\))?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """One component's part of images.txt; ``lines`` maps a reference to its line number."""

    component: str
    platforms: tuple[str, ...]
    lines: Mapping[str, int]

    @property
    def references(self) -> tuple[str, ...]:
        """The references in order."""
        return tuple(self.lines)


def parse(text: str, *, what: str) -> tuple[Section, ...]:
    """Parse images.txt; raises ConfigError with one detail per wrong line."""
    sections: list[Section] = []
    components: set[str] = set()
    lines: dict[str, int] = {}
    issues: list[str] = []
    for number, raw in enumerate(text.splitlines(), start=1):
        line = raw.strip()
        heading = _HEADING.match(line)
        if heading is not None:
            lines = {}
            platforms = tuple(p.strip() for p in (heading[2] or "").split(",") if p.strip())
            if heading[1] in components:
                issues.append(f"line {number}: a second section for component {heading[1]}")
            components.add(heading[1])
            sections.append(Section(component=heading[1], platforms=platforms, lines=lines))
        elif line.startswith(_HEADING_START):
            issues.append(f"line {number}: {line!r} is not a section's heading")
        elif line and not line.startswith("#"):
            issue = _issue(line, lines, has_section=bool(sections))
            issues += [f"line {number}: {issue}"] if issue else []
            lines.setdefault(line, number)
    if issues:
        msg = (
            f"{what}: {issues[0]}" if len(issues) == 1 else f"{what}: {len(issues)} lines are wrong"
        )
        raise ConfigError(
            msg,
            hint="write it anew with 'rke2pack images'",
            details=tuple(issues) if len(issues) > 1 else (),
        )
    return tuple(sections)


def _issue(line: str, known: Mapping[str, int], *, has_section: bool) -> str:
    if not has_section:
        return f"{line!r} stands before the first section"
    if line in known:
        return f"{line} stands already in line {known[line]}"
    try:
        reference = Reference.parse(line)
    except ConfigError as exc:
        return exc.message
    if str(reference) != line or not reference.tag:
        return f"{line!r} is not a full reference with registry and tag"
    return ""


def section_of(images: ImageList, *, all_platforms: Iterable[str]) -> Section:
    """Return the section of a list."""
    platforms = () if set(images.platforms) == set(all_platforms) else images.platforms
    return Section(
        component=images.component,
        platforms=platforms,
        lines=dict.fromkeys(images.references, 0),
    )


def replaced(
    sections: Iterable[Section], new: Iterable[Section], *, order: Iterable[str]
) -> tuple[Section, ...]:
    """Return the sections with those of ``new`` in place of their namesakes, in ``order``."""
    by_name = {s.component: s for s in (*sections, *new)}
    known = [name for name in order if name in by_name]
    return tuple(by_name[name] for name in known)


def format_images(sections: Iterable[Section]) -> str:
    """Write images.txt."""
    parts = [HEADER]
    for section in sections:
        platforms = f" ({', '.join(section.platforms)})" if section.platforms else ""
        lines = "".join(f"{reference}\n" for reference in section.references)
        parts.append(f"\n# component: {section.component}{platforms}\n{lines}")
    return "".join(parts)


def list_files(sections: Iterable[Section], *, all_platforms: Iterable[str]) -> dict[str, bytes]:
    """Return the lists per component and platform: file name -> content."""
    platforms = tuple(all_platforms)
    found: dict[str, dict[str, None]] = {}
    for section in sections:
        for platform in section.platforms or platforms:
            name = f"{list_name(section.component, platform)}.txt"
            found.setdefault(name, {}).update(dict.fromkeys(section.references))
    return {
        name: "".join(f"{reference}\n" for reference in references).encode()
        for name, references in found.items()
    }


def list_name(component: str, platform: str) -> str:
    """Return the name of a list without its ending, as RKE2's release has it."""
    group = "rke2-images" if platform.startswith("windows/") else f"rke2-images-{component}"
    return f"{group}.{platform.replace('/', '-')}"
