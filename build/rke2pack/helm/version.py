"""Chart versions and RKE2 versions: text that is ordered, never rewritten.

A packaged chart version is the upstream version with a two-digit
packageVersion appended: ``0.2.10`` + ``00`` = ``0.2.1000``. Most of them are
not semver (``1.47.003``, ``v3.1908``), so the text is kept as it is, two
versions are equal only when their texts are, and the order is lenient.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from functools import total_ordering
from typing import ClassVar

import semver

from rke2pack.errors import ConfigError, ResolutionError
from rke2pack.helm.constraint import Constraint, Numbers

_TEXT = re.compile(r"(v?)(\d+(?:\.\d+)*)(?:-([0-9A-Za-z.-]+))?(?:\+([0-9A-Za-z.-]+))?\Z", re.ASCII)
_PACKAGED = re.compile(r".*\d\d\d\Z", re.ASCII)
_RUNS = re.compile(r"\d+|[A-Za-z]+", re.ASCII)
_NUMBERS = re.compile(r"\d+(?:\.\d+)*", re.ASCII)
_RKE2 = re.compile(r"v?(\d+\.\d+\.\d+(?:-[0-9A-Za-z.-]+)?)\+rke2r(\d+)\Z", re.ASCII)
_RANGE_SIGNS = re.compile(r"[<>=~^|,*!\s]|(?:^|\.)[xX](?:\.|\Z)")
_PRERELEASES = frozenset({"alpha", "beta", "rc", "dev", "pre", "snapshot"})
MAX_LENGTH = 128


@total_ordering
@dataclass(frozen=True, slots=True, eq=True)
class ChartVersion:
    """A chart version that keeps its text; ``str()`` gives it back."""

    text: str
    _key: tuple[object, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Precompute the sort key."""
        object.__setattr__(self, "_key", _sort_key(self.text))

    @classmethod
    def parse(cls, text: str) -> ChartVersion:
        """Parse any version that a chart repository may carry; raises ConfigError."""
        if len(text) > MAX_LENGTH or not _TEXT.match(text):
            msg = f"not a chart version: {text[:MAX_LENGTH]!r}"
            raise ConfigError(
                msg, hint="write it as in the chart repository's index, e.g. 0.2.1000"
            )
        return cls(text)

    @classmethod
    def package(cls, upstream: str, package_version: int) -> ChartVersion:
        """Append a packageVersion (0-99) to an upstream version."""
        return cls.parse(f"{upstream}{package_version:02d}")

    @property
    def is_packaged(self) -> bool:
        """Whether the text ends in a packageVersion (the last part has three digits or more)."""
        return _PACKAGED.match(self.text) is not None

    @property
    def upstream(self) -> str:
        """The version that the chart's authors gave it: the text less its last two digits."""
        return self.text[:-2] if self.is_packaged else self.text

    @property
    def package_version(self) -> int | None:
        """RKE2's two-digit packageVersion, or None for the few versions without one."""
        return int(self.text[-2:]) if self.is_packaged else None

    @property
    def is_prerelease(self) -> bool:
        """Whether the suffix says alpha, beta, rc ...; ``-build…`` and ``-rancher…`` do not."""
        suffix = _TEXT.match(self.text)
        words = _RUNS.findall(suffix[3] or "") if suffix else []
        return bool(words) and words[0].lower() in _PRERELEASES

    def with_other_prefix(self) -> ChartVersion:
        """Return the same version without its leading ``v``, or with one."""
        text = self.text.removeprefix("v")
        return ChartVersion(text if text != self.text else f"v{text}")

    @property
    def is_removed(self) -> bool:
        """``0.0.0`` in chart_versions.yaml stands for a chart that was removed."""
        return self.text == "0.0.0"

    def __lt__(self, other: object) -> bool:
        """Order by upstream numbers, suffix, packageVersion, and last by the text."""
        if not isinstance(other, ChartVersion):
            return NotImplemented
        return self._key < other._key

    def __str__(self) -> str:
        return self.text


@total_ordering
@dataclass(frozen=True, slots=True, eq=True)
class Rke2Version:
    """A release such as ``v1.32.4+rke2r1``, ordered by Kubernetes version, then revision."""

    text: str
    SEPARATOR: ClassVar[str] = "+rke2r"

    @classmethod
    def parse(cls, text: str) -> Rke2Version:
        """Parse a release version; raises ConfigError."""
        found = _RKE2.match(text) if len(text) <= MAX_LENGTH else None
        if found is None or not semver.Version.is_valid(found[1]):
            msg = f"not an RKE2 version: {text[:MAX_LENGTH]!r}"
            raise ConfigError(msg, hint="write it as in v1.32.4+rke2r1")
        return cls(text)

    @property
    def kubernetes(self) -> str:
        """The Kubernetes version in it, ``v1.32.4``."""
        return self.text.split(self.SEPARATOR)[0]

    @property
    def revision(self) -> int:
        """The number behind ``rke2r``."""
        return int(self.text.split(self.SEPARATOR)[1])

    def __lt__(self, other: object) -> bool:
        """Order ``+rke2r1`` before ``+rke2r2`` of the same Kubernetes version."""
        if not isinstance(other, Rke2Version):
            return NotImplemented
        mine, theirs = (semver.Version.parse(v.kubernetes.removeprefix("v")) for v in (self, other))
        return (mine, self.revision, self.text) < (theirs, other.revision, other.text)

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolution:
    """What a request resolved to: ``others`` matched as well and are older, newest first."""

    version: ChartVersion
    rule: str
    others: tuple[ChartVersion, ...] = ()


def resolve(request: str, available: Iterable[ChartVersion], *, chart: str) -> Resolution:
    """Choose one of the ``available`` versions of ``chart`` for a user's request.

    In this order: a packaged version as it stands (``0.2.1000``), ``latest``, a
    range over upstream versions (``0.2.x``, ``~0.2``, ``>=0.2.10 <0.3``), an
    upstream version (``0.2.10``: its newest packageVersion). A version that is
    not there as written is looked for with or without its leading ``v``, and
    ``rule`` says so. Raises ResolutionError with the nearest candidates.
    """
    versions = sorted(available, reverse=True)
    request = request.strip()
    found = _matching(request, versions) or _matching_other_v(request, versions)
    if found is None:
        raise _unresolved(request, versions, chart=chart)
    return found


def _matching(request: str, versions: list[ChartVersion]) -> Resolution | None:
    exact = next((v for v in versions if v.text == request), None)
    if exact is not None:
        return Resolution(version=exact, rule="packaged version")
    rule, matches = _rule(request)
    found = [v for v in versions if matches(v)]
    return Resolution(version=found[0], rule=rule, others=tuple(found[1:])) if found else None


def _matching_other_v(request: str, versions: list[ChartVersion]) -> Resolution | None:
    """Resolve a version written as its git tag is, or as its git tag is not."""
    if not _TEXT.match(request):  # a range ignores v in any case
        return None
    has_v = request.startswith("v")
    found = _matching(request[1:] if has_v else f"v{request}", versions)
    return found and replace(found, rule=f"{found.rule}, {'without' if has_v else 'with'} v")


def _rule(request: str) -> tuple[str, Callable[[ChartVersion], bool]]:
    if request == "latest":
        return "latest", lambda v: not v.is_prerelease
    if _RANGE_SIGNS.search(request):
        constraint = Constraint.parse(request)
        return "range", lambda v: constraint.allows(*_range_key(v))
    try:
        ChartVersion.parse(request)
    except ConfigError as exc:
        hint = "write it like 0.2.1000, 0.2.10, '~0.2' or latest"
        raise ConfigError(exc.message, hint=hint) from exc
    return "upstream version", lambda v: v.is_packaged and v.upstream == request


def core_numbers(text: str) -> Numbers:
    """Return the first three numbers of a version, missing ones as 0."""
    found = _TEXT.match(text)
    numbers = [int(n) for n in found[2].split(".")][:3] if found else []
    major, minor, patch = (*numbers, 0, 0, 0)[:3]
    return major, minor, patch


def _range_key(version: ChartVersion) -> tuple[Numbers, str]:
    """Numbers and prerelease of the upstream version; a build suffix is no prerelease."""
    suffix = version.upstream.partition("-")[2]
    return core_numbers(version.upstream), suffix if version.is_prerelease else ""


def _unresolved(request: str, versions: list[ChartVersion], *, chart: str) -> ResolutionError:
    if not versions:
        return ResolutionError(f"{chart}: the chart repository has no version of it")
    nearest = nearest_versions(request, versions)
    shown = ", ".join(f"{v} (upstream {v.upstream})" if v.is_packaged else str(v) for v in nearest)
    return ResolutionError(
        f"{chart}: no version matches {request!r}; nearest: {shown}",
        hint="choose one of these, or 'latest'",
    )


def nearest_versions(
    request: str, versions: Iterable[ChartVersion], *, count: int = 4
) -> list[ChartVersion]:
    """Return the versions around ``request``'s place in the order, nearest first.

    A range stands where its first numbers do; a request without numbers, as
    one above all versions, has the newest.
    """
    ordered = sorted(versions, reverse=True)
    numbers = _NUMBERS.search(request)
    if numbers is None:
        return ordered[:count]
    place = core_numbers(ChartVersion(numbers[0]).upstream)

    def distance(version: ChartVersion) -> tuple[int, ...]:
        # Signs are kept: 0.3.0 is (0, 1, -10) from 0.2.10, nearer than 0.1.9 with (0, 1, 1).
        low, high = sorted((core_numbers(version.upstream), place))
        return tuple(b - a for a, b in zip(low, high, strict=True))

    return sorted(ordered, key=distance)[:count]


def _sort_key(text: str) -> tuple[object, ...]:
    packaged = _PACKAGED.match(text) is not None
    found = _TEXT.match(text[:-2] if packaged else text)
    if found is None:
        return ((), (), -1, text)
    numbers = tuple(int(n) for n in found[2].split("."))
    return (numbers, _suffix_key(found[3]), int(text[-2:]) if packaged else -1, text)


def _suffix_key(suffix: str | None) -> tuple[object, ...]:
    """Sort a prerelease before no suffix, anything else (build, rancher, rke2r) after it."""
    words = _RUNS.findall(suffix or "")
    if not words:
        return (1,)
    rank = 0 if words[0].lower() in _PRERELEASES else 2
    return (rank, *((0, int(w), "") if w.isdigit() else (1, 0, w.lower()) for w in words))
