"""The architecture: imports go down only, and each third-party package has one home."""

from __future__ import annotations

import sys
from typing import Final

import grimp
import pytest

# Top first. A module imports its own row and the rows below it.
LAYERS: Final = (
    {"__main__"},
    {"cli"},
    {"lab"},
    {"stages"},
    {"fetch", "page", "release"},
    {"completion", "manual", "options", "registries", "shards", "templates", "wishes"},
    {"workspace"},
    {"validate"},
    {"lists"},
    {"tree"},
    {"helm", "oci"},
    {
        *("console", "engine", "filelock", "files", "github", "http", "journal", "kube"),
        *("process", "progress", "serving", "vcs"),
    },
    {
        *("address", "digest", "errors", "finding", "patch", "safeyaml", "settings"),
        *("strictjson", "wording"),
    },
)
STRANGERS: Final = {"helm", "oci"}
HOMES: Final = {
    "backports": ("oci.coding",),
    "bcrypt": ("serving.htpasswd",),
    "click": (
        "cli",
        "completion",
        "lab.tour",
        "manual",
        "options",
        "registries",
        "shards.asked",
        "stages",
    ),
    "compression": ("oci.coding",),  # part of Python since 3.14
    "cryptography": ("release.offlinekey",),
    "cyclonedx": ("release.sbom",),
    "deflate": ("helm.archive",),
    "docker": ("engine",),
    "git": ("vcs",),
    "google": ("release.provenance",),
    "h11": ("serving.connection",),
    "helm_python": ("helm.worker",),
    "in_toto_attestation": ("release.provenance",),
    "isal": ("oci.coding", "oci.wrapping"),
    "jinja2": ("templates",),
    "jsonschema_rs": ("validate.schemas",),
    "kubernetes": ("kube",),
    "packageurl": ("release.sbom",),
    "platformdirs": ("cli",),
    "requests": ("http", "github", "oci.registry.answer", "oci.registry.wire"),
    "rich": ("console", "progress"),
    "ruamel": ("tree",),
    "securesystemslib": ("release.offlinekey",),
    "semver": ("helm.version",),
    "sigstore": ("release.keyless",),
    "spdx_tools": ("release.spdx",),
    "squarify": ("page.treemap",),
    "tenacity": ("http", "oci.registry.wire"),
    "tree_sitter": ("tree.shell",),
    "tree_sitter_bash": ("tree.shell",),
    "urllib3": ("http", "kube", "oci.registry.answer", "oci.registry.heads", "oci.registry.wire"),
    "xxhash": ("oci.wrapping",),
    "yaml": ("safeyaml",),
}
PACKAGE: Final = "rke2pack"


def layer(module: str) -> int | None:
    """Row of a module of the package, whose name starts with a dot; "." itself is the lowest."""
    if module == ".":
        return len(LAYERS)
    return next((row for row, nouns in enumerate(LAYERS) if noun(module) in nouns), None)


def noun(module: str) -> str:
    return module.lstrip(".").partition(".")[0]


def breach(importer: str, imported: str) -> str | None:
    """Say what is wrong with an import; a leading dot stands for the package."""
    upper, lower = layer(importer), layer(imported)
    if upper is None:
        return f"{importer}: no layer has it; name its row in LAYERS"
    if not imported.startswith("."):
        return foreign_breach(importer, noun(imported))
    if lower is None or lower < upper:
        return f"{importer} imports {imported}: imports go down only"
    if {noun(importer), noun(imported)} == STRANGERS:
        return f"{importer} imports {imported}: helm and oci do not know each other"
    if importer.startswith(".stages.") and stage_of(imported) not in (None, stage_of(importer)):
        return f"{importer} imports {imported}: a stage never imports a stage"
    return None


def foreign_breach(importer: str, package: str) -> str | None:
    if package in sys.stdlib_module_names:
        return None
    if package not in HOMES:
        return f"{importer} imports {package}: no home has it; name it in HOMES"
    if any(f"{importer}.".startswith(f".{home}.") for home in HOMES[package]):
        return None
    return f"{importer} imports {package}: its home is {' and '.join(HOMES[package])}"


def stage_of(module: str) -> str | None:
    return module.split(".")[2] if module.startswith(".stages.") else None


def short(module: str) -> str:
    return "." if module == PACKAGE else module.removeprefix(PACKAGE)


@pytest.fixture(scope="module")
def graph() -> grimp.ImportGraph:
    return grimp.build_graph(PACKAGE, include_external_packages=True, cache_dir=None)


def test_imports_keep_the_architecture(graph: grimp.ImportGraph) -> None:
    breaches = [
        found
        for importer in sorted(graph.modules)
        for imported in sorted(graph.find_modules_directly_imported_by(importer))
        if (found := breach(short(importer), short(imported)))
    ]
    assert breaches == []


def test_every_module_has_a_layer(graph: grimp.ImportGraph) -> None:
    children = graph.find_children(PACKAGE)
    assert len(children) > len(LAYERS) // 2
    assert [name for name in sorted(children) if layer(short(name)) is None] == []


@pytest.mark.parametrize(
    ("importer", "imported", "wrong"),
    [
        (".errors", ".helm.chart", ".errors imports .helm.chart: imports go down only"),
        (".helm.chart", ".tree.native", ".helm.chart imports .tree.native: imports go down only"),
        (".oci.layout", ".helm", ".oci.layout imports .helm: helm and oci do not know each other"),
        (".stages.bump", ".stages.diff", ".stages.bump imports .stages.diff: a stage never"),
        (".helm.repository", "requests", ".helm.repository imports requests: its home is http"),
        (".httpx", ".errors", ".httpx: no layer has it"),
        (".helm.chart", "numpy", ".helm.chart imports numpy: no home has it"),
        (".helm.versions", "semver", ".helm.versions imports semver: its home is helm.version"),
    ],
)
def test_breach_is_found(importer: str, imported: str, wrong: str) -> None:
    assert (breach(importer, imported) or "").startswith(wrong)


@pytest.mark.parametrize(
    ("importer", "imported"),
    [
        (".cli", ".stages.bump"),
        (".stages.bump", ".stages"),
        (".stages.images.proof", ".stages.images.lists"),
        (".stages.images", ".lists.survey"),
        (".lists", ".tree.native"),
        (".http", ".journal"),
        (".digest", "http"),
        (".tree.native", "ruamel"),
        (".helm.chart", "json"),
        (".cli", "."),
    ],
)
def test_import_that_goes_down_is_no_breach(importer: str, imported: str) -> None:
    assert breach(importer, imported) is None
