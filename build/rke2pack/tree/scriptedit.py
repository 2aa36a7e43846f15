"""Editing scripts/build-images: a tag, a variable, a new line, a line less; nothing else.

What is wanted is said as images at places. How it is written follows from how
it stands there: a literal tag is replaced, a variable moves when all images
that use it move with it, a new image stands behind its neighbour in the
neighbour's form. Every edit is proved by reading the edited script again.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from rke2pack.errors import ValidationError
from rke2pack.tree.imagescript import ARCHITECTURES, ImageScript, Value, scalar
from rke2pack.tree.imagescript import variables as read_variables
from rke2pack.tree.shell import Text

Site = tuple[str, str]  # list, edition
Key = tuple[str, int]  # file, offset
_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?-[^{}]*)?\})")
_DEFAULT = re.compile(r"\$\{[A-Za-z_]\w*:?-([^${}]*)\}\Z")
_REGISTRY = re.compile(r"\$\{?REGISTRY\}?/")
_INDENT = "    "


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An image where it stands, and the lists (per edition) that have it from there."""

    text: Text
    image: str | None
    scope: Mapping[str, Value]
    sites: frozenset[Site]

    @property
    def key(self) -> Key:
        """What tells places apart."""
        return self.text.file, self.text.start

    @property
    def repository(self) -> str:
        """The image without its tag; empty where the image is not known."""
        return (self.image or "").rpartition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What should stand where: place -> its new image (None: the line goes), new ones behind it."""

    images: Mapping[Key, str | None]
    added: tuple[tuple[Key, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Sources:
    """The texts of build-images and version.sh, by file; ``script`` and ``version`` name them."""

    texts: Mapping[str, str]
    script: str
    version: str

    def parse(self) -> ImageScript:
        """Parse both; raises ConfigError."""
        known = read_variables(self.texts[self.version], file=self.version)
        return ImageScript.parse(self.texts[self.script], file=self.script, variables=known)

    def places(self) -> tuple[Place, ...]:
        """Return every place with an image, in the order of the script's lists."""
        return places(self.parse())

    def with_texts(self, texts: Mapping[str, str]) -> Sources:
        """Return these sources with other texts for some of the files."""
        return Sources(texts={**self.texts, **texts}, script=self.script, version=self.version)


def places(script: ImageScript) -> tuple[Place, ...]:
    """Return every place with an image, in the order in which the script lists them."""
    found: dict[Key, Place] = {}
    for edition in script.editions:
        for architecture in ARCHITECTURES:
            run = script.run(edition=edition, architecture=architecture)
            for name, entries in run.lists.items():
                for entry in entries:
                    key = (entry.text.file, entry.text.start)
                    sites = found[key].sites if key in found else frozenset[Site]()
                    found[key] = Place(
                        text=entry.text,
                        image=entry.image,
                        scope=entry.scope,
                        sites=sites | {(name, edition)},
                    )
    return tuple(found.values())


def edited(
    sources: Sources, change: Change, *, is_private: Callable[[str], bool]
) -> Mapping[str, str]:
    """Return the texts with ``change`` made, by file, those that differ only.

    ``is_private`` tells whether a variable of version.sh is for build-images
    alone. Raises ValidationError where no edit gives just what is wanted.
    """
    known = {place.key: place for place in sources.places()}
    wanted = _expected(known, change)
    base = [*_insertions(known, sources, change), *_deletions(known, sources, change)]
    moves = [_Move(known[key], image) for key, image in change.images.items() if image is not None]
    by_variable = _by_variable(moves, is_private)
    chosen: dict[Key, str] = {}
    for region, value in by_variable.items():
        trial = {**chosen, region: value}
        if _gives(_applied(sources, base, moves, trial), wanted):
            chosen = trial
    result = _applied(sources, base, moves, chosen)
    if not _gives(result, wanted):
        first = next(iter(change.images), None) or next(key for key, _ in change.added)
        where = f"{first[0]}: line {_line(sources, first)}"
        msg = f"{where}: cannot be edited so that nothing else changes"
        raise ValidationError(msg, hint="edit the lists by hand, then run 'rke2pack audit'")
    return {file: text for file, text in result.texts.items() if text != sources.texts[file]}


@dataclass(frozen=True, slots=True)
class _Edit:
    file: str
    start: int
    end: int
    new: str


class _Move:
    """A place that gets another image: the piece of text to replace, and a variable in it."""

    def __init__(self, place: Place, image: str) -> None:
        self.place = place
        self.text = _unfolded(place)
        repository, _, self.tag = image.rpartition(":")
        colon = _tag_start(self.text.raw)
        prefix = _REGISTRY.match(self.text.raw)
        is_same = repository == place.repository and colon is not None
        self.start = self.text.start + (colon or 0) if is_same else self.text.start
        self.literal = self.tag if is_same else f"{prefix[0] if prefix else ''}{image}"
        self.old = self.text.raw[colon:] if is_same else ""

    def edit(self) -> _Edit:
        return _Edit(self.text.file, self.start, self.text.end, self.literal)

    def variable(self) -> tuple[str, Text, str] | None:
        """Return the tag's one variable: its name, where its value stands, its new value."""
        found = list(_VARIABLE.finditer(self.old))
        if len(found) != 1:
            return None
        name = found[0][1] or found[0][2]
        before = scalar(self.old[: found[0].start()], self.place.scope)
        after = scalar(self.old[found[0].end() :], self.place.scope)
        value = self.place.scope.get(name)
        region = _literal(value) if value is not None else None
        if region is None or before is None or after is None:
            return None
        if not (self.tag.startswith(before) and self.tag.endswith(after)):
            return None
        new = self.tag[len(before) : len(self.tag) - len(after)]
        return (name, region, new) if new else None


def _by_variable(moves: Iterable[_Move], is_private: Callable[[str], bool]) -> dict[Key, str]:
    """Return the variables that could move: where the value stands -> the one new value."""
    proposed: dict[Key, set[str]] = {}
    for move in moves:
        found = move.variable()
        if found is None:
            continue
        name, region, new = found
        if region.file == move.place.text.file or is_private(name):
            proposed.setdefault((region.file, region.start), set()).add(new)
    return {key: values.pop() for key, values in proposed.items() if len(values) == 1}


def _applied(
    sources: Sources, base: list[_Edit], moves: list[_Move], chosen: Mapping[Key, str]
) -> Sources:
    edits = list(base)
    for move in moves:
        found = move.variable()
        region = found[1] if found else None
        if region is None or (region.file, region.start) not in chosen:
            edits.append(move.edit())
        else:
            new = chosen[region.file, region.start]
            edits.append(_Edit(region.file, region.start, region.end, new))
    texts = dict(sources.texts)
    for edit in sorted(dict.fromkeys(edits), key=lambda e: (e.start, e.end), reverse=True):
        text = texts[edit.file]
        texts[edit.file] = text[: edit.start] + edit.new + text[edit.end :]
    return sources.with_texts(texts)


def _gives(sources: Sources, wanted: Mapping[Site, Counter[str]]) -> bool:
    return _content(sources.places()) == wanted


def _content(found: Iterable[Place]) -> dict[Site, Counter[str]]:
    content: dict[Site, Counter[str]] = {}
    for place in found:
        for site in place.sites:
            content.setdefault(site, Counter())[place.image or place.text.raw] += 1
    return content


def _expected(known: Mapping[Key, Place], change: Change) -> dict[Site, Counter[str]]:
    content: dict[Site, Counter[str]] = {}
    kept = [
        (key, image)
        for key, place in known.items()
        if (image := change.images.get(key, place.image or place.text.raw)) is not None
    ]
    for key, image in (*kept, *change.added):
        for site in known[key].sites:
            content.setdefault(site, Counter())[image] += 1
    return content


def _unfolded(place: Place) -> Text:
    """Return where the image itself is written: a word that is one variable stands for another."""
    text, scope = place.text, place.scope
    for _ in range(10):
        found = _VARIABLE.fullmatch(text.raw)
        value = scope.get(found[1] or found[2]) if found else None
        if value is None or value.is_many:
            return text
        text, scope = value.pieces[0]
    return text


def _tag_start(raw: str) -> int | None:
    """Return where the tag starts: behind the last colon that no braces enclose."""
    depth = 0
    for position in range(len(raw) - 1, -1, -1):
        depth += {"}": 1, "{": -1}.get(raw[position], 0)
        if depth == 0 and raw[position] == "/":
            return None
        if depth == 0 and raw[position] == ":":
            return position + 1
    return None


def _literal(value: Value) -> Text | None:
    """Return the part of a variable's text that is its value and has no variable in it."""
    if value.is_many:
        return None
    text = value.pieces[0][0]
    default = _DEFAULT.match(text.raw)
    if default is not None:
        return Text(file=text.file, start=text.start + default.start(1), raw=default[1])
    return None if "$" in text.raw or not text.file else text


def _insertions(known: Mapping[Key, Place], sources: Sources, change: Change) -> Iterable[_Edit]:
    """Put new images behind their neighbour, each on a line of its own, in the neighbour's form."""
    behind: dict[Key, list[str]] = {}
    for key, image in change.added:
        behind.setdefault(key, []).append(image)
    for key, images in behind.items():
        text = known[key].text
        before = _line_before(sources, text)
        indent = before if not before.strip() else _INDENT
        prefix = _REGISTRY.match(text.raw)
        lines = (f"\n{indent}{prefix[0] if prefix else ''}{image}" for image in images)
        yield _Edit(text.file, text.end, text.end, "".join(lines))


def _deletions(known: Mapping[Key, Place], sources: Sources, change: Change) -> Iterable[_Edit]:
    for key, image in change.images.items():
        if image is not None:
            continue
        text = known[key].text
        whole = sources.texts[text.file]
        line_end = whole.find("\n", text.end)
        rest = whole[text.end : line_end if line_end >= 0 else len(whole)]
        before = _line_before(sources, text)
        if before.strip():
            yield _Edit(text.file, text.start - (before[-1:] == " "), text.end, "")
        elif rest.strip():  # a closing quote behind it stays, on the line before
            yield _Edit(text.file, max(text.start - len(before) - 1, 0), text.end, "")
        else:
            yield _Edit(text.file, text.start - len(before), text.end + len(rest) + 1, "")


def _line_before(sources: Sources, text: Text) -> str:
    whole = sources.texts[text.file]
    return whole[whole.rfind("\n", 0, text.start) + 1 : text.start]


def _line(sources: Sources, key: Key) -> int:
    return sources.texts[key[0]].count("\n", 0, key[1]) + 1
