"""Checkouts of rancher/rke2 in the state before a recorded bump, in the forms that history has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from tests.upstream.replay import Bump

VERSIONS = "charts/chart_versions.yaml"
_REGISTRY = "${REGISTRY}/"
_NOT_ON_ARM = ("vsphere", "ovirt")


def versions_text(charts: dict[str, str]) -> str:
    """chart_versions.yaml with these charts."""
    return "charts:\n" + "".join(
        f"  - version: {version}\n    filename: /charts/{name}.yaml\n    bootstrap: true\n"
        for name, version in charts.items()
    )


def write_checkout(bump: Bump, root: Path, form: str) -> None:
    """Write the state before ``bump``; ``form`` is one of `FORMS`."""
    (root / "charts").mkdir(parents=True)
    (root / "scripts").mkdir()
    (root / VERSIONS).write_text(versions_text(dict(bump.charts)))
    assigned = "".join(f"{n}=${{{n}:-{value}}}\n" for n, value in bump.variables.items())
    head = "#!/bin/bash\nPROG=rke2\nREGISTRY=docker.io\nREPO=${REPO:-rancher}\n"
    (root / "scripts/version.sh").write_text(f"{head}{assigned}")
    blocks = "\n".join(FORMS[form](name, lines) for name, lines in bump.lists.items())
    local = "".join(f"{name}={value}\n" for name, value in bump.script_variables.items())
    (root / "scripts/build-images").write_text(
        "#!/usr/bin/env bash\nset -ex\n\nsource ./scripts/version.sh\n\n"
        f"BUILD_DIR=${{BUILD_DIR:-build}}\n{local}\n{blocks}\n"
        "cat build/images-core.txt build/images-canal.txt > build/images.txt\n"
    )


def _here_document(name: str, images: Iterable[str]) -> str:
    """A here-document per list, as until 2024."""
    lines = "".join(f"    {_REGISTRY}{image}\n" for image in images)
    block = f"xargs -n1 -t docker image pull --quiet << EOF > build/images-{name}.txt\n{lines}EOF\n"
    return _only_off_arm(name, block)


def _variable(name: str, images: Iterable[str]) -> str:
    """A variable per list, split over two conditions, and a here-document of it alone."""
    first, *rest = images
    name_of = f"{name.upper().replace('-', '_')}_IMAGES"
    more = "".join(f"\n    {_REGISTRY}{image}" for image in rest)
    return _only_off_arm(
        name,
        f'{name_of}="\n    {_REGISTRY}{first}"\n'
        f'if [ "${{GOARCH}}" != "s390x" ]; then\n    {name_of}="${{{name_of}}}{more}"\nfi\n'
        f"xargs -n1 -t $PULL_CMD << EOF > $BUILD_DIR/images-{name}.txt\n    ${{{name_of}}}\nEOF\n",
    )


def _editions(name: str, images: Iterable[str]) -> str:
    """The same list for docker.io and for other registries, as vsphere has it since 2026."""
    lines = "".join(f"    {_REGISTRY}{image}\n" for image in images)
    community = f"xargs -n1 $PULL_CMD << EOF >> $BUILD_DIR/images-{name}.txt\n{lines}EOF\n"
    block = f'if [ "${{REGISTRY}}" = "docker.io" ]; then\n{community}fi\n'
    return _only_off_arm(name, block)


def _only_off_arm(name: str, block: str) -> str:
    if name not in _NOT_ON_ARM:
        return block
    return f'if [ "${{GOARCH}}" != "arm64" ]; then\n\n{block}fi\n'


FORMS: dict[str, Callable[[str, Iterable[str]], str]] = {
    "here-document": _here_document,
    "variable": _variable,
    "edition": _editions,
}
