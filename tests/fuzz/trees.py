"""What trees and checkouts are read by: scripts, lists, locks and data files."""

from __future__ import annotations

from rke2pack.helm.version import ChartVersion
from rke2pack.lists import text as lists
from rke2pack.lists.lock import Lock
from rke2pack.tree.components import Components
from rke2pack.tree.scriptedit import Change, Sources, edited
from rke2pack.tree.versions import ChartVersions
from rke2pack.validate.allow import AllowList
from rke2pack.validate.matrix import Matrix

SEPARATOR = "=====\n"
_MOVED = "docker.io/example/moved:v9"
_COMPONENTS = """
registry: docker.io
platforms: [linux/amd64]
components:
  - name: core
    charts: [example]
"""


def text(data: bytes) -> str:
    """The bytes as the text that a file of UTF-8 holds."""
    return data.decode(errors="ignore")


def build_images(data: bytes) -> None:
    """version.sh and build-images: followed, then the first image of it moved."""
    version, _, script = text(data).rpartition(SEPARATOR)
    sources = Sources(
        texts={"build-images": script, "version.sh": version},
        script="build-images",
        version="version.sh",
    )
    parsed = sources.parsed
    _ = parsed.assumed
    places = sources.places
    for place in places:
        _ = place.repository, place.is_of_release
    if not places:
        return
    first = places[0]
    change = Change(images={first.key: _MOVED}, added=((first.key, f"{_MOVED}1"),))
    texts = edited(sources, change, is_private=lambda _: True)
    again = sources.with_texts(texts).places
    assert any(place.image == _MOVED for place in again)


def images_txt(data: bytes) -> None:
    """images.txt, which is read as it is written."""
    found = lists.parse(text(data), what="images.txt")
    again = lists.parse(lists.format_images(found), what="again")
    assert [(s.component, s.platforms, s.references) for s in again] == [
        (s.component, s.platforms, s.references) for s in found
    ]
    lists.list_files(found, all_platforms=("linux/amd64",))


def images_lock(data: bytes) -> None:
    """images.lock, which is read as it is written."""
    found = Lock.parse(text(data), what="images.lock")
    assert Lock.parse(str(found), what="images.lock") == found
    found.in_registry("registry.example.com")


def chart_versions(data: bytes) -> None:
    """chart_versions.yaml, and the first chart of it bumped."""
    found = ChartVersions.parse(text(data), what="v")
    for chart in found.charts[:1]:
        new = ChartVersion.parse("1.2.300")
        again = ChartVersions.parse(found.with_versions({chart.name: new}), what="again")
        bumped = again.get(chart.name)
        assert bumped is not None
        assert bumped.version == new
        found.companions(chart.name)


def components(data: bytes) -> None:
    """components.yaml."""
    found = Components.parse(text(data), what="components.yaml")
    found.image_platforms(found.every_platform)
    for component in found.components:
        for image in component.images:
            image.resolve({"RKE2_VERSION": "v1.32.4+rke2r1"})


def support_matrix(data: bytes) -> None:
    """support-matrix.yaml."""
    known = Components.parse(_COMPONENTS, what="components.yaml")
    for row in Matrix.parse(text(data), what="matrix", components=known).rows:
        row.covers("example")
        if row.rancher is not None:
            row.rancher.satisfies(">= 2.9.0")


def allow_list(data: bytes) -> None:
    """validate-allow.yaml."""
    AllowList.parse(text(data), what="allow")


TARGETS = {
    "build-images": build_images,
    "images-txt": images_txt,
    "images-lock": images_lock,
    "chart-versions": chart_versions,
    "components": components,
    "support-matrix": support_matrix,
    "allow-list": allow_list,
}
