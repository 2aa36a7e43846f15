from __future__ import annotations

import json

import pytest

from rke2pack.digest import Digest
from rke2pack.errors import ResolutionError, ValidationError
from rke2pack.helm.index import ChartIndex
from rke2pack.helm.version import ChartVersion

HEX = "a" * 64
INDEX = f"""apiVersion: v1
entries:
  demo:
  - version: 1.47.003
    appVersion: 1.10
    created: 2024-01-01T00:00:00Z
    digest: {HEX}
    urls: [assets/demo/demo-1.47.003.tgz, https://example.com/other.tgz]
  - version: 010
    digest: sha256:{HEX}
    urls: [a.tgz]
  - version: 1.0.000
    urls: [b.tgz]
"""


def parsed() -> ChartIndex:
    return ChartIndex.parse(INDEX, what="index.yaml")


def test_entries_keep_the_text_and_the_order_that_stand_there() -> None:
    first, second, third = parsed().entries("demo")
    assert (first.version, second.version, third.version) == ("1.47.003", "010", "1.0.000")
    assert first.app_version == "1.10"
    assert first.url == "assets/demo/demo-1.47.003.tgz"
    assert first.chart_version == ChartVersion("1.47.003")
    assert first.checked_digest == second.checked_digest == Digest(HEX)
    assert third.checked_digest is None


def test_parsed_form_round_trips() -> None:
    assert ChartIndex.from_json(parsed().to_json()) == parsed()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"[]",
        b"{}",
        b"null",
        b'{"format": 0, "charts": {}}',
        b"\xff",
        b'{"format": 2, "charts": []}',
        b'{"format": 2, "charts": {"a": [{"x": 1}]}}',
    ],
)
def test_any_other_content_is_not_the_parsed_form(data: bytes) -> None:
    assert ChartIndex.from_json(data) is None


def test_parsed_form_of_another_format_is_not_read() -> None:
    document = json.loads(parsed().to_json())
    document["format"] += 1
    assert ChartIndex.from_json(json.dumps(document).encode()) is None


def test_entry_is_found_by_exactly_its_version() -> None:
    assert parsed().entry("demo", ChartVersion("1.47.003")).version == "1.47.003"
    with pytest.raises(
        ResolutionError, match=r"^demo: the chart repository has no version 1\.47\.3$"
    ):
        parsed().entry("demo", ChartVersion("1.47.3"))


def test_unknown_chart_names_similar_ones() -> None:
    with pytest.raises(ResolutionError) as caught:
        parsed().entries("demos")
    assert caught.value.message == "demos: no such chart in the chart repository"
    assert caught.value.hint == "did you mean demo?"
    with pytest.raises(ResolutionError) as caught:
        parsed().entries("zzz")
    assert caught.value.hint == "choose one of: demo"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not a chart index, it has no 'entries'"),
        ("- a\n", "not a chart index, it has no 'entries'"),
        ("entries: [a]\n", "not a chart index, it has no 'entries'"),
        ("<html>404</html>", "not a chart index, it has no 'entries'"),
        ("entries: {demo: x}\n", "entries of demo are not a list"),
        ("entries: {demo: [x]}\n", "an entry of demo lacks version or urls"),
        ("entries: {demo: [{version: 1}]}\n", "an entry of demo lacks version or urls"),
        ("entries: {demo: [{version: 1, urls: []}]}\n", "an entry of demo lacks version or urls"),
        ("entries: {demo: [{urls: [a]}]}\n", "an entry of demo lacks version or urls"),
        ("entries: {demo: [{version: a b, urls: [a]}]}\n", "demo: not a chart version: 'a b'"),
        (
            "entries: {demo: [{version: 1, urls: [a], digest: abc}]}\n",
            "demo: not a sha256 digest: 'abc'",
        ),
        ("entries: [", "not YAML: line 2, column 1: did not find expected node content"),
    ],
)
def test_bad_index_is_told_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        ChartIndex.parse(text, what="index.yaml")
    assert caught.value.message == f"index.yaml: {message}"


def test_index_without_charts_is_an_index() -> None:
    assert ChartIndex.parse("entries: {}\n", what="index.yaml").charts == {}
