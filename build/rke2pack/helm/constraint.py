"""Version ranges as Helm writes them (Masterminds/semver v3, ``constraints.go``).

A constraint is an OR (``||``) of ANDs (spaces or commas) of comparisons:
``=``, ``!=``, ``>``, ``<``, ``>=``, ``<=``, ``~``, ``^``, hyphen ranges, and
``x``/``X``/``*`` or missing parts as wildcards. A version with a prerelease
lies only in an AND of which some comparison names a prerelease.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from rke2pack.errors import ConfigError

Numbers = tuple[int, int, int]
_PARTS = 3
_PARTIAL = (1, 2)  # a bare wildcard, with no part given, is 0.0.0 for most operators

_PART = r"(?:\d+|[xX*])"
_VERSION = (
    rf"v?({_PART})(?:\.({_PART}))?(?:\.({_PART}))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?"
)
_COMPARISON = re.compile(
    rf"\s*(=>|=<|>=|<=|!=|~>|=|>|<|~|\^|)\s*{_VERSION}\s*(?:,|(?=\s)|$)", re.ASCII
)
_HYPHEN = re.compile(rf"({_VERSION})\s+-\s+({_VERSION})", re.ASCII)
MAX_LENGTH = 512
_KUBE = re.compile(
    r"v?(\d+)\.(\d+)(?:\.(\d+))?(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?\Z", re.ASCII
)


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
        """Answer as the function of ``constraints.go`` that the operator names."""
        order = _compare((numbers, prerelease), (self.numbers, self.prerelease))
        match self.operator:
            case "!=":
                return self._is_other(numbers, prerelease, order)
            case ">":
                part = self.given if self.given in _PARTIAL else _PARTS
                return order > 0 and (part == _PARTS or numbers[:part] > self.numbers[:part])
            case ">=" | "=>":
                return order >= 0
            case "<":
                return order < 0
            case "<=" | "=<":
                part = 1 if self.given == 1 else 2
                return order <= 0 if self._is_full else numbers[:part] <= self.numbers[:part]
            case "^":
                return order >= 0 and self._is_caret_compatible(numbers)
            case _:
                is_exact = self._is_full and not self.operator.startswith("~")
                return order == 0 if is_exact else order >= 0 and self._is_near(numbers)

    @property
    def _is_full(self) -> bool:
        return self.given == _PARTS

    def _is_other(self, numbers: Numbers, prerelease: str, order: int) -> bool:
        if self.given not in _PARTIAL:
            return order != 0
        has_prerelease = self.given > 1 and prerelease != self.prerelease
        return numbers[: self.given] != self.numbers[: self.given] or has_prerelease

    def _is_near(self, numbers: Numbers) -> bool:
        """``~1.2.3`` stays in 1.2, ``~1`` in 1, ``~0.0.0`` and ``*`` anywhere."""
        if self.given not in _PARTIAL and not any(self.numbers):
            return True
        part = min(self.given, 2)
        return numbers[:part] == self.numbers[:part]

    def _is_caret_compatible(self, numbers: Numbers) -> bool:
        """Everything up to the first part that is not zero must stay (``^0.2`` allows 0.2.9)."""
        given = self.given or _PARTS
        fixed = next((i + 1 for i in range(given) if self.numbers[i]), given)
        return numbers[:fixed] == self.numbers[:fixed]


@dataclass(frozen=True, slots=True)
class Constraint:
    """A parsed range; ``str()`` is the text it was parsed from."""

    text: str
    alternatives: tuple[tuple[_Comparison, ...], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """Parse a range; raises ConfigError."""
        if len(text) > MAX_LENGTH:
            raise _not_a_range(text)
        return cls(text, tuple(_parse_all(part, text) for part in text.split("||")))

    def allows(self, numbers: Numbers, prerelease: str = "") -> bool:
        """Whether a version, given as numbers and prerelease, lies in the range."""
        return any(
            all(c.is_satisfied_by(numbers, prerelease) for c in comparisons)
            for comparisons in self.alternatives
            if not prerelease or any(c.prerelease for c in comparisons)
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
            raise _not_a_range(text)
        found.append(_comparison(match))
        rest = rest[match.end() :].strip()
    if not found or part.rstrip().endswith(","):
        raise _not_a_range(text)
    return tuple(found)


def _not_a_range(text: str) -> ConfigError:
    return ConfigError(
        f"not a version range: {text[:100]!r}",
        hint="write it like '>=0.2.10 <0.3', '~0.2' or '0.2.x'",
    )


def _comparison(match: re.Match[str]) -> _Comparison:
    operator, *parts, prerelease = match.groups()
    given = next((i for i, part in enumerate(parts) if part is None or not part.isdigit()), 3)
    numbers = [int(part) for part in parts[:given]] + [0] * (3 - given)
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
