from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.oci.registry import challenge


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([], []),
        (['Basic realm="x"'], [("basic", {"realm": "x"})]),
        (["BASIC Realm=x"], [("basic", {"realm": "x"})]),
        (
            ['Bearer realm="https://a/b?c=d,e",service="s",scope="repository:x:pull,push"'],
            [
                (
                    "bearer",
                    {
                        "realm": "https://a/b?c=d,e",
                        "service": "s",
                        "scope": "repository:x:pull,push",
                    },
                )
            ],
        ),
        (
            ['Negotiate, Basic realm="a \\"b\\" \\\\c", Bearer  realm = "r" , service=s'],
            [
                ("negotiate", {}),
                ("basic", {"realm": 'a "b" \\c'}),
                ("bearer", {"realm": "r", "service": "s"}),
            ],
        ),
        (["Negotiate abc==, Basic realm=x"], [("negotiate", {}), ("basic", {"realm": "x"})]),
        (["Negotiate", "Basic realm=x"], [("negotiate", {}), ("basic", {"realm": "x"})]),
        (['Bearer realm="open'], [("bearer", {})]),
        (['"nonsense"'], []),
    ],
)
def test_challenges(headers: list[str], expected: list[tuple[str, dict[str, str]]]) -> None:
    found = [(each.scheme, dict(each.parameters)) for each in challenge.parse(headers)]
    assert found[: len(expected)] == expected


@given(st.text(max_size=200))
def test_no_header_is_too_strange(text: str) -> None:
    challenge.parse([text])
