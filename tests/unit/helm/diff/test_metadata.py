from __future__ import annotations

from collections.abc import Callable

import pytest

from rke2pack.helm.diff import ChartDiff

OLD_QUESTIONS = """questions:
- {variable: path, type: string, default: /a, label: Path}
- {variable: gone, type: string}
- variable: parent
  type: boolean
  subquestions:
  - {variable: parent.child, type: int, default: 1}
"""
NEW_QUESTIONS = """questions:
- {variable: path, type: string, default: /b, label: Other label, required: true}
- variable: parent
  type: boolean
  subquestions:
  - {variable: parent.child, type: enum, default: 1, options: [1, 2]}
- {variable: fresh, type: string, default: x}
"""


@pytest.mark.parametrize("name", ["questions.yml", "questions.yaml"])
def test_questions_are_compared_by_variable(compare: Callable[..., ChartDiff], name: str) -> None:
    found = compare({name: OLD_QUESTIONS}, {name: NEW_QUESTIONS})
    assert found.questions.to_json() == {
        "changed": [
            {"variable": "parent.child", "field": "options", "old": None, "new": [1, 2]},
            {"variable": "parent.child", "field": "type", "old": "int", "new": "enum"},
            {"variable": "path", "field": "default", "old": "/a", "new": "/b"},
            {"variable": "path", "field": "required", "old": None, "new": True},
        ],
        "added": [{"variable": "fresh", "default": "x", "type": "string"}],
        "removed": [{"variable": "gone", "type": "string"}],
    }
    assert 'questions: added fresh (default "x")' in found.summary()
    assert "questions: removed gone" in found.summary()


def test_chart_yaml_is_compared(compare: Callable[..., ChartDiff]) -> None:
    annotation = "annotations: {catalog.cattle.io/kube-version: '>= 1.%s'}\n"
    found = compare(
        {},
        {},
        metadata=(
            "appVersion: v1\n" + annotation % 23,
            "appVersion: v2\nkubeVersion: '>= 1.24.0-0'\n" + annotation % 24,
        ),
    )
    assert found.to_json()["kube_version"] == {
        "old": "",
        "new": ">= 1.24.0-0",
        "annotation_old": ">= 1.23",
        "annotation_new": ">= 1.24",
    }
    assert found.to_json()["app_version"] == {"old": "v1", "new": "v2"}
    assert found.summary() == (
        'app version: "v1" -> "v2"',
        'kube version: null -> ">= 1.24.0-0"',
        'kube version: annotation catalog.cattle.io/kube-version: ">= 1.23" -> ">= 1.24"',
        "images: no changes",
    )


def test_two_versions_with_the_same_content_differ_in_nothing(
    compare: Callable[..., ChartDiff],
) -> None:
    files = {"values.yaml": "a: 1\n", "questions.yml": OLD_QUESTIONS}
    found = compare(files, files)
    assert found.is_empty
    assert found.to_json()["user"] == []
    assert found.to_json()["objects_with_user_values"] is None
