"""scripts/build-images of rancher/rke2: which images it writes to which list, and where they stand.

The script is followed as data, once for each edition and architecture that its
conditions may tell apart: assignments, here-documents, ``if`` and ``for``. Every
image keeps the places of the text that it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import PurePosixPath

from rke2pack.errors import ConfigError
from rke2pack.oci.reference import DOCKER_HUB
from rke2pack.tree.shell import parse
from rke2pack.tree.statement import (
    Assign,
    Choice,
    Condition,
    Junction,
    Loop,
    Output,
    Statement,
    Test,
    Text,
    flat,
)

ARCHITECTURES = ("amd64", "arm64")
COMMUNITY, PRIME = "community", "prime"
REGISTRIES = {COMMUNITY: DOCKER_HUB, PRIME: "registry.example.com"}
MAX_IMAGES = 20_000
MAX_ASSIGNMENTS = 2_000
MAX_TEXT = 64 * 1024
_MAX_NESTING = 30
_LIST = re.compile(r"images-([a-z0-9][a-z0-9-]*)\.txt\Z")
_EXPANSION = re.compile(r"\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)([^{}]*(?:\$\{[^{}]*\}[^{}]*)*)\})")
_WHOLE = re.compile(r"\"?\$(?:([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:\[[@*]\])?\})\"?\Z")
_DEFAULT = re.compile(r":?-(.*)\Z", re.DOTALL)
_SWAP = re.compile(r"(//?)([^*?\[\]/]+)/([^*?\[\]]*)\Z")
_CUT = re.compile(r"(##?|%%?)([^*?\[\]]+)\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """What a variable holds: pieces of text, each read with the variables of its moment."""

    pieces: tuple[tuple[Text, Mapping[str, Value]], ...]
    text: str | None  # the pieces in one, None where a variable in it is not known

    @property
    def is_many(self) -> bool:
        """Whether it stands for any number of words instead of one."""
        return len(self.pieces) != 1 or len(self.pieces[0][0].raw.split()) != 1

    @property
    def is_written(self) -> bool:
        """Whether it stands in a file, so that its words have places there."""
        return all(text.file for text, _ in self.pieces)


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One image of a list; ``image`` is None where a variable's value is not known.

    ``image`` has no registry in front where the script puts its own there.
    ``text`` is where it stands, ``scope`` what the variables were there,
    ``document`` the start of the here-document that writes it.
    """

    text: Text
    image: str | None
    scope: Mapping[str, Value] = field(repr=False)
    document: int | None

    @property
    def repository(self) -> str:
        """The image without its tag; empty where it is not known."""
        return (self.image or "").rpartition(":")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run of the script would write: list -> its images, in order."""

    edition: str
    architecture: str
    lists: Mapping[str, tuple[Entry, ...]]
    assumed: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class ImageScript:
    """The parsed script with the variables of version.sh."""

    file: str
    statements: tuple[Statement, ...]
    variables: Mapping[str, Value]

    @classmethod
    def parse(cls, text: str, *, file: str, variables: Mapping[str, Value]) -> ImageScript:
        """Parse a script; raises ConfigError."""
        return cls(file=file, statements=parse(text, file=file), variables=variables)

    @property
    def editions(self) -> tuple[str, ...]:
        """The editions that the script tells apart; the community's alone where it does not."""
        asked = any("REGISTRY" in name for name in _tested(self.statements))
        return (COMMUNITY, PRIME) if asked else (COMMUNITY,)

    @property
    def assumed(self) -> tuple[int, ...]:
        """The lines of conditions that cannot be decided, in any run."""
        return tuple(sorted({line for run in self.runs for line in run.assumed}))

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """What the script writes in every edition, for every architecture; the community first."""
        return tuple(
            self.run(edition=edition, architecture=architecture)
            for edition in self.editions
            for architecture in ARCHITECTURES
        )

    def run(self, *, edition: str, architecture: str) -> Run:
        """Follow the script; a condition that cannot be decided counts as met, and is told."""
        given = {"REGISTRY": REGISTRIES[edition], "GOOS": "linux"}
        given |= dict.fromkeys(("GOARCH", "ARCH"), architecture)
        scope = dict(self.variables) | {name: constant(value) for name, value in given.items()}
        walk = _Walk(self.file, scope, frozenset(given))
        walk.block(self.statements)
        lists = {name: tuple(entries) for name, entries in walk.lists.items()}
        return Run(
            edition=edition,
            architecture=architecture,
            lists=lists,
            assumed=tuple(dict.fromkeys(walk.assumed)),
        )


def variables(text: str, *, file: str) -> dict[str, Value]:
    """Return what a script such as version.sh assigns outside of any condition."""
    walk = _Walk(file, {}, frozenset())
    walk.block(tuple(s for s in parse(text, file=file) if isinstance(s, Assign)))
    return walk.scope


def constant(text: str) -> Value:
    """Return a value that stands in no file."""
    return Value(pieces=((Text(file="", start=0, raw=text), {}),), text=text)


def scalar(raw: str, scope: Mapping[str, Value]) -> str | None:
    """Fill in the variables of one word; None where one is not known, or it gets too long."""
    if "$(" in raw or "`" in raw:
        return None
    parts: list[str] = []
    written: list[str] = []
    last = length = 0
    for found in _EXPANSION.finditer(raw):
        value = _expanded(found, scope)
        length += len(value or "")
        if value is None or length > MAX_TEXT:
            return None
        written.append(raw[last : found.start()])
        parts += (written[-1], value)
        last = found.end()
    written.append(raw[last:])
    is_known = not any("$" in each for each in written)
    return "".join((*parts, written[-1])).replace('"', "") if is_known else None


def text_of(name: str, scope: Mapping[str, Value]) -> str | None:
    """Return a variable's value as one text; None where it is not known."""
    value = scope.get(name)
    return value.text if value is not None else None


def _expanded(found: re.Match[str], scope: Mapping[str, Value]) -> str | None:
    name, operation = found[1] or found[2], found[3] or ""
    value = text_of(name, scope)
    default = _DEFAULT.match(operation)
    if default is not None:
        return value or scalar(default[1], scope)
    if value is None or not operation:
        return value
    swap, cut = _SWAP.match(operation), _CUT.match(operation)
    if swap is not None:
        return value.replace(swap[2], swap[3], -1 if swap[1] == "//" else 1)
    if cut is not None:
        return value.removeprefix(cut[2]) if cut[1][0] == "#" else value.removesuffix(cut[2])
    return None


def _tested(statements: tuple[Statement, ...]) -> Iterator[str]:
    """Yield the left and right sides of all conditions."""
    for statement in statements:
        if isinstance(statement, Choice):
            for condition, body in statement.branches:
                yield from _sides(condition)
                yield from _tested(body)
            yield from _tested(statement.otherwise)
        elif isinstance(statement, Loop):
            yield from _tested(statement.body)


def _sides(condition: Condition) -> Iterator[str]:
    if isinstance(condition, Test):
        yield from (condition.left, condition.right)
    elif isinstance(condition, Junction):
        for part in condition.parts:
            yield from _sides(part)


class _Walk:
    def __init__(self, file: str, scope: dict[str, Value], given: frozenset[str]) -> None:
        self.file = file
        self.scope = scope
        self.lists: dict[str, list[Entry]] = {}
        self.assumed: list[int] = []
        self._given = given
        self._count = 0
        self._assigned = 0
        self._now: dict[str, Value] | None = None

    def block(self, statements: tuple[Statement, ...]) -> None:
        for statement in statements:
            match statement:
                case Assign():
                    self._assign(statement)
                case Output():
                    self._write(statement)
                case Choice():
                    self._choose(statement)
                case Loop():
                    self._loop(statement)

    def _assign(self, assign: Assign) -> None:
        if assign.name in self._given:
            return
        before = self.scope.get(assign.name) if assign.appends else None
        scope = self._moment()
        text = scalar(assign.value.raw, scope)
        pieces: tuple[tuple[Text, Mapping[str, Value]], ...] = ((assign.value, scope),)
        if before is not None:
            between = " " if assign.is_array else ""
            is_known = before.text is not None and text is not None
            text = f"{before.text}{between}{text}" if is_known else None
            pieces = (*before.pieces, *pieces)
        if text is not None and len(text) > MAX_TEXT:
            text = None
        self._set(assign.name, Value(pieces=pieces, text=text))

    def _set(self, name: str, value: Value) -> None:
        self._assigned += 1
        if self._assigned > MAX_ASSIGNMENTS:
            msg = f"{self.file}: assigns variables more than {MAX_ASSIGNMENTS} times"
            raise ConfigError(msg)
        self.scope[name] = value
        self._now = None

    def _moment(self) -> dict[str, Value]:
        """Return the variables as they are now, for what is read later."""
        if self._now is None:
            self._now = dict(self.scope)
        return self._now

    def _write(self, output: Output) -> None:
        path = scalar(output.path, self.scope) or output.path
        named = _LIST.match(PurePosixPath(path).name)
        if named is None:
            return
        entries = self.lists.setdefault(named[1], [])
        if not output.appends:
            entries.clear()
        scope = self._moment()
        for word in output.words:
            found = self._entries(word, scope, 0)
            entries += (replace(entry, document=output.document) for entry in found)

    def _entries(self, word: Text, scope: Mapping[str, Value], depth: int) -> Iterator[Entry]:
        """Yield the images that a word stands for: itself, or what its variable lists."""
        word = _unquoted(word)
        if word.raw in {"", "\\"}:  # the line goes on behind it
            return
        whole = _WHOLE.match(word.raw)
        value = scope.get(whole[1] or whole[2]) if whole else None
        if value is not None and value.is_written:
            self._check_size(depth)
            for text, own in value.pieces:
                for inner in text.words():
                    yield from self._entries(inner, own, depth + 1)
            return
        self._count += 1
        self._check_size(depth)
        image = scalar(word.raw, scope)
        registry = text_of("REGISTRY", scope)
        if image is not None and registry is not None:
            image = image.removeprefix(f"{registry}/")
        if image is not None and len(image.split()) != 1:  # a loop's variable inside a word
            image = None
        yield Entry(text=word, image=image, scope=scope, document=None)

    def _check_size(self, depth: int) -> None:
        if depth > _MAX_NESTING or self._count > MAX_IMAGES:
            msg = f"{self.file}: lists more than {MAX_IMAGES} images, or nests variables too deeply"
            raise ConfigError(msg)

    def _choose(self, choice: Choice) -> None:
        is_decided = True
        for condition, body in choice.branches:
            holds = self._holds(condition)
            if holds is False:
                continue
            if holds and is_decided:
                self.block(body)
                return
            self._assume(body, choice.line)
            if holds:
                return
            is_decided = False
        if is_decided:
            self.block(choice.otherwise)
        else:
            self._assume(choice.otherwise, choice.line)

    def _assume(self, body: tuple[Statement, ...], line: int) -> None:
        """Follow a branch that may or may not be taken; it takes nothing away from a list."""
        if any(isinstance(statement, Output | Assign) for statement in flat(body)):
            self.assumed.append(line)
        self.block(_appending(body))

    def _holds(self, condition: Condition) -> bool | None:
        match condition:
            case Test():
                left, right = (scalar(s, self.scope) for s in (condition.left, condition.right))
                if left is None or right is None:
                    return None
                return (left == right) == (condition.operator == "=")
            case Junction(operator="!"):
                inner = self._holds(condition.parts[0])
                return None if inner is None else not inner
            case Junction():
                return _joined(condition.operator, [self._holds(part) for part in condition.parts])
        return None

    def _loop(self, loop: Loop) -> None:
        scope = self._moment()
        pieces = tuple((word, scope) for word in loop.words)
        texts = [scalar(word.raw, scope) for word in loop.words]
        text = None if None in texts else " ".join(each or "" for each in texts)
        self._set(loop.name, Value(pieces=pieces, text=text))
        self.block(_appending(loop.body))


def _unquoted(word: Text) -> Text:
    if len(word.raw) > 1 and word.raw[0] == word.raw[-1] and word.raw[0] in "\"'":
        return Text(file=word.file, start=word.start + 1, raw=word.raw[1:-1])
    return word


def _joined(operator: str, results: list[bool | None]) -> bool | None:
    decisive = operator == "||"
    if decisive in results:
        return decisive
    return None if None in results else not decisive


def _appending(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    """Return statements of which none takes away what a list has."""
    return tuple(_kept(statement) for statement in statements)


def _kept(statement: Statement) -> Statement:
    match statement:
        case Output():
            return replace(statement, appends=True)
        case Choice():
            branches = tuple((test, _appending(body)) for test, body in statement.branches)
            return replace(statement, branches=branches, otherwise=_appending(statement.otherwise))
        case Loop():
            return replace(statement, body=_appending(statement.body))
        case Assign():
            return statement
