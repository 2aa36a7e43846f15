"""Words that go with a number: one image is, two images are."""

from __future__ import annotations


def count(number: int, noun: str, plural: str = "") -> str:
    """Return "1 image" or "2 images"; ``plural`` is for what is more than the noun and an s."""
    return f"{number} {noun if number == 1 else plural or f'{noun}s'}"


def are(number: int) -> str:
    """Return "is" for one, else "are", for where the number does not stand beside its noun."""
    return "is" if number == 1 else "are"
