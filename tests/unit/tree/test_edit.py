from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ruamel.yaml import YAML

from rke2pack.errors import ConfigError
from rke2pack.tree import edit

KEYS = st.lists(st.from_regex(r"[a-z]{1,6}", fullmatch=True), min_size=1, max_size=5, unique=True)
OLD = st.sampled_from(["1.2.300", '"1.10"', "'010'", "v1", '"a b"', "'it''s'", "text"])
NEW = st.from_regex(r"v?[0-9]{1,3}(\.[0-9]{1,3}){0,3}(-[a-z]{1,4}[0-9]*)?", fullmatch=True)
BEHIND = st.sampled_from(["", "  ", " # why", " #"])
BETWEEN = st.sampled_from(["", "\n", "# comment: x\n", "  \n", "# é \u00a0 x\n"])


@st.composite
def layouts(draw: st.DrawFn) -> tuple[str, str, str, str]:
    """Return text before a scalar, the scalar, the text behind it, and its key."""
    keys = draw(KEYS)
    chosen = draw(st.sampled_from(keys))
    parts = [""]
    scalar = ""
    for key in keys:
        written = draw(OLD)
        parts[-1] += f"{draw(BETWEEN)}{key}:{draw(st.sampled_from([' ', '   ']))}"
        if key == chosen:
            scalar = written
            parts.append("")
        else:
            parts[-1] += written
        parts[-1] += draw(BEHIND) + draw(st.sampled_from(["\n", "\r\n"]))
    return parts[0], scalar, parts[1], chosen


@settings(max_examples=30)
@given(layouts(), NEW)
def test_replacing_touches_that_scalar_alone(layout: tuple[str, str, str, str], new: str) -> None:
    before, scalar, behind, key = layout
    text = edit.replace(before + scalar + behind, {(key,): new}, what="f.yaml")
    assert text.startswith(before)
    assert text.endswith(behind)
    written = text[len(before) : len(text) - len(behind)]
    assert written[:1] == scalar[:1] if scalar[0] in "'\"" else written.strip('"') == new
    found = YAML(typ="safe").load(text)[key]
    assert found == new


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("1.2.300", "0.2.1000", "0.2.1000"),
        ("1.2.300", "1.10", '"1.10"'),
        ("1.2.300", "010", '"010"'),
        ("'1.2'", "it's", "'it''s'"),
        ('"1.2"', 'a"b\\c', '"a\\"b\\\\c"'),
        ("x", "a b", '"a b"'),
        ("x", "yes", '"yes"'),
        ("x", "", '""'),
        ("x", "2025-01-01", '"2025-01-01"'),
        ("x", "# no", '"# no"'),
    ],
)
def test_quotes_stay_and_come_where_yaml_needs_them(old: str, new: str, expected: str) -> None:
    text = f"a: {old} # c\nb: 1\n"
    assert edit.replace(text, {("a",): new}, what="f") == f"a: {expected} # c\nb: 1\n"


def test_several_scalars_change_at_once() -> None:
    text = "a: [x, {b: y, c: 'z'}]\nd: w"
    changes: dict[edit.Path, str] = {("a", 1, "c"): "long text", ("d",): "D", ("a", 0): "X"}
    assert edit.replace(text, changes, what="f") == "a: [X, {b: y, c: 'long text'}]\nd: D"


@pytest.mark.parametrize(
    "scalar",
    [
        "&x 1.2.300",
        "!!str a",
        ">-\n  text",
        "|\n  text",
        "a b",
        "a\n  b",
        "[a]",
        "{a: b}",
        "a#b",
        '"a\n  b"',
        "",
    ],
)
def test_scalar_that_is_more_than_one_word_in_place_is_refused(scalar: str) -> None:
    with pytest.raises(ConfigError) as caught:
        edit.replace(f"k: {scalar}\nz: 1\n", {("k",): "new"}, what="f.yaml")
    assert caught.value.message.startswith("f.yaml: line ")
    assert caught.value.message.endswith(": k is not a one-line scalar")
    assert caught.value.hint == "write the value on one line, without anchors or tags"


def test_scalar_from_a_merge_key_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"^f\.yaml: b\.k comes from a merge key$"):
        edit.replace("a: &a {k: v}\nb:\n  <<: *a\n  z: 1\n", {("b", "k"): "new"}, what="f.yaml")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "a: 1\na: 2\n",
            'f.yaml: line 2: found duplicate key "a" with value "2" (original value: "1")',
        ),
        ("a:\n\tb: 1\n", "f.yaml: line 2: found character '\\t' that cannot start any token"),
        ("a: [\n", "f.yaml: line 2: expected the node content, but found '<stream end>'"),
        ("- a\n", "f.yaml: expected a mapping"),
        ("", "f.yaml: expected a mapping"),
    ],
)
def test_text_that_cannot_be_edited_is_told_with_its_line(text: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        edit.parse(text, what="f.yaml")
    assert caught.value.message == message


@pytest.mark.parametrize(
    ("scalar", "expected"),
    [
        ("1.2", True),
        ("12", True),
        ("1e3", True),
        ("0x1f", True),
        ("0o17", True),
        ("1_0", True),
        ("yes", True),
        ("Null", True),
        ("2025-01-01", True),
        ("010", True),
        ("1.", True),
        ("1.2.3", False),
        ("v1.2", False),
        ("1.2-a", False),
        ('"1.2"', False),
        ("1e", False),
    ],
)
def test_typed_scalars_are_those_that_yaml_reads_as_no_text(scalar: str, *, expected: bool) -> None:
    assert edit.is_typed(scalar) is expected
