"""scripts/build-images of rancher/rke2: which images it writes to which list, and where they stand.

The script is followed as data, once for each edition and architecture that its
conditions may tell apart: assignments, here-documents, ``if`` and ``for``. Every
image keeps the places of the text that it comes from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import PurePosixPath

from rke2pack.errors import ConfigError
from rke2pack.tree.shell import (
    Assign,
    Choice,
    Condition,
    Junction,
    Loop,
    Output,
    Statement,
    Test,
    Text,
    parse,
)

ARCHITECTURES = ("amd64", "arm64")
COMMUNITY, PRIME = "community", "prime"
REGISTRIES = {COMMUNITY: "docker.io", PRIME: "registry.example.com"}
MAX_IMAGES = 20_000
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

    @property
    def is_many(self) -> bool:
        """Whether it stands for any number of words instead of one."""
        return len(self.pieces) != 1 or len(self.pieces[0][0].raw.split()) != 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One image of a list; ``image`` is None where a variable's value is not known.

    ``image`` has no registry in front where the script puts its own there.
    ``text`` is where it stands, ``scope`` what the variables were there.
    """

    text: Text
    image: str | None
    scope: Mapping[str, Value] = field(repr=False)

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


@dataclass(frozen=True, slots=True, kw_only=True)
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
    return Value(pieces=((Text(file="", start=0, raw=text), {}),))


def scalar(raw: str, scope: Mapping[str, Value], depth: int = 0) -> str | None:
    """Fill in the variables of one word; None where one of them is not known."""
    if depth > _MAX_NESTING or "$(" in raw or "`" in raw:
        return None
    parts: list[str] = []
    last = 0
    for found in _EXPANSION.finditer(raw):
        value = _expanded(found, scope, depth + 1)
        if value is None:
            return None
        parts += (raw[last : found.start()], value)
        last = found.end()
    rest = raw[last:]
    return None if "$" in rest else "".join((*parts, rest)).replace('"', "")


def text_of(name: str, scope: Mapping[str, Value], depth: int = 0) -> str | None:
    """Return a variable's value as one text; None where it is not known."""
    value = scope.get(name)
    if value is None:
        return None
    texts = [scalar(text.raw, own, depth + 1) for text, own in value.pieces]
    return None if None in texts else " ".join(text or "" for text in texts)


def _expanded(found: re.Match[str], scope: Mapping[str, Value], depth: int) -> str | None:
    name, operation = found[1] or found[2], found[3] or ""
    value = text_of(name, scope, depth)
    default = _DEFAULT.match(operation)
    if default is not None:
        return value or scalar(default[1], scope, depth)
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
        scope = dict(self.scope)
        own = ((assign.value, scope),)
        self.scope[assign.name] = Value(pieces=(*(before.pieces if before else ()), *own))

    def _write(self, output: Output) -> None:
        path = scalar(output.path, self.scope) or output.path
        named = _LIST.match(PurePosixPath(path).name)
        if named is None:
            return
        entries = self.lists.setdefault(named[1], [])
        if not output.appends:
            entries.clear()
        scope = dict(self.scope)
        for word in output.words:
            entries += self._entries(word, scope, 0)

    def _entries(self, word: Text, scope: Mapping[str, Value], depth: int) -> Iterator[Entry]:
        """Yield the images that a word stands for: itself, or what its variable lists."""
        whole = _WHOLE.match(word.raw)
        value = scope.get(whole[1] or whole[2]) if whole else None
        if value is not None and (value.is_many or _WHOLE.match(value.pieces[0][0].raw)):
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
        yield Entry(text=word, image=image, scope=scope)

    def _check_size(self, depth: int) -> None:
        if depth > _MAX_NESTING or self._count > MAX_IMAGES:
            msg = f"{self.file}: lists more than {MAX_IMAGES} images, or nests variables too deeply"
            raise ConfigError(msg)

    def _choose(self, choice: Choice) -> None:
        is_decided = True
        for condition, body in choice.branches:
            holds = self._holds(condition)
            if holds is None:
                self._assume(body, choice.line)
                is_decided = False
            elif holds:
                self.block(body)
                return
        if is_decided:
            self.block(choice.otherwise)
        else:
            self._assume(choice.otherwise, choice.line)

    def _assume(self, body: tuple[Statement, ...], line: int) -> None:
        """Follow a branch that may or may not be taken; it takes nothing away from a list."""
        if any(isinstance(statement, Output) for statement in _flat(body)):
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
        scope = dict(self.scope)
        pieces = tuple((word, scope) for word in loop.words)
        self.scope[loop.name] = Value(pieces=pieces)
        self.block(_appending(loop.body))


def _joined(operator: str, results: list[bool | None]) -> bool | None:
    decisive = operator == "||"
    if decisive in results:
        return decisive
    return None if None in results else not decisive


def _flat(statements: tuple[Statement, ...]) -> Iterator[Statement]:
    for statement in statements:
        yield statement
        if isinstance(statement, Choice):
            for _, body in statement.branches:
                yield from _flat(body)
            yield from _flat(statement.otherwise)
        elif isinstance(statement, Loop):
            yield from _flat(statement.body)


def _appending(statements: tuple[Statement, ...]) -> tuple[Statement, ...]:
    return tuple(
        replace(statement, appends=True) if isinstance(statement, Output) else statement
        for statement in statements
    )
