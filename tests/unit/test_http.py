from __future__ import annotations

import email.utils
import time

import pytest

from rke2pack import http
from rke2pack.errors import RegistryError
from rke2pack.http import Fetcher, new_session


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("0", 0.0),
        (" 17 ", 17.0),
        ("-1", None),
        ("1.5", None),
        ("²", None),
        ("soon", None),
        ("", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:00 GMT", None),
        ("Thu, 01 Jan 99999 00:00:00 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert http.retry_after(value) == seconds


def test_retry_after_counts_from_now() -> None:
    seconds = http.retry_after(email.utils.formatdate(time.time() + 30, usegmt=True))
    assert seconds is not None
    assert 28 < seconds <= 30


@pytest.mark.parametrize(
    "address",
    ["http://ann:s3cret@127.0.0.1:99999/", "http://ann:s3cret@/", "gopher://ann:s3cret@a/"],
)
def test_address_that_cannot_be_asked_shows_no_credentials(address: str) -> None:
    with new_session() as session, pytest.raises(RegistryError) as error:
        Fetcher(session, sleep=lambda _: None).get(address, max_bytes=1)
    assert "s3cret" not in f"{error.value.message}{error.value.hint}{error.value.details}"


def test_requests_say_who_asks() -> None:
    with new_session() as session:
        assert str(session.headers["User-Agent"]).startswith("rke2pack/")
        assert session.verify is True
