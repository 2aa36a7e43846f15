from __future__ import annotations

import json
from pathlib import Path

import pytest

from rke2pack.errors import ConfigError
from rke2pack.tree.components import Components
from rke2pack.tree.native import NativeTree
from rke2pack.validate import matrix
from rke2pack.validate.allow import AllowList
from rke2pack.validate.issue import Issue, Problem
from rke2pack.validate.matrix import Matrix, Rancher

COMPONENTS = Components.parse(
    json.dumps(
        {
            "registry": "docker.io",
            "platforms": ["linux/amd64"],
            "components": [{"name": "core", "charts": ["a", "b"]}],
        }
    ),
    what="components.yaml",
)
ROW = {"name": "one", "rke2": "v1.32.5+rke2r1"}


def parse(*rows: object) -> Matrix:
    return Matrix.parse(json.dumps({"rows": rows}), what="m.yaml", components=COMPONENTS)


def test_row_tells_its_versions_charts_and_what_is_done_by_hand() -> None:
    row = ROW | {
        "rancher": {"edition": "prime", "version": "v2.9.10"},
        "harvester": "v1.4.3",
        "harvester-ui-extension": "1.0.6",
        "os": "Ubuntu 24.04",
        "scenarios": ["large-clusters"],
        "manual": ["a person looked"],
        "notes": "a note",
        "charts": ["a"],
    }
    (found,) = parse(row).rows
    assert found.kube_version == "v1.32.5"
    assert found.covers("a")
    assert not found.covers("b")
    assert found.notes == "a note"
    assert found.by_hand == (
        "installed and upgraded with Rancher Prime v2.9.10",
        "works with Harvester v1.4.3",
        "works with Harvester UI Extension 1.0.6",
        "nodes of Ubuntu 24.04",
        "scenario large-clusters",
        "a person looked",
    )


def test_row_of_a_component_is_for_its_charts() -> None:
    (found,) = parse(ROW | {"components": ["core"]}).rows
    assert found.charts == ("a", "b")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"name": "one"}, "rke2 must be text"),
        (ROW | {"name": "One Two"}, "bad name 'One Two'"),
        (ROW | {"rke2": "1.32"}, "rke2: "),
        (ROW | {"ranchr": {}}, "unknown key 'ranchr'"),
        (ROW | {"rancher": {"edition": "free", "version": "v1.2.3"}}, "edition must be one of"),
        (ROW | {"rancher": {"edition": "prime"}}, "version must be text"),
        (ROW | {"rancher": {"edition": "prime", "version": "new"}}, "not a version: 'new'"),
        (ROW | {"harvester": "x y"}, "not a version: 'x y'"),
        (ROW | {"harvester": 1.4}, "harvester must be text"),
        (ROW | {"scenarios": "all"}, "scenarios must be a list of text"),
        (ROW | {"charts": ["z"]}, "no component has z"),
        (ROW | {"components": ["z"]}, "z: no such component"),
        ("one", "expected a mapping"),
    ],
)
def test_wrong_row_is_refused_with_its_place(row: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(row)
    assert message in caught.value.message


def test_file_without_rows_and_row_that_stands_twice_are_refused() -> None:
    with pytest.raises(ConfigError, match="has no rows"):
        parse()
    with pytest.raises(ConfigError, match="row one stands there twice"):
        parse(ROW, ROW)


def test_unknown_row_is_refused_with_the_names_there_are() -> None:
    found = parse(ROW, ROW | {"name": "two"})
    assert [row.name for row in found.get(())] == ["one", "two"]
    assert [row.name for row in found.get(["two", "two"])] == ["two"]
    with pytest.raises(ConfigError, match="three: m.yaml has no such row") as caught:  # noqa: RUF043
        found.get(["three"])
    assert caught.value.hint == "choose one of: one, two"


def test_rancher_version_lies_in_the_range_of_an_annotation() -> None:
    rancher = Rancher(edition="prime", version="v2.9.10")
    assert rancher.satisfies(">= 2.6.1-0")
    assert not rancher.satisfies(">= 2.6.1-0 < 2.8.0-0")
    with pytest.raises(ConfigError, match="not a Rancher version"):
        Rancher(edition="prime", version="2").satisfies(">= 1")


def test_matrix_of_the_project_has_the_three_rows(project: Path) -> None:
    tree = NativeTree(root=project)
    path = tree.path(matrix.NAME)
    found = Matrix.parse(path.read_text(), what=path.name, components=tree.components)
    assert [(row.name, row.rke2, str(row.rancher)) for row in found.rows] == [
        ("prime-2.9", "v1.30.13+rke2r1", "Rancher Prime v2.9.10"),
        ("prime-2.10", "v1.31.9+rke2r1", "Rancher Prime v2.10.6"),
        ("community-2.11", "v1.32.5+rke2r1", "Rancher Community v2.11.2"),
    ]
    assert all(row.by_hand for row in found.rows)


ENTRY = {"check": "schema", "chart": "a", "subject": "Pod/*", "reason": "because"}


def issue(subject: str = "Pod/x", version: str = "1.2.300", got: str = "y") -> Issue:
    problem = Problem(check="schema", subject=subject, expected="e", got=got)
    return Issue(problem=problem, chart="a", version=version)


@pytest.mark.parametrize(
    ("more", "is_explained"),
    [
        ({}, True),
        ({"got": "y*"}, True),
        ({"got": "z"}, False),
        ({"subject": "Pod/y"}, False),
        ({"chart": "b"}, False),
        ({"check": "value"}, False),
        ({"versions": ">=1.2 <1.3"}, True),
        ({"versions": ">=1.3"}, False),
    ],
)
def test_entry_explains_what_it_names(more: dict[str, str], *, is_explained: bool) -> None:
    allow = AllowList.parse(json.dumps({"allow": [ENTRY | more]}), what="a.yaml")
    assert (allow.explains(issue()) is not None) is is_explained


def test_unused_entry_is_told_for_charts_in_its_range_alone() -> None:
    entries = [ENTRY, ENTRY | {"versions": ">=2"}, ENTRY | {"chart": "b"}]
    allow = AllowList.parse(json.dumps({"allow": entries}), what="a.yaml")
    assert allow.unused((), {"a": "1.2.300"}) == allow.entries[:1]
    assert allow.unused(allow.entries[:1], {"a": "1.2.300"}) == ()


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"check": "x"}, "no check 'x'"),
        ({"reason": ""}, "reason must be text"),
        ({"why": "x"}, "unknown key 'why'"),
        ({"versions": "new"}, "not a version range"),
    ],
)
def test_wrong_entry_is_refused(more: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        AllowList.parse(json.dumps({"allow": [ENTRY | more]}), what="a.yaml")
    assert message in caught.value.message
