"""How images stand in the lines of a script: a line for a new one, a line less for an old one."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from rke2pack.tree.statement import Text

REGISTRY = re.compile(r"\$(?:REGISTRY|\{REGISTRY\})/")
_INDENT = "    "
_WRITER = re.compile(r"[ \t]*(?:echo|printf)[ \t]")
_ONLY_WORD = re.compile(r"[ \t]*(?:echo|printf)(?:[ \t]+(?:-\w+|['\"]?%s\\n['\"]?))*[ \t]+['\"]?\Z")
_REDIRECTED = re.compile(r"['\"]?[ \t]*(?:>>?[ \t]*[^<>;&|]*)?\Z")
_LOOP = re.compile(r"[ \t]*for[ \t]")
_CLOSES = re.compile(r"[\"'`();]")


@dataclass(frozen=True, slots=True)
class Edit:
    """Text that takes the place of another: in ``file``, from ``start`` to ``end``."""

    file: str
    start: int
    end: int
    new: str


class Line:
    """The line that an image stands on: what is before it, and the rest behind it."""

    def __init__(self, whole: str, text: Text, others: Collection[int] = ()) -> None:
        """Look at ``text`` in ``whole``; ``others`` are the offsets of all images there."""
        self.text = text
        self.quote = _quote(whole, text)
        self.at, self.to = text.start - len(self.quote), text.end + len(self.quote)
        self.start = whole.rfind("\n", 0, self.at) + 1
        found = whole.find("\n", self.to)
        self.end = len(whole) if found < 0 else found + 1
        self.stop = self.to + len(whole[self.to : self.end].rstrip("\r\n"))
        self.before, self.rest = whole[self.start : self.at], whole[self.to : self.stop]
        self.newline = "\r\n" if whole[self.stop : self.end] == "\r\n" else "\n"
        self.is_first = not self.before.strip()
        self.shares = any(self.to <= other < self.stop for other in others)
        self._whole = whole

    @property
    def is_alone(self) -> bool:
        """Whether nothing but a remark or a line's continuation stands behind it."""
        rest = self.rest.strip()
        is_remark = rest.startswith("#") or not _CLOSES.search(rest)
        return not self.shares and (not rest or rest == "\\" or is_remark)

    @property
    def continues(self) -> bool:
        """Whether lines are joined by a backslash here."""
        above = self._whole[: self.start].rstrip("\r\n")
        return self.rest.strip() == "\\" or (self.is_first and above.endswith("\\"))

    def added(self, images: Iterable[str]) -> Edit:
        """Return the edit that puts new images behind this one, in its form."""
        found = REGISTRY.match(self.text.raw)
        words = [f"{self.quote}{found[0] if found else ''}{i}{self.quote}" for i in images]
        if _ONLY_WORD.match(self.before) and _REDIRECTED.match(self.rest):
            rest = self.rest if ">>" in self.rest else self.rest.replace(">", ">>")
            lines = (f"{self.newline}{self.before}{word}{rest}" for word in words)
            return self._edit(self.stop, self.stop, "".join(lines))
        if _WRITER.match(self.before) or _LOOP.match(self.before):
            return self._edit(self.to, self.to, "".join(f" {word}" for word in words))
        indent = self.before if self.is_first else _INDENT
        if self.continues:
            lines = (f" \\{self.newline}{indent}{word}" for word in words)
            return self._edit(self.to, self.to, "".join(lines))
        behind = self.stop if self.is_alone and self.is_first else self.to
        return self._edit(behind, behind, "".join(f"{self.newline}{indent}{w}" for w in words))

    def removed(self) -> Edit:
        """Return the edit that takes this image away, with its line where that is its own."""
        if _ONLY_WORD.match(self.before):
            is_first = ">" in self.rest and ">>" not in self.rest
            is_whole = _REDIRECTED.match(self.rest) is not None and not is_first
            return self._edit(self.start, self.end if is_whole else self.start, "")
        if not self.is_first:
            return self._edit(self.at - (self.before[-1:] == " "), self.to, "")
        if self.is_alone:
            return self._edit(self.start, self.end, "")
        if self.shares:
            blank = len(self.rest) - len(self.rest.lstrip())
            return self._edit(self.at, self.to + blank, "")
        above = self._whole[: self.start].rstrip("\r\n")  # a closing quote goes to its end
        if above.endswith("\\"):
            above = above[:-1].rstrip(" \t")
        return self._edit(len(above), self.to, "")

    def _edit(self, start: int, end: int, new: str) -> Edit:
        return Edit(self.text.file, start, end, new)


def _quote(whole: str, text: Text) -> str:
    """Return the quotes around a word that is quoted by itself."""
    left, right = whole[max(text.start - 1, 0) : text.start], whole[text.end : text.end + 1]
    outside = whole[max(text.start - 2, 0) : max(text.start - 1, 0)]
    is_quoted = left == right and left in {'"', "'"} and outside in {" ", "\t", "\n", "("}
    return left if is_quoted else ""
