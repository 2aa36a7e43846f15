"""A credential goes to the host that it is for, and is written down nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from rke2pack import http as door
from rke2pack.oci.registry.pace import Pace
from tests.contract.oci import simulator as registries
from tests.contract.secrets import places
from tests.contract.secrets.bench import Bench, Word, machine
from tests.contract.secrets.places import Fate, Place


@pytest.fixture
def bench(
    tree: Path,
    charts: Path,
    isolated_env: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[Bench]:
    def pause(pace: Pace, seconds: float) -> None:
        pace._silent_until -= seconds
        pace.check()

    monkeypatch.setattr(Pace, "pause", pause)
    monkeypatch.setattr(door, "_wait", lambda _: 0.0)
    with machine(
        tree=tree, home=isolated_env, charts=charts, monkeypatch=monkeypatch, capsys=capsys,
        registry=registries.serving,
    ) as running:  # fmt: skip
        yield running


@pytest.mark.parametrize(
    ("place", "word", "fate"),
    places.TABLE,
    ids=lambda each: each.name if isinstance(each, Place) else each.__name__,
)
def test_credential_is_only_where_it_belongs(
    place: Place, word: Word, fate: Fate, bench: Bench
) -> None:
    place.plant(bench)
    expected = fate(bench, place)
    assert word(bench) == expected, bench.said
    if expected == 70:
        assert "this is a bug in rke2pack" in bench.said
    elif fate is not places.registry_breaks or place.name != "identitytoken":
        assert bench.arrived(), bench.said
    assert bench.leaks() == []
