from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.helm.diff.fields import compare
from rke2pack.helm.diff.generated import GENERATED, stable
from rke2pack.helm.diff.plain import Item, Plain, dotted, is_same, leaves, plain, shown

SCALARS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
TREES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4)
    ),
    max_leaves=20,
)


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (("a", "b-c", "d_e"), "a.b-c.d_e"),
        (("nodeSelector", "kubernetes.io/os"), 'nodeSelector."kubernetes.io/os"'),
        (("a", ""), 'a.""'),
        (("data", 'say "hi"'), 'data."say \\"hi\\""'),
        (("ports", Item(0), "name"), "ports[0].name"),
        (("containers", Item("kube-vip"), "image"), "containers[kube-vip].image"),
        ((), ""),
    ],
)
def test_a_path_is_written_with_dots_and_quotes_only_what_needs_them(
    path: tuple[str | Item, ...], text: str
) -> None:
    assert dotted(path) == text


def test_plain_turns_keys_into_the_text_that_helm_gives_them() -> None:
    assert plain({True: 1, 2: [(), {3}], None: float("inf")}) == {
        "true": 1,
        "2": [[], [3]],
        "null": "inf",
    }


@pytest.mark.parametrize(("left", "right"), [(1, True), (1, 1.0), (0, False), ([1], [True])])
def test_values_of_different_types_are_never_the_same(left: Plain, right: Plain) -> None:
    assert not is_same(left, right)


def test_a_long_value_is_cut_for_people() -> None:
    assert len(shown("x" * 500)) == 160
    assert shown("x" * 500).endswith("…")


def test_leaves_keep_empty_mappings_and_whole_lists() -> None:
    assert list(leaves({"b": {"c": {}}, "a": [1]})) == [(("a",), [1]), (("b", "c"), {})]


@given(TREES)
def test_a_value_does_not_differ_from_itself(value: Plain) -> None:
    assert compare(value, json.loads(json.dumps(value))) == ()
    assert stable(value, json.loads(json.dumps(value))) == value


@given(TREES, TREES)
def test_a_difference_is_seen_from_both_sides(left: Plain, right: Plain) -> None:
    assert bool(compare(left, right)) == bool(compare(right, left))


@given(TREES, TREES)
def test_what_differs_between_two_renders_does_not_depend_on_their_order(
    left: Plain, right: Plain
) -> None:
    def keys(value: Plain) -> str:
        return json.dumps(value, sort_keys=True)

    assert keys(stable(left, right)) == keys(stable(right, left))


def test_items_are_matched_by_name_and_their_order_does_not_count() -> None:
    old: Plain = {"env": [{"name": "a", "value": "1"}, {"name": "b", "value": "2"}]}
    new: Plain = {"env": [{"name": "b", "value": "3"}, {"name": "a", "value": "1"}]}
    (change,) = compare(old, new)
    assert str(change) == 'env[b].value: "2" -> "3"'


def test_items_without_a_name_are_aligned_before_they_are_compared() -> None:
    old: Plain = {"args": ["--a", "--b"]}
    new: Plain = {"args": ["--new", "--a", "--b=2"]}
    assert [str(change) for change in compare(old, new)] == [
        'args[0] added: "--new"',
        'args[2]: "--b" -> "--b=2"',
    ]


def test_items_that_share_a_name_are_compared_by_position() -> None:
    old: Plain = [{"name": "a", "path": "/1"}, {"name": "a", "path": "/2"}]
    new: Plain = [{"name": "a", "path": "/1"}, {"name": "a", "path": "/3"}]
    assert [str(change) for change in compare(old, new)] == ['[1].path: "/2" -> "/3"']


def test_null_counts_as_absent_in_objects() -> None:
    assert compare({"a": None}, {}) == ()


def test_only_labels_that_repeat_the_version_are_noise() -> None:
    old: Plain = {
        "metadata": {"labels": {"helm.sh/chart": "x-1"}, "annotations": {"helm.sh/chart": "x-1"}},
        "selector": {"matchLabels": {"app.kubernetes.io/version": "1"}},
    }
    new: Plain = {
        "metadata": {"labels": {"helm.sh/chart": "x-2"}, "annotations": {"helm.sh/chart": "x-2"}},
        "selector": {"matchLabels": {"app.kubernetes.io/version": "2"}},
    }
    assert [change.is_noise for change in compare(old, new)] == [False, True, False]


def test_beside_a_generated_line_other_lines_stay() -> None:
    pem = "-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----"
    first = f"a: 1\nid: x1\n{pem.format('AAA')}\nb: 2"
    second = f"a: 1\nid: x2\n{pem.format('BBB' + chr(10) + 'CC')}\nb: 2"
    assert stable(first, second) == f"a: 1\n{GENERATED}\n{GENERATED}\nb: 2"
