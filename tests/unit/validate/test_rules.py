from __future__ import annotations

import json
from collections.abc import Mapping
from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.validate import rules, schemas, syntax
from rke2pack.validate.syntax import Syntax, amount


def test_every_entry_of_the_tables_names_a_field_of_some_kubernetes_version() -> None:
    """An entry that names nothing would check nothing."""
    known: set[tuple[str, str]] = set()
    for folder in schemas._folders().values():
        definitions = json.loads((folder / "_definitions.json").read_text())["$defs"]
        known |= {(name, field) for name in definitions
                  for field in definitions[name].get("properties", ())}  # fmt: skip
    tables: tuple[Mapping[str, Mapping[str, object]], ...] = (
        *(rules.ENUMS, rules.TEXTS, rules.KEYS, rules.LABELS, rules.PORTS),
    )
    wanted = {(name, field) for table in tables for name in table for field in table[name]}
    assert len(wanted) > 80
    assert wanted - known == set()


@pytest.mark.parametrize(
    ("rule", "good", "bad"),
    [
        (syntax.LABEL, ["a", "a-1", "1"], ["", "-a", "a-", "A", "a.b", "a" * 64]),
        (syntax.SUBDOMAIN, ["a.b", "a"], ["a..b", ".a", "a_b"]),
        (syntax.SERVICE_NAME, ["a", "a-1"], ["1a", "a.b"]),
        (syntax.PATH_SEGMENT, ["system:a", "a.b", "..."], [".", "..", "a/b", "a%b", ""]),
        (syntax.LABEL_KEY, ["a", "a.b/C", "a_b"], ["/a", "a/", "A.b/c", "a" * 64]),
        (syntax.PORT_NAME, ["http", "a", "1a", "a-1", "8080-tcp"], ["1", "-a", "a-", "a--b", "A"]),
        (
            syntax.QUANTITY,
            ["1", "1.5Gi", "-1m", ".5", "1e3", "1."],
            ["1 Gi", "1kb", "", "1e", "Gi"],
        ),
        (syntax.VARIABLE, ["A", "_a", "a.b-c"], ["1a", "a b", ""]),
    ],
)
def test_syntax_rule(rule: Syntax, good: list[str], bad: list[str]) -> None:
    assert [text for text in good if not rule.allows(text)] == []
    assert [text for text in bad if rule.allows(text)] == []
    assert syntax.TITLES[rule.schema["pattern"]] == rule.title


@pytest.mark.parametrize(
    ("quantity", "number"),
    [
        ("1", 1),
        ("100m", 0.1),
        ("1Ki", 1024),
        ("1k", 1000),
        ("1e3", 1000),
        (2, 2),
        ("1.5Gi", 1.5 * 2**30),
    ],
)
def test_quantity_has_an_amount(quantity: object, number: float) -> None:
    assert amount(quantity) == pytest.approx(number)


@given(st.one_of(st.text(), st.none(), st.booleans(), st.integers(), st.floats()))
def test_amount_of_anything_is_a_number_or_none(value: object) -> None:
    found = amount(value)
    assert found is None or isinstance(found, float | int)


def test_optional_field_takes_empty_text_and_required_field_does_not() -> None:
    name = "io.k8s.api.core.v1.Container"
    definitions = {name: {"required": ["name"], "properties": {"name": {}, "imagePullPolicy": {}}}}
    rules.sharpen(definitions)
    fields = definitions[name]["properties"]
    assert isinstance(fields, dict)
    assert "" in fields["imagePullPolicy"]["enum"]
    assert fields["name"] == syntax.LABEL.schema


def test_tables_leave_alone_what_a_version_lacks() -> None:
    definitions: dict[str, object] = {}
    rules.sharpen(definitions)
    assert definitions == {}
    assert list(chain(definitions)) == []
