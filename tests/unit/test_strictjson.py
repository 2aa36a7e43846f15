"""What stands in a place of a document is what belongs there, or the place is named."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack import strictjson
from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError

HEX = "a" * 64
Read = Callable[..., Any]
TEXT: Read = partial(strictjson.typed, kind=str)
NUMBER: Read = partial(strictjson.typed, kind=int)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=2), inner),
    max_leaves=4,
)


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (TEXT, None, "missing"),
        (TEXT, 1, "not a text"),
        (NUMBER, "1", "not a number"),
        (NUMBER, True, "not a number"),
        (NUMBER, 1.0, "not a number"),
        (partial(strictjson.typed, kind=dict), [], "not a JSON object"),
        (partial(strictjson.typed, kind=list), {}, "not a list"),
        (strictjson.number, -1, "-1 is no size or count"),
        (strictjson.number, 2**63, f"{2**63} is no size or count"),
        (partial(strictjson.number, most=2), 3, "3 is no size or count"),
        (strictjson.number, False, "not a number"),
        (strictjson.texts, "ab", "not a list"),
        (strictjson.texts, ["a", 1], "not a text"),
        (strictjson.objects, {"a": {}}, "not a list"),
        (strictjson.objects, [{}, None], "missing"),
        (strictjson.digest, None, "missing"),
        (strictjson.digest, "sha256:x", "not a sha256 digest: 'sha256:x'"),
    ],
)
def test_other_value_is_refused_and_its_place_named(
    read: Read, value: object, message: str
) -> None:
    with pytest.raises(IntegrityError) as caught:
        read(value, what="f.json: here")
    assert caught.value.message == f"f.json: here: {message}"


def test_what_belongs_there_is_returned() -> None:
    assert strictjson.typed("", str, what="f") == ""
    assert strictjson.number(0, what="f") == 0
    assert strictjson.number(2**63 - 1, what="f") == 2**63 - 1
    assert strictjson.texts(["a", ""], what="f") == ("a", "")
    assert strictjson.objects([{"a": 1}], what="f") == ({"a": 1},)
    assert strictjson.digest(HEX, what="f") == strictjson.digest(f"sha256:{HEX}", what="f")
    assert strictjson.digest(HEX, what="f") == Digest(HEX)


@given(VALUES)
def test_nothing_but_a_size_is_a_number(value: object) -> None:
    is_size = type(value) is int and 0 <= value <= strictjson.MAX_NUMBER
    try:
        assert strictjson.number(value, what="f") == value
    except IntegrityError:
        assert not is_size
    else:
        assert is_size
