"""Finding: one thing that a check saw and that a person should know; result: how a check ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal, get_args

Severity = Literal["info", "warning", "error"]
Status = Literal["passed", "failed", "manual", "skipped"]
STATUSES: Final[tuple[Status, ...]] = get_args(Status)


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


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How one check (a stable word) of one thing ended, and what it saw."""

    subject: str
    check: str
    status: Status
    detail: str

    def to_json(self) -> dict[str, str]:
        """Return the object that ``--json`` carries."""
        return {
            "subject": self.subject,
            "check": self.check,
            "status": self.status,
            "detail": self.detail,
        }

    def __str__(self) -> str:
        return f"{self.status}: {self.subject}: {self.check}: {self.detail}"
