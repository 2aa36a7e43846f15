"""What a shell script says of its lists: assignments, outputs, choices and loops."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

_WORD = re.compile(r"\S+")
_FIRST_WORD = re.compile(r"^[^\S\n]*(\S+)", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """A piece of a script as it is written: the file, and where in its text it starts."""

    file: str
    start: int
    raw: str

    @property
    def end(self) -> int:
        """Where the piece ends."""
        return self.start + len(self.raw)

    def words(self) -> Iterator[Text]:
        """Yield the words between white space."""
        for found in _WORD.finditer(self.raw):
            yield Text(file=self.file, start=self.start + found.start(), raw=found[0])

    def first_words(self) -> Iterator[Text]:
        """Yield the first word of each line."""
        for found in _FIRST_WORD.finditer(self.raw):
            yield Text(file=self.file, start=self.start + found.start(1), raw=found[1])


@dataclass(frozen=True, slots=True, kw_only=True)
class Assign:
    """``NAME=value``, ``NAME+=value``, ``NAME=(a b)``; the value without its quotes."""

    name: str
    value: Text
    appends: bool
    is_array: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """Words that go to a file: a here-document, or what echo and printf are given.

    ``document`` is where the here-document starts, None for echo and printf.
    """

    path: str
    words: tuple[Text, ...]
    appends: bool
    document: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """``left operator right`` with ``=``, ``!=``, or ``-z``/``-n`` of ``right``."""

    left: str
    operator: str
    right: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Junction:
    """Conditions joined by ``&&`` or ``||``, or one that is turned around by ``!``."""

    operator: str
    parts: tuple[Condition, ...]


Condition = Test | Junction | None  # None: not understood


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """``if``, ``elif``, ``else``: the first branch whose condition holds; each with its line."""

    branches: tuple[tuple[Condition, tuple[Statement, ...]], ...]
    otherwise: tuple[Statement, ...]
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Loop:
    """``for NAME in words``: the body once for every word."""

    name: str
    words: tuple[Text, ...]
    body: tuple[Statement, ...]


Statement = Assign | Output | Choice | Loop


def flat(statements: tuple[Statement, ...]) -> Iterator[Statement]:
    """Yield statements with those inside of conditions and loops."""
    for statement in statements:
        yield statement
        if isinstance(statement, Choice):
            for _, body in statement.branches:
                yield from flat(body)
            yield from flat(statement.otherwise)
        elif isinstance(statement, Loop):
            yield from flat(statement.body)
