"""Shard: one of the equal jobs that a plan splits the work into, ``2/5``."""

from __future__ import annotations

import re
from dataclasses import dataclass

from rke2pack.errors import ConfigError

# A matrix of GitHub Actions has at most so many jobs.
MAX_COUNT = 256
_TEXT = re.compile(r"([1-9]\d{0,2})/([1-9]\d{0,2})\Z")


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Shard:
    """Job ``number`` of ``count``, counted from 1; ``str()`` parses to the same value."""

    number: int
    count: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """Parse ``2/5``; raises ConfigError."""
        match = _TEXT.match(text)
        number, count = (int(match[1]), int(match[2])) if match else (0, 0)
        if not 1 <= number <= count <= MAX_COUNT:
            msg = f"{text[:100]!r} is no shard"
            raise ConfigError(msg, hint=f"write it as 2/5, with at most {MAX_COUNT} shards")
        return cls(number=number, count=count)

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"
