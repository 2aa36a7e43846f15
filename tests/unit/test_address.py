"""Addresses and text are shown without user and password."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.address import hidden, redact


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("https://user:pass@host.example.com/a", "https://host.example.com/a"),
        ("at http://user@host:1 and x://:p@y", "at http://host:1 and x://y"),
        ("http://user:p@ss@host/a", "http://host/a"),
        ("('http', 'http://user:pass@host')", "('http', 'http://host')"),
        ("https://host/repo@sha256:abc", "https://host/repo@sha256:abc"),
        ("mail tester@example.com", "mail tester@example.com"),
        ("oci://host/a:v1@b", "oci://host/a:v1@b"),
    ],
)
def test_user_and_password_are_hidden_wherever_they_stand(text: str, shown: str) -> None:
    assert hidden(text) == shown
    assert hidden(shown) == shown


@given(
    st.text("abc%2:+@!", min_size=1),
    st.from_regex(r"[a-z]{1,9}(/[a-z]{0,5}){0,2}", fullmatch=True),
)
def test_any_password_is_hidden(password: str, place: str) -> None:
    address = f"https://user:{password}@{place}"
    assert hidden(f"cannot ask {address}") == f"cannot ask https://{place}"
    assert redact(address) == f"https://{place}"
