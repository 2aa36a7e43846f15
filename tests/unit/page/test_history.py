"""The history file: read strictly, one line a release, and as bars."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from rke2pack.errors import ConfigError
from rke2pack.page import chart, history
from rke2pack.page.history import MAX_RELEASES, History, Release

PLATFORM = "linux/amd64"


def release(name: str, **sizes: int) -> Release:
    return Release(name=name, images={PLATFORM: 3}, archives={PLATFORM: sizes})


def test_what_is_written_is_read_again() -> None:
    found = History(releases=(release("v1", core=5), release("v2", core=7, canal=2)))
    assert history.parse(str(found), what="x") == found


def test_a_release_that_is_there_is_replaced_in_its_place() -> None:
    found = History(releases=(release("v1", core=5), release("v2", core=7)))
    again = found.with_release(release("v1", core=6))
    assert [(each.name, each.total(PLATFORM)) for each in again.releases] == [("v1", 6), ("v2", 7)]
    assert [each.name for each in again.with_release(release("v3")).releases] == ["v1", "v2", "v3"]


def test_the_oldest_are_forgotten() -> None:
    found = History(releases=tuple(release(str(number)) for number in range(MAX_RELEASES)))
    names = [each.name for each in found.with_release(release("new")).releases]
    assert (len(names), names[0], names[-1]) == (MAX_RELEASES, "1", "new")


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "x: not a JSON object"),
        ({"version": 2, "releases": []}, "x: not a history of releases"),
        ({"version": 1, "releases": {}}, "x: not a history of releases"),
        ({"version": 1, "releases": [{}]}, "x: release 1: has no name"),
        (
            {"version": 1, "releases": [{"release": "v1", "archives": {"p": {"core": -1}}}]},
            "x: release 1: p: core: -1 is no size or count",
        ),
        (
            {"version": 1, "releases": [{"release": "v1", "archives": {"p": {"core": True}}}]},
            "x: release 1: p: core: not a number",
        ),
        (
            {"version": 1, "releases": [{"release": "v1", "archives": {"p": []}}]},
            "x: release 1: p: not a JSON object",
        ),
        (
            {"version": 1, "releases": [{"release": "v1"}, {"release": "v1"}]},
            f"x: a release stands twice, or there are more than {MAX_RELEASES}",
        ),
    ],
)
def test_what_is_no_history_is_refused_by_name(document: object, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        history.parse(json.dumps(document), what="x")
    assert caught.value.message == message
    assert caught.value.hint


def test_bars_are_stacked_in_one_order_and_tell_the_step() -> None:
    found = History(releases=(release("v1", core=40, canal=50), release("v2", core=60, canal=30)))
    (panel,) = chart.panels(found, {"core": 1, "canal": 2})
    assert [bar.total for bar in panel.bars] == [90, 90]
    assert [bar.step for bar in panel.bars] == [None, 0]
    assert [[piece.component for piece in bar.pieces] for bar in panel.bars] == [
        ["core", "canal"],
        ["core", "canal"],
    ]
    core, canal = panel.bars[0].pieces
    assert core.height / canal.height == pytest.approx(40 / 50, abs=0.01)
    assert core.y == pytest.approx(canal.y + canal.height, abs=0.02)
    assert panel.bars[0].top == pytest.approx(canal.y, abs=0.02)
    assert panel.lines[0][0] == 0
    assert 3 <= len(panel.lines) <= 6


def test_a_release_without_archives_of_a_platform_has_no_bar() -> None:
    other = Release(name="v2", images={}, archives={"linux/arm64": {"core": 5}})
    panels = chart.panels(History(releases=(release("v1", core=5), other)), {})
    assert [[bar.release for bar in panel.bars] for panel in panels] == [["v1"], ["v2"]]


def test_what_another_report_added_meanwhile_stays(tmp_path: Path) -> None:
    path = tmp_path / "history.json"
    mine, theirs = (Release(name=name, images={}, archives={}) for name in ("mine", "theirs"))
    seen = History(releases=()).with_release(mine)  # read and made before the other has written
    history.add(path, History(releases=()).with_release(theirs), name="theirs")
    history.add(path, seen, name="mine")
    assert [each.name for each in history.read(path).releases] == ["theirs", "mine"]
    assert [each.name for each in tmp_path.iterdir()] == ["history.json"]
