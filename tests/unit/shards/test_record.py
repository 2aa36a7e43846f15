from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.digest import Digest
from rke2pack.errors import IntegrityError
from rke2pack.shards import record as records
from rke2pack.shards.record import Made, Packed, RecipeNote, Record
from rke2pack.shards.shard import Shard

NAMES = st.text("abcXYZ019._-", max_size=12).map("a{}".format)
DIGESTS = st.binary(max_size=4).map(Digest.of)
MADE = st.builds(Made, name=NAMES, size=st.integers(0, 2**60), digest=DIGESTS)
RECIPES = st.builds(
    RecipeNote,
    profile=st.sampled_from(["fast", "default", "small"]),
    formats=st.sampled_from([("zst",), ("gz",), ("zst", "gz")]),
    max_size=st.none() | st.integers(1, 2**50),
    codings=st.lists(NAMES, max_size=4).map(tuple),
)
PACKED = st.builds(
    Packed,
    archive=NAMES,
    form=st.sampled_from(["zst", "gz"]),
    inputs=DIGESTS.map(str),
    files=st.lists(MADE, max_size=3).map(tuple),
)
RECORDS = st.builds(
    Record,
    shard=st.just(Shard(number=2, count=5)),
    plan=DIGESTS,
    recipe=RECIPES,
    archives=st.lists(PACKED, max_size=4, unique_by=lambda p: p.archive).map(tuple),
    lists=st.lists(MADE, max_size=3).map(tuple),
)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return records.path(tmp_path_factory.mktemp("shard"), Shard(number=2, count=5))


@given(record=RECORDS)
def test_record_reads_as_it_was_written(place: Path, record: Record) -> None:
    place.write_text(str(record))
    assert records.read(place) == record


GOOD: dict[str, Any] = {
    "version": 1,
    "shard": "2/5",
    "plan": f"sha256:{'1' * 64}",
    "recipe": {"profile": "fast", "formats": ["zst"], "max_size": None, "codings": ["zstd-3"]},
    "archives": {"core": {"zst": {"inputs": f"sha256:{'2' * 64}", "files": []}}},
    "lists": [{"name": "core.txt", "size": 1, "sha256": "3" * 64}],
}


def test_the_good_one_is_good(place: Path) -> None:
    place.write_text(json.dumps(GOOD))
    assert records.read(place).lists[0].name == "core.txt"


@pytest.mark.parametrize(
    "wrong",
    [
        {"version": 2},
        {"shard": "2/6"},
        {"shard": 2},
        {"plan": "sha256:1"},
        {"plan": None},
        {"recipe": {**GOOD["recipe"], "profile": "x; rm -rf /"}},
        {"recipe": {**GOOD["recipe"], "formats": ["tar"]}},
        {"recipe": {**GOOD["recipe"], "max_size": -1}},
        {"recipe": []},
        {"archives": {"../core": {"zst": {"inputs": "", "files": []}}}},
        {"archives": {"core": {"zst": {"inputs": "x", "files": []}}}},
        {"archives": []},
        {"lists": [{"name": "../../etc/passwd", "size": 1, "sha256": "3" * 64}]},
        {"lists": [{"name": "/etc/passwd", "size": 1, "sha256": "3" * 64}]},
        {"lists": [{"name": ".hidden", "size": 1, "sha256": "3" * 64}]},
        {"lists": [{"name": "a", "size": True, "sha256": "3" * 64}]},
        {"lists": [{"name": "a", "size": 1, "sha256": "3"}]},
        {"lists": [{"name": "a", "size": 1}]},
        {"lists": 3},
    ],
    ids=json.dumps,
)
def test_what_a_record_cannot_say_is_refused(place: Path, wrong: dict[str, Any]) -> None:
    place.write_text(json.dumps({**GOOD, **wrong}))
    with pytest.raises(IntegrityError, match=r"shard-2-of-5\.json: no record of a shard"):
        records.read(place)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"version": 1, "version": 1}', "[" * 100_000])
def test_other_text_is_refused(place: Path, text: str) -> None:
    place.write_text(text)
    with pytest.raises(IntegrityError, match=r"shard-2-of-5\.json"):
        records.read(place)


def test_link_is_no_record(place: Path) -> None:
    other = place.with_name("other.json")
    other.write_text(json.dumps(GOOD))
    place.unlink(missing_ok=True)
    place.symlink_to(other)
    with pytest.raises(IntegrityError, match="not a file"):
        records.read(place)
    place.unlink()
