"""What a hint makes of a name that there is not."""

from __future__ import annotations

import pytest

from rke2pack.errors import choice

CHARTS = ("rke2-cilium", "rke2-coredns", "harvester-cloud-provider", "harvester-csi-driver")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("rke2-cillium", "did you mean rke2-cilium?"),  # one slip: that one alone
        ("harvester-cloud-providr", "did you mean harvester-cloud-provider?"),
        ("coredns", "did you mean rke2-coredns?"),  # a part of it
        ("harvester", "did you mean harvester-cloud-provider or harvester-csi-driver?"),
        ("core-dns", "did you mean rke2-coredns?"),  # much like it
        ("zz", f"choose one of: {', '.join(CHARTS)}"),
        ("", f"choose one of: {', '.join(CHARTS)}"),
    ],
)
def test_a_name_that_is_none_is_told_the_near_ones(name: str, hint: str) -> None:
    assert choice(name, CHARTS) == hint


def test_each_name_is_offered_once_and_none_where_there_is_none() -> None:
    assert choice("zz", ("a", "b", "a")) == "choose one of: a, b"
    assert choice("zz", ()) == "name one that there is"
