"""Validation of the page: the report.json that ``validate`` wrote, as a matrix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from rke2pack import files, strictjson
from rke2pack.errors import ConfigError, IntegrityError
from rke2pack.finding import STATUSES
from rke2pack.strictjson import objects, typed

FILE: Final = "dist/validate/report.json"
MAX_BYTES: Final = 64 * 1024 * 1024
_REWRITE: Final = "write it anew with 'rke2pack validate'"
_FINDING: Final = ("severity", "check", "subject", "expected", "got")


@dataclass(frozen=True, slots=True, kw_only=True)
class CheckResult:
    """How one check ended: ``column`` is a row of the support matrix, or a runtime."""

    column: str
    subject: str
    check: str
    status: str
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """One report; ``findings`` and ``explained`` are objects of text."""

    level: str
    results: tuple[CheckResult, ...]
    findings: tuple[Mapping[str, str], ...]
    explained: tuple[Mapping[str, str], ...]
    notes: Mapping[str, str]

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns of the matrix, in the report's order."""
        return tuple(dict.fromkeys(each.column for each in self.results))

    @property
    def checks(self) -> tuple[str, ...]:
        """The checks of the matrix, in the report's order; what nobody checks is no row."""
        ran = (each for each in self.results if each.status in {"passed", "failed"})
        return tuple(dict.fromkeys(each.check for each in ran))

    def count(self, check: str, column: str) -> dict[str, int]:
        """Return how many results of a cell have each status that occurs."""
        cell = [r.status for r in self.results if r.check == check and r.column == column]
        return {status: cell.count(status) for status in STATUSES if status in cell}

    @property
    def totals(self) -> dict[str, int]:
        """How many results have each status."""
        every = [each.status for each in self.results]
        return {status: every.count(status) for status in STATUSES}

    def to_json(self) -> dict[str, Any]:
        """Return the object of the page's data."""
        return {
            "level": self.level,
            "totals": self.totals,
            "columns": [
                {"name": name, "note": self.notes.get(name) or None} for name in self.columns
            ],
            "results": [
                {
                    "column": each.column,
                    "subject": each.subject,
                    "check": each.check,
                    "status": each.status,
                    "detail": each.detail,
                }
                for each in self.results
            ],
            "findings": [dict(each) for each in self.findings],
            "explained": [dict(each) for each in self.explained],
        }


def read(path: Path) -> Validation:
    """Read a report; raises ConfigError that names the file and what is wrong with it."""
    return parse(files.read_text(path), what=str(path))


def parse(text: str, *, what: str) -> Validation:
    """Read a report's text; raises ConfigError."""
    try:
        return _parsed(text.encode(), what)
    except IntegrityError as exc:
        raise ConfigError(exc.message, hint=_REWRITE) from exc


def _parsed(text: bytes, what: str) -> Validation:
    raw = strictjson.load_object(text, what=what, max_bytes=MAX_BYTES)
    listed = {
        key: objects(raw.get(key, []), what=f"{what}: {key}")
        for key in ("rows", "results", "findings", "explained")
    }
    names = [_texts(each, ("name",), f"{what}: rows")["name"] for each in listed["rows"]]
    return Validation(
        level=_texts(raw, ("level",), what)["level"],
        results=tuple(_result(each, what) for each in listed["results"]),
        findings=tuple(_texts(each, _FINDING, f"{what}: findings") for each in listed["findings"]),
        explained=tuple(
            _texts(each, (*_FINDING, "reason"), f"{what}: explained")
            for each in listed["explained"]
        ),
        notes={name: _note(row) for name, row in zip(names, listed["rows"], strict=True)},
    )


def _note(row: Mapping[str, Any]) -> str:
    parts = (row.get("rke2"), row.get("rancher"), row.get("notes"))
    return ", ".join(part for part in parts if isinstance(part, str) and part)


def _result(found: Mapping[str, Any], what: str) -> CheckResult:
    keys = ("subject", "check", "status", "detail")
    texts = _texts(found, keys, f"{what}: results")
    if texts["status"] not in STATUSES:
        msg = f"{what}: results: {texts['status'][:60]!r} is no status"
        raise ConfigError(msg, hint=_REWRITE)
    column, _, subject = texts["subject"].partition(": ")
    return CheckResult(
        column=column,
        subject=subject,
        check=texts["check"],
        status=texts["status"],
        detail=texts["detail"],
    )


def _texts(found: Mapping[str, Any], keys: tuple[str, ...], what: str) -> dict[str, str]:
    return {key: typed(found.get(key), str, what=f"{what}: {key}") for key in keys}
