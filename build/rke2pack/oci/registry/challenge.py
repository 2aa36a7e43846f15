"""WWW-Authenticate: what a server asks for (RFC 9110, section 11.6.1)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

_TOKEN = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"  # noqa: S105 - RFC 9110's word for a word
_PARAMETER = re.compile(rf'\s*({_TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|({_TOKEN}))\s*(?:,|\Z)')
_SCHEME = re.compile(rf"[\s,]*({_TOKEN})(?:\s+|\s*(?=,)|\Z)")
_TOKEN68 = re.compile(r"([0-9A-Za-z\-._~+/]+=*)\s*(?:,|\Z)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One scheme in lower case with its parameters."""

    scheme: str
    parameters: Mapping[str, str]


def parse(headers: Iterable[str]) -> tuple[Challenge, ...]:
    """Read every challenge of all header lines; what is not one is left out."""
    return tuple(challenge for header in headers for challenge in _parse_line(header))


def _parse_line(header: str) -> list[Challenge]:
    found: list[Challenge] = []
    position = 0
    while scheme := _SCHEME.match(header, position):
        position = scheme.end()
        parameters: dict[str, str] = {}
        while match := _PARAMETER.match(header, position):
            name, quoted, bare = match.groups()
            value = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else bare
            parameters.setdefault(name.lower(), value)
            position = match.end()
        if not parameters and (other := _TOKEN68.match(header, position)):
            position = other.end()
        found.append(Challenge(scheme=scheme[1].lower(), parameters=parameters))
    return found
