"""The API server's syntax rules for names, labels, ports and quantities.

Source: ``k8s.io/apimachinery/pkg/util/validation`` and ``pkg/api/resource``.
The patterns are written for engines without look-around, as Go's and Rust's.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_NAME = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_LABEL = r"[a-z0-9](?:[a-z0-9-]*[a-z0-9])?"
_SUBDOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_NUMBER = r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"


@dataclass(frozen=True, slots=True, kw_only=True)
class Syntax:
    """One rule: a pattern for the whole text, its greatest length, and how people call it."""

    title: str
    pattern: str
    length: int

    @property
    def schema(self) -> dict[str, Any]:
        """The rule as keywords of JSON schema."""
        return {"pattern": f"^(?:{self.pattern})$", "maxLength": self.length}

    @property
    def optional_schema(self) -> dict[str, Any]:
        """The same for a field that may be left out, which an empty text means too."""
        return {"pattern": f"^(?:{self.pattern})?$", "maxLength": self.length}

    def allows(self, text: str) -> bool:
        """Whether a text keeps the rule."""
        return len(text) <= self.length and re.fullmatch(self.pattern, text) is not None


LABEL = Syntax(title="a DNS label", pattern=_LABEL, length=63)
SUBDOMAIN = Syntax(title="a DNS subdomain", pattern=_SUBDOMAIN, length=253)
SERVICE_NAME = Syntax(
    title="a DNS label that starts with a letter",
    pattern=r"[a-z](?:[a-z0-9-]*[a-z0-9])?",
    length=63,
)
PATH_SEGMENT = Syntax(title="a path segment", pattern=r"[^/%]*[^/%.][^/%]*|\.{3,}", length=253)
LABEL_VALUE = Syntax(title="a label's value", pattern=rf"(?:{_NAME})?", length=63)
LABEL_KEY = Syntax(
    title="a label's key",
    pattern=rf"(?:{_SUBDOMAIN}/)?[A-Za-z0-9](?:[A-Za-z0-9._-]{{0,61}}[A-Za-z0-9])?",
    length=253 + 1 + 63,
)
ANNOTATION_KEY = Syntax(
    title="an annotation's key",
    pattern=r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?/)?"
    r"[A-Za-z0-9](?:[A-Za-z0-9._-]{0,61}[A-Za-z0-9])?",
    length=253 + 1 + 63,
)
PORT_NAME = Syntax(
    title="a port's name (at most 15 lower-case letters, digits and single '-', with a letter)",
    pattern=r"(?:[0-9]+(?:-[0-9]+)*-?)?[a-z](?:-?[a-z0-9])*",
    length=15,
)
DATA_KEY = Syntax(title="a key of data", pattern=r"[-._a-zA-Z0-9]+", length=253)
VARIABLE = Syntax(title="a variable's name", pattern=r"[-._a-zA-Z][-._a-zA-Z0-9]*", length=32_768)
QUANTITY = Syntax(
    title="a quantity such as 100m or 1.5Gi",
    pattern=rf"{_NUMBER}(?:[KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?",
    length=64,
)
TITLES: Mapping[str, str] = {
    schema["pattern"]: rule.title
    for rule in (
        *(LABEL, SUBDOMAIN, SERVICE_NAME, PATH_SEGMENT, LABEL_VALUE, LABEL_KEY, ANNOTATION_KEY),
        *(PORT_NAME, DATA_KEY, VARIABLE, QUANTITY),
    )
    for schema in (rule.schema, rule.optional_schema)
}
_BINARY = {f"{unit}i": 1024**power for power, unit in enumerate("KMGTPE", start=1)}
_DECIMAL = {"n": 1e-9, "u": 1e-6, "m": 1e-3, "": 1, "k": 1e3} | {
    unit: 1000**power for power, unit in enumerate("MGTPE", start=2)
}
_QUANTITY = re.compile(rf"({_NUMBER})((?:[KMGTPE]i|[numkMGTPE])?)((?:[eE][+-]?[0-9]{{1,3}})?)\Z")


def amount(quantity: object) -> float | None:
    """Return a quantity as a number, None for what is none."""
    if isinstance(quantity, bool):
        return None
    found = _QUANTITY.match(str(quantity)) if isinstance(quantity, str | int | float) else None
    if found is None or len(str(quantity)) > QUANTITY.length:
        return None
    number, unit, exponent = found.groups()
    scale: float = {**_BINARY, **_DECIMAL}[unit]
    return float(f"{number}{exponent}") * scale
