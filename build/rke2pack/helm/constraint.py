"""Version ranges as Helm writes them (Masterminds/semver v3, ``constraints.go``).

A constraint is an OR (``||``) of ANDs (spaces or commas) of comparisons:
``=``, ``!=``, ``>``, ``<``, ``>=``, ``<=``, ``~``, ``^``, hyphen ranges, and
``x``/``X``/``*`` or missing parts as wildcards. A version with a prerelease
satisfies only comparisons that name a prerelease themselves.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from rke2pack.errors import ConfigError

Numbers = tuple[int, int, int]
_PARTS = 3

_PART = r"(?:\d+|[xX*])"
_VERSION = (
    rf"v?({_PART})(?:\.({_PART}))?(?:\.({_PART}))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
)
_COMPARISON = re.compile(rf"\s*(=>|=<|>=|<=|!=|~>|=|>|<|~|\^|)\s*{_VERSION}\s*(?:,|(?=\s)|$)")
_HYPHEN = re.compile(rf"({_VERSION})\s+-\s+({_VERSION})")
_KUBE = re.compile(r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?\Z")


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One operator and version; ``given`` counts the parts that are numbers."""

    operator: str
    numbers: Numbers
    given: int
    prerelease: str

    def is_satisfied_by(  # noqa: PLR0911 - one answer an operator
        self, numbers: Numbers, prerelease: str
    ) -> bool:
        if prerelease and not self.prerelease:
            return False
        low = _compare((numbers, prerelease), (self.numbers, self.prerelease))
        match self.operator:
            case "!=":
                return (
                    numbers[: self.given] != self.numbers[: self.given]
                    if self.given < _PARTS
                    else low != 0
                )
            case ">":
                return low > 0 and (
                    self.given == _PARTS or numbers[: self.given] > self.numbers[: self.given]
                )
            case ">=" | "=>":
                return low >= 0
            case "<":
                return low < 0
            case "<=" | "=<":
                return low <= 0 or (
                    self.given < _PARTS and numbers[: self.given] <= self.numbers[: self.given]
                )
            case "~" | "~>":
                return (
                    low >= 0 and numbers[: min(self.given, 2)] == self.numbers[: min(self.given, 2)]
                )
            case "^":
                return low >= 0 and self._is_caret_compatible(numbers)
            case _:
                if self.given < _PARTS:
                    return low >= 0 and numbers[: self.given] == self.numbers[: self.given]
                return low == 0

    def _is_caret_compatible(self, numbers: Numbers) -> bool:
        """Everything up to the first part that is not zero must stay (``^0.2`` allows 0.2.9)."""
        fixed = next((i + 1 for i in range(self.given) if self.numbers[i]), self.given)
        return numbers[:fixed] == self.numbers[:fixed]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A parsed range; ``str()`` is the text it was parsed from."""

    text: str
    alternatives: tuple[tuple[_Comparison, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a range; raises ConfigError."""
        return cls(text, tuple(_parse_all(part, text) for part in text.split("||")))

    def allows(self, numbers: Numbers, prerelease: str = "") -> bool:
        """Whether a version, given as numbers and prerelease, lies in the range."""
        return any(
            all(c.is_satisfied_by(numbers, prerelease) for c in comparisons)
            for comparisons in self.alternatives
        )

    def __str__(self) -> str:
        return self.text


class KubeConstraint(Constraint):
    """A range of Kubernetes versions (``kubeVersion`` of Chart.yaml)."""

    def is_satisfied_by(self, kube_version: str) -> bool:
        """Whether e.g. ``v1.32.4`` or ``v1.32.4+rke2r1`` lies in the range."""
        found = _KUBE.match(kube_version)
        if found is None:
            msg = f"not a Kubernetes version: {kube_version!r}"
            raise ConfigError(msg)
        major, minor, patch, prerelease = found.groups()
        return self.allows((int(major), int(minor), int(patch or 0)), prerelease or "")


def _parse_all(part: str, text: str) -> tuple[_Comparison, ...]:
    rest = _HYPHEN.sub(lambda m: f">={m[1]} <={m[6]}", part).strip()
    found: list[_Comparison] = []
    while rest:
        match = _COMPARISON.match(rest)
        if match is None:
            msg = f"not a version range: {text!r}"
            raise ConfigError(msg, hint="write it like '>=0.2.10 <0.3', '~0.2' or '0.2.x'")
        found.append(_comparison(match))
        rest = rest[match.end() :].strip()
    return tuple(found) or (_Comparison("", (0, 0, 0), 0, ""),)


def _comparison(match: re.Match[str]) -> _Comparison:
    operator, *parts, prerelease = match.groups()
    given = next((i for i, part in enumerate(parts) if part is None or not part.isdigit()), 3)
    numbers = [int(part) for part in parts[:given]] + [0] * (3 - given)
    if given == 0 and operator not in {"", "=", "~", "~>"}:
        # Masterminds reads a bare wildcard behind any other operator as 0.0.0 (0.0.x for <=).
        given = 2 if operator in {"<=", "=<"} else 3
    return _Comparison(operator, (numbers[0], numbers[1], numbers[2]), given, prerelease or "")


def _compare(left: tuple[Numbers, str], right: tuple[Numbers, str]) -> int:
    """Order two versions by semver's rules: -1, 0 or 1."""
    if left[0] != right[0]:
        return -1 if left[0] < right[0] else 1
    if left[1] == right[1]:
        return 0
    if not left[1] or not right[1]:
        return 1 if not left[1] else -1
    return -1 if _prerelease_key(left[1]) < _prerelease_key(right[1]) else 1


def _prerelease_key(text: str) -> tuple[tuple[int, int, str], ...]:
    return tuple((0, int(p), "") if p.isdigit() else (1, 0, p) for p in text.split("."))
