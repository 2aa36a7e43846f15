"""Every command of the documents: lines of ```console blocks, and commands inside sentences."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

PAGES: Final = ("README.md", "SECURITY.md", "CONTRIBUTING.md", "docs/*.md")
# What begins so between backquotes is a command; `docker save` alone is the name of a thing.
_PROGRAMS: Final = (
    *("rke2pack ", "nox -", "python3 -m ", "python -m ", ".ci/", "git ", "cat ", "zstd -dc "),
    *("docker load -", "dockerd -", "helm repo ", "kind get ", "ctr namespaces ", "gh "),
    *("openssl ", "sha256sum --"),
)
_FENCE: Final = re.compile(
    r"^(?P<in> *)```(?P<kind>\w*)\n(?P<text>.*?)^(?P=in)```$", re.MULTILINE | re.DOTALL
)
_SPAN: Final = re.compile(r"`([^`]+)`")
_HEADING: Final = re.compile(r"^#+ (.*)$", re.MULTILINE)
_COMMENT: Final = re.compile(r" +# (?:exits with (?P<code>\d+)\b)?.*$")
_IN_YAML: Final = re.compile(r"(?:nox -s|rke2pack) [^)\n]*")


@dataclass(frozen=True, order=True, kw_only=True)
class Command:
    """A command as it is written, the heading that it stands under, and how it says to exit."""

    page: str
    section: str
    text: str
    code: int = 0


def read(root: Path, pages: tuple[str, ...] = PAGES) -> tuple[Command, ...]:
    """Return the commands of the pages in the order in which they stand, each once a section."""
    paths = [path for pattern in pages for path in sorted(root.glob(pattern))]
    found = (
        each
        for path in paths
        for each in of_page(path.relative_to(root).as_posix(), path.read_text(encoding="utf-8"))
    )
    return tuple(dict.fromkeys(found))


def of_page(page: str, text: str) -> list[Command]:
    """Return the commands of one page."""
    found: list[tuple[int, str]] = []
    for fence in _FENCE.finditer(text):
        found += [(fence.start(), each) for each in _of_fence(fence["kind"], fence["text"])]
    prose = _FENCE.sub(lambda fence: re.sub(r"[^\n]", " ", fence[0]), text)
    spans = ((span.start(), " ".join(span[1].split())) for span in _SPAN.finditer(prose))
    found += [(at, each.replace("\\|", "|")) for at, each in spans if each.startswith(_PROGRAMS)]
    headings = [(heading.start(), heading[1]) for heading in _HEADING.finditer(prose)]
    return [
        _command(page, max(each for each in headings if each[0] < at)[1], line)
        for at, line in sorted(found, key=lambda each: each[0])
    ]


def _command(page: str, section: str, line: str) -> Command:
    comment = _COMMENT.search(line)
    code = int(comment["code"] or 0) if comment else 0
    return Command(page=page, section=section, text=_COMMENT.sub("", line).strip(), code=code)


def _of_fence(kind: str, text: str) -> list[str]:
    """Return the lines with a prompt, or all where none has one; of YAML what it would run."""
    if kind == "yaml":
        return [found.strip() for found in _IN_YAML.findall(text)]
    if kind != "console":
        return []
    lines = [line for line in re.sub(r"\\\n *", "", text).splitlines() if line.strip()]
    prompted = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return prompted or lines
