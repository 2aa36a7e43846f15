"""A report of validate, as a file from anywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from rke2pack.errors import ConfigError
from rke2pack.page import validation

RESULT = {"subject": "row: one 1.0", "check": "render", "status": "passed", "detail": "3 objects"}
FINDING = dict.fromkeys(("severity", "check", "subject", "expected", "got"), "x")


def parsed(**changes: Any) -> validation.Validation:  # noqa: ANN401 - what a file may hold
    document = {"level": "static", "results": [RESULT], "findings": [FINDING], **changes}
    return validation.parse(json.dumps(document), what="report.json")


def test_a_matrix_has_a_column_a_row_and_a_line_a_check() -> None:
    failed = {**RESULT, "subject": "other: one 1.0", "status": "failed"}
    manual = {**RESULT, "subject": "row", "check": "by-hand", "status": "manual"}
    rows = [{"name": "row", "rke2": "v1.32.4+rke2r1", "rancher": None, "notes": "kept"}]
    found = parsed(results=[RESULT, RESULT, failed, manual], rows=rows)
    assert found.columns == ("row", "other")
    assert found.checks == ("render",)
    assert found.count("render", "row") == {"passed": 2}
    assert found.count("render", "other") == {"failed": 1}
    assert found.totals == {"passed": 2, "failed": 1, "manual": 1, "skipped": 0}
    assert found.notes["row"] == "v1.32.4+rke2r1, kept"
    assert found.to_json()["columns"] == [
        {"name": "row", "note": "v1.32.4+rke2r1, kept"},
        {"name": "other", "note": None},
    ]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"level": 1}, "report.json: level: not a text"),
        ({"results": {}}, "report.json: results: not a list"),
        ({"results": ["x"]}, "report.json: results: not a JSON object"),
        ({"results": [{**RESULT, "detail": None}]},
         "report.json: results: detail: missing"),
        ({"results": [{**RESULT, "status": "great"}]},
         "report.json: results: 'great' is no status"),
        ({"findings": [{}]}, "report.json: findings: severity: missing"),
        ({"explained": [FINDING]}, "report.json: explained: reason: missing"),
        ({"rows": [{}]}, "report.json: rows: name: missing"),
    ],
)  # fmt: skip
def test_what_is_no_report_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(**changes)
    assert caught.value.message == message
    assert caught.value.hint == "write it anew with 'rke2pack validate'"


def test_text_that_is_no_json_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"report\.json: not JSON"):
        validation.parse("{", what="report.json")
