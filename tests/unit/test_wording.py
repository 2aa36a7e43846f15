"""A count and its noun agree."""

from __future__ import annotations

import pytest

from rke2pack import wording


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 images"), (1, "1 image"), (2, "2 images"), (21, "21 images")]
)
def test_only_one_is_singular(number: int, expected: str) -> None:
    assert wording.count(number, "image") == expected


@pytest.mark.parametrize(
    ("number", "expected"), [(0, "0 branches"), (1, "1 branch"), (2, "2 branches")]
)
def test_a_plural_can_be_named(number: int, expected: str) -> None:
    assert wording.count(number, "branch", "branches") == expected


def test_a_verb_goes_with_its_number() -> None:
    assert [wording.are(number) for number in (0, 1, 2)] == ["are", "is", "are"]
