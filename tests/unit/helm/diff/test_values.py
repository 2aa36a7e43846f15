from __future__ import annotations

from collections.abc import Callable

import pytest

from rke2pack.errors import ValidationError
from rke2pack.helm import archive
from rke2pack.helm.chart import Chart
from rke2pack.helm.diff import ChartDiff
from rke2pack.helm.diff.values import effective_defaults

SUB = "apiVersion: v2\nname: sub\nversion: 0.1.0\n"


def test_defaults_are_told_as_changed_added_and_removed(compare: Callable[..., ChartDiff]) -> None:
    found = compare(
        {"values.yaml": "a: {b: 1, gone: x}\nflag: 1\nnone:\n"},
        {"values.yaml": "a: {b: 2, come: {deep: []}}\nflag: true\nnone:\n"},
    )
    assert found.to_json()["values"] == {
        "changed": [
            {"path": "a.b", "old": 1, "new": 2},
            {"path": "flag", "old": 1, "new": True},
        ],
        "added": [{"path": "a.come.deep", "new": []}],
        "removed": [{"path": "a.gone", "old": "x"}],
    }
    assert [line for line in found.summary() if line.startswith("values")] == [
        "values: a.b: 1 -> 2",
        "values: flag: 1 -> true",
        "values: added a.come.deep: []",
        'values: removed a.gone (was "x")',
    ]


def test_an_empty_map_that_is_filled_is_an_addition(compare: Callable[..., ChartDiff]) -> None:
    found = compare({"values.yaml": "r: {}\n"}, {"values.yaml": "r: {limits: {cpu: 1}}\n"})
    assert found.to_json()["values"] == {
        "changed": [],
        "added": [{"path": "r.limits.cpu", "new": 1}],
        "removed": [],
    }


def test_a_list_counts_as_a_whole_and_shows_its_items(compare: Callable[..., ChartDiff]) -> None:
    found = compare({"values.yaml": "l: [a, b]\n"}, {"values.yaml": "l: [b, c]\n"})
    assert found.values.to_json()["changed"] == [
        {
            "path": "l",
            "old": ["a", "b"],
            "new": ["b", "c"],
            "items_added": ["c"],
            "items_removed": ["a"],
        }
    ]
    assert 'values: l: + "c", - "a"' in found.summary()


def test_a_reordered_list_is_shown_whole(compare: Callable[..., ChartDiff]) -> None:
    found = compare({"values.yaml": "l: [a, b]\n"}, {"values.yaml": "l: [b, a]\n"})
    assert 'values: l: ["a", "b"] -> ["b", "a"]' in found.summary()


def test_a_subcharts_defaults_stand_below_its_alias(chart: Callable[..., Chart]) -> None:
    found = chart(
        {
            "charts/sub/Chart.yaml": SUB,
            "charts/sub/values.yaml": "port: 1\n",
            "charts/other/Chart.yaml": SUB.replace("sub", "other"),
            "charts/other/values.yaml": "port: 2\n",
        },
        metadata=(
            "dependencies:\n- {name: sub, version: 0.1.0, alias: one}\n"
            "- {name: sub, version: 0.1.0, alias: two}\n"
        ),
    )
    assert effective_defaults(found) == {
        "one": {"port": 1},
        "two": {"port": 1},
        "other": {"port": 2},
    }


def test_the_parents_values_win_over_the_subcharts_and_null_removes(
    chart: Callable[..., Chart],
) -> None:
    found = chart(
        {
            "values.yaml": "sub: {port: 9, drop: null, deep: {x: null, z: 4}}\n",
            "charts/sub/Chart.yaml": SUB,
            "charts/sub/values.yaml": "port: 1\ndrop: 2\nkeep: null\ndeep: {x: 1, y: 2}\n",
        }
    )
    assert effective_defaults(found) == {"sub": {"port": 9, "keep": None, "deep": {"y": 2, "z": 4}}}


def test_a_packed_subcharts_defaults_are_read(chart: Callable[..., Chart]) -> None:
    packed = archive.pack(
        [
            archive.Member("sub/Chart.yaml", SUB.encode()),
            archive.Member("sub/values.yaml", b"port: 1\n"),
        ]
    )
    opened = chart({"values.yaml": "own: 1\n"})
    members = [archive.Member(f"demo/{path}", data) for path, data in opened.files.items()]
    data = archive.pack([*members, archive.Member("demo/charts/sub-0.1.0.tgz", packed)])
    found = Chart.open(data, name="demo", version="1.0.0")
    assert effective_defaults(found) == {"own": 1, "sub": {"port": 1}}


def test_a_default_that_moves_only_in_the_subchart_is_seen(
    compare: Callable[..., ChartDiff],
) -> None:
    old = {"charts/sub/Chart.yaml": SUB, "charts/sub/values.yaml": "env: {lb: a}\n"}
    new = old | {"charts/sub/values.yaml": "env: {lb: b}\n"}
    assert 'values: sub.env.lb: "a" -> "b"' in compare(old, new).summary()


def test_a_side_that_does_not_render_is_an_error(compare: Callable[..., ChartDiff]) -> None:
    broken = {"templates/a.yaml": '{{ fail "no luck" }}'}
    with pytest.raises(ValidationError, match=r"^demo 1\.1\.0 does not render: .*no luck"):
        compare({}, broken)
    with pytest.raises(ValidationError, match=r"^demo 1\.0\.0 does not render: .*no luck"):
        compare(broken, {})
