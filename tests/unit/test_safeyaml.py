from __future__ import annotations

import pytest

from rke2pack import safeyaml
from rke2pack.errors import ValidationError

BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n"
    for old, new in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGE_BOMB = "a0: &a0 {k: v}\n" + "".join(
    f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}], k{n}: 1}}\n" for n in range(1, 40)
)
ALIAS_TOWER = f"a0: &a0 {'[' * 90}{']' * 90}\n" + "".join(
    f"a{n}: &a{n} {'[' * 90}*a{n - 1}{']' * 90}\n" for n in range(1, 20)
)
TOO_DEEP = "f.yaml: YAML is nested deeper than 200 levels"


def failure(text: str) -> str:
    with pytest.raises(ValidationError) as caught:
        safeyaml.load(text, what="f.yaml")
    return caught.value.message


def test_alias_bomb_is_refused() -> None:
    assert failure(BOMB) == "f.yaml: YAML aliases expand to more than 5000000 values"


def test_merge_key_bomb_costs_no_more_than_its_keys() -> None:
    found = safeyaml.load(MERGE_BOMB, what="f.yaml")
    assert found["a39"] == {"k": "v", **{f"k{n}": 1 for n in range(1, 40)}}


def test_merge_keys_that_repeat_large_mappings_are_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(safeyaml, "MAX_NODES", 5000)
    large = "a: &a {" + ", ".join(f"k{n}: 1" for n in range(100)) + "}\n"
    text = f"{large}b: {{<<: [{', '.join(['*a'] * 60)}]}}\n"
    assert failure(text) == (
        "f.yaml: not YAML: line 1, column 4: merge keys expand to more than 5000 values"
    )


def test_merge_keys_mean_what_helm_means() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}\nd: {<<: *b}\n"
    found = safeyaml.load(text, what="f.yaml")
    assert found["c"] == {"x": 1, "y": 3, "z": 2}
    assert found["d"] == {"x": 2, "z": 2}


def test_merge_of_itself_ends() -> None:
    assert safeyaml.load("a: &a\n  <<: *a\n  b: 1\n", what="f.yaml") == {"a": {"b": 1}}


def test_merge_of_a_scalar_is_refused() -> None:
    assert failure("<<: 1") == (
        "f.yaml: not YAML: line 1, column 5: expected a mapping or list of mappings for merging"
    )


@pytest.mark.parametrize("text", ["&a [*a]", "a: &a {b: *a}", "&a {a: {b: [1, *a]}}"])
def test_alias_to_itself_is_refused(text: str) -> None:
    assert failure(text) == "f.yaml: a YAML alias refers to itself"


def test_harmless_aliases_are_read() -> None:
    found = safeyaml.load("a: &a [1, 2]\nb: *a\n", what="f.yaml")
    assert found == {"a": [1, 2], "b": [1, 2]}


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "[" * 100_000 + "]" * 100_000,
        '{"a":' * 100_000,
        "- " * 100_000 + "x",
        "-  " * 100_000 + "x",
        "? " * 100_000 + "x",
        "?   - " * 50_000 + "x",
        "".join(f"{' ' * n}a:\n" for n in range(1000)),
        ALIAS_TOWER,
    ],
    ids=["flow", "closed", "mapping", "dense", "wide", "keys", "mixed", "indent", "aliases"],
)
def test_nesting_is_refused_before_it_can_crash_the_process(text: str) -> None:
    assert failure(text) == TOO_DEEP


def test_moderate_nesting_is_read() -> None:
    found = safeyaml.load("[" * 150 + "]" * 150, what="f.yaml")
    for _ in range(149):
        (found,) = found
    assert found == []


def test_text_above_the_ceiling_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(safeyaml, "MAX_BYTES", 10)
    assert failure("a: 12345678") == "f.yaml: 11 characters of YAML, the limit is 10"


@pytest.mark.parametrize(
    "text", ["2024-01-01", "2024-01-01T10:00:00Z", "010x", "08", "0.2.10", "1.47.003", "="]
)
def test_scalar_stays_text(text: str) -> None:
    assert safeyaml.load(f"a: {text}", what="f.yaml") == {"a": text}


@pytest.mark.parametrize(("text", "value"), [("010", 8), ("1.10", 1.1), ("yes", True), ("~", None)])
def test_other_scalars_are_yaml_1_1_unless_asked_for_as_text(text: str, value: object) -> None:
    assert safeyaml.load(f"a: {text}", what="f.yaml") == {"a": value}
    assert safeyaml.load(f"a: {text}", what="f.yaml", scalars=False) == {"a": text}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\nb: [", "line 3, column 1: did not find expected node content"),
        ("a:\n\tb: 1", "line 2, column 1: found character that cannot start any token"),
        ("a: !!python/object:os.system x", None),
        ("? [a]\n: b", "line 1, column 3: found unhashable key"),
        ("a: *b", "line 1, column 4: found undefined alias"),
        ("a: !!bool maybe", None),
        ('a: !!int ""', None),
        ("a: !!timestamp soon", None),
        ("a: !!float x", None),
        ("a: !!binary x", None),
        ("a: " + "9" * 6000, None),
        ("a: \ud800", None),
        ("a: \0", None),
    ],
)
def test_what_is_not_yaml_gives_one_line_with_the_place(text: str, message: str | None) -> None:
    found = failure(text)
    assert found.startswith("f.yaml: not YAML: ")
    assert "\n" not in found
    assert len(found) < 250
    if message:
        assert found == f"f.yaml: not YAML: {message}"


def test_second_document_is_refused_where_one_is_expected() -> None:
    assert failure("a: 1\n---\nb: 2\n") == "f.yaml: holds 2 YAML documents, expected one"
    assert list(safeyaml.load_all("a: 1\n---\nb: 2\n", what="f.yaml")) == [{"a": 1}, {"b": 2}]


@pytest.mark.parametrize("text", ["", "# only a comment\n", "---\n"])
def test_no_document_is_none(text: str) -> None:
    assert safeyaml.load(text, what="f.yaml") is None


def test_last_of_two_equal_keys_wins_as_in_helm() -> None:
    assert safeyaml.load("a: 1\na: 2\n", what="f.yaml") == {"a": 2}
