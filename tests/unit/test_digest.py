from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError

HEX = "ac7fee164b9c80a3cf7b17e0c0f11aaebefb9372bb4522e4c47023d2ff836131"


@settings(max_examples=50)
@given(st.binary())
def test_digest_round_trips_and_verifies_its_bytes(data: bytes) -> None:
    digest = Digest.of(data)
    assert Digest.parse(str(digest)) == digest
    assert str(digest) == f"sha256:{hashlib.sha256(data).hexdigest()}"
    digest.verify(data, what="it")


def test_bare_hex_of_a_chart_index_is_a_digest() -> None:
    assert str(Digest.parse(HEX)) == f"sha256:{HEX}"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256:",
        HEX.upper(),
        HEX[:-1],
        HEX + "0",
        HEX + "\n",
        f":{HEX}",
        f"sha512:{HEX}",
        f"sha256:sha256:{HEX}",
        f"SHA256:{HEX}",
        f" {HEX}",
    ],
)
def test_anything_else_is_no_digest(text: str) -> None:
    with pytest.raises(IntegrityError) as caught:
        Digest.parse(text)
    assert caught.value.message == f"not a sha256 digest: {text!r}"


def test_long_text_is_cut_in_the_message() -> None:
    with pytest.raises(IntegrityError) as caught:
        Digest.parse("x" * 5000)
    assert len(caught.value.message) < 150


def test_other_bytes_are_refused_with_both_digests() -> None:
    with pytest.raises(IntegrityError) as caught:
        Digest(HEX).verify(b"", what="demo-1.0.0.tgz")
    assert caught.value.message == (
        "demo-1.0.0.tgz: content is sha256:"
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855, "
        f"expected sha256:{HEX}"
    )
    assert caught.value.hint == "fetch it again; if it stays, the source was changed or damaged"


def test_digests_are_ordered_by_their_text() -> None:
    digests = [Digest("b" * 64), Digest("a" * 64)]
    assert [str(d) for d in sorted(digests)] == sorted(map(str, digests))
