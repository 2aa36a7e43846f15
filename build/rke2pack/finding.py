"""Finding: one thing that a check saw and that a person should know."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """``subject`` names the thing, ``check`` the rule (a stable word), the rest is text."""

    severity: Severity
    check: str
    subject: str
    expected: str
    got: str

    def to_json(self) -> dict[str, str]:
        """Return the object that ``--json`` carries."""
        return {
            "severity": self.severity,
            "check": self.check,
            "subject": self.subject,
            "expected": self.expected,
            "got": self.got,
        }

    def __str__(self) -> str:
        claim = f"expected {self.expected}, got {self.got}"
        return f"{self.severity}: {self.subject}: {claim} [{self.check}]"
