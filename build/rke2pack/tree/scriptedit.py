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
from dataclasses import dataclass, replace
from functools import cached_property

from rke2pack.errors import ConfigError, ValidationError
from rke2pack.tree.imagescript import Entry, ImageScript, Value, scalar
from rke2pack.tree.imagescript import variables as read_variables
from rke2pack.tree.scriptlines import REGISTRY, Edit, Line
from rke2pack.tree.statement import Text

Site = tuple[str, str]  # list, edition
Key = tuple[str, int]  # file, offset
_VARIABLE = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?::?-[^{}]*)?\})")
_DEFAULT = re.compile(r"\$\{[A-Za-z_]\w*:?-([^${}]*)\}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """An image where it stands, and the lists (per edition) that have it from there.

    ``image`` is None where it is not known, or not the same in all of them.
    ``documents`` are the here-documents that write it, by where they start.
    """

    text: Text
    image: str | None
    scope: Mapping[str, Value]
    sites: frozenset[Site]
    documents: frozenset[int] = frozenset()

    @property
    def key(self) -> Key:
        """What tells places apart."""
        return self.text.file, self.text.start

    @property
    def repository(self) -> str:
        """The image without its tag, which may be unknown; empty where it is not known."""
        if self.image is not None:
            return self.image.rpartition(":")[0]
        colon = _tag_start(self.text.raw)
        bare = self.text.raw[: colon - 1] if colon is not None else ""
        return scalar(REGISTRY.sub("", bare, count=1), self.scope) or ""

    @property
    def is_of_release(self) -> bool:
        """Whether a variable of version.sh is in its tag: the release moves it, no chart."""
        colon = _tag_start(self.text.raw)
        names = (found[1] or found[2] for found in _VARIABLE.finditer(self.text.raw[colon:]))
        values = (self.scope.get(name) for name in names)
        return any(
            text.file not in {"", self.text.file} for v in values if v for text, _ in v.pieces
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """What should stand where: place -> its new image (None: the line goes), new ones behind it."""

    images: Mapping[Key, str | None]
    added: tuple[tuple[Key, str], ...]


@dataclass(frozen=True, kw_only=True)
class Sources:
    """The texts of build-images and version.sh, by file; ``script`` and ``version`` name them.

    They are parsed when they are first asked for, and once; raises ConfigError then.
    """

    texts: Mapping[str, str]
    script: str
    version: str

    @cached_property
    def variables(self) -> Mapping[str, Value]:
        """What version.sh assigns."""
        return read_variables(self.texts[self.version], file=self.version)

    @cached_property
    def parsed(self) -> ImageScript:
        """build-images with the variables of version.sh."""
        text = self.texts[self.script]
        return ImageScript.parse(text, file=self.script, variables=self.variables)

    @cached_property
    def places(self) -> tuple[Place, ...]:
        """Every place with an image, in the order in which the script lists them."""
        return _places(self.parsed)

    def with_texts(self, texts: Mapping[str, str]) -> Sources:
        """Return these sources with other texts for some of the files."""
        return Sources(texts={**self.texts, **texts}, script=self.script, version=self.version)


def _places(script: ImageScript) -> tuple[Place, ...]:
    found: dict[Key, Place] = {}
    for run in script.runs:
        for name, entries in run.lists.items():
            for entry in entries:
                place = _place(entry, (name, run.edition))
                before = found.get(place.key)
                found[place.key] = place if before is None else _both(before, place)
    return tuple(found.values())


def _place(entry: Entry, site: Site) -> Place:
    return Place(
        text=entry.text,
        image=entry.image,
        scope=entry.scope,
        sites=frozenset({site}),
        documents=frozenset() if entry.document is None else frozenset({entry.document}),
    )


def _both(one: Place, other: Place) -> Place:
    return replace(
        one,
        image=one.image if one.image == other.image else None,
        sites=one.sites | other.sites,
        documents=one.documents | other.documents,
    )


def edited(
    sources: Sources, change: Change, *, is_private: Callable[[str], bool]
) -> Mapping[str, str]:
    """Return the texts with ``change`` made, by file, those that differ only.

    ``is_private`` tells whether a variable of version.sh is for build-images
    alone. Raises ValidationError where no edit gives just what is wanted.
    """
    known = {place.key: place for place in sources.places}
    _refuse_shared(sources, change, is_private)
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


def _refuse_shared(sources: Sources, change: Change, is_private: Callable[[str], bool]) -> None:
    """Raise for a whole image in a variable of version.sh that is not for build-images alone."""
    keys = (*change.images, *(key for key, _ in change.added))
    for key in (key for key in keys if key[0] == sources.version):
        values = sources.variables.items()
        names = [n for n, v in values if any(_within(key, text) for text, _ in v.pieces)]
        shared = next((name for name in names if not is_private(name)), None)
        if shared is not None:
            where = f"{key[0]}: line {_line(sources, key)}"
            msg = f"{where}: {shared} is used elsewhere too, it does not move with a chart"
            raise ValidationError(msg, hint="edit it by hand, then run 'rke2pack audit'")


def _within(key: Key, text: Text) -> bool:
    return key[0] == text.file and text.start <= key[1] < text.end


class _Move:
    """A place that gets another image: the piece of text to replace, and a variable in it."""

    def __init__(self, place: Place, image: str) -> None:
        self.place = place
        self.text = _default(place.text) or place.text
        repository, _, self.tag = image.rpartition(":")
        colon = _tag_start(self.text.raw)
        prefix = REGISTRY.match(self.text.raw)
        is_same = repository == place.repository and colon is not None
        self.start = self.text.start + (colon or 0) if is_same else self.text.start
        self.literal = self.tag if is_same else f"{prefix[0] if prefix else ''}{image}"
        self.old = self.text.raw[colon:] if is_same else ""

    def edit(self) -> Edit:
        return Edit(self.text.file, self.start, self.text.end, self.literal)

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
    sources: Sources, base: list[Edit], moves: list[_Move], chosen: Mapping[Key, str]
) -> Sources:
    edits = list(base)
    for move in moves:
        found = move.variable()
        region = found[1] if found else None
        if region is None or (region.file, region.start) not in chosen:
            edits.append(move.edit())
        else:
            new = chosen[region.file, region.start]
            edits.append(Edit(region.file, region.start, region.end, new))
    texts = dict(sources.texts)
    for edit in sorted(dict.fromkeys(edits), key=lambda e: (e.start, e.end), reverse=True):
        text = texts[edit.file]
        texts[edit.file] = text[: edit.start] + edit.new + text[edit.end :]
    return sources.with_texts(texts)


def _gives(sources: Sources, wanted: Mapping[Site, Counter[str]]) -> bool:
    try:
        found = sources.places
    except ConfigError:  # an edit that leaves no script
        return False
    return _content(found) == wanted


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
    default = _default(text)
    if default is not None:
        return default
    return None if "$" in text.raw or not text.file else text


def _default(text: Text) -> Text | None:
    """Return ``value`` of ``${NAME:-value}``."""
    found = _DEFAULT.match(text.raw)
    if found is None:
        return None
    return Text(file=text.file, start=text.start + found.start(1), raw=found[1])


def _insertions(known: Mapping[Key, Place], sources: Sources, change: Change) -> Iterable[Edit]:
    """Put new images behind their neighbour, in the neighbour's form."""
    behind: dict[Key, list[str]] = {}
    for key, image in change.added:
        behind.setdefault(key, []).append(image)
    for key, images in behind.items():
        yield _on_line(known, sources, key).added(images)


def _deletions(known: Mapping[Key, Place], sources: Sources, change: Change) -> Iterable[Edit]:
    for key, image in change.images.items():
        if image is None:
            yield _on_line(known, sources, key).removed()


def _on_line(known: Mapping[Key, Place], sources: Sources, key: Key) -> Line:
    others = [start for file, start in known if file == key[0]]
    return Line(sources.texts[key[0]], known[key].text, others)


def _line(sources: Sources, key: Key) -> int:
    return sources.texts[key[0]].count("\n", 0, key[1]) + 1
