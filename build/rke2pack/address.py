"""Addresses as they may stand in messages and reports."""

from __future__ import annotations

import re
from urllib.parse import urlsplit, urlunsplit

# What is encoded as RFC 3986 asks has no "/" before the "@".
_USERINFO = re.compile(r"(?<=://)[^/\s]*@")


def redact(url: str) -> str:
    """Return ``url`` without user, password, query and fragment."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def hidden(text: str) -> str:
    """Return ``text`` without the user and password of any address in it."""
    return _USERINFO.sub("", text)
