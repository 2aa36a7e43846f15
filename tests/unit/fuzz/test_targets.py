"""The fuzzer's targets, short and the same each time: ``nox -s fuzz`` is the long form."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rke2pack.errors import ConfigError
from tests.fuzz import targets

EXAMPLES = 200
# What parsers stumble over, beside what chance brings.
TOKENS = (
    b"", b"\0", b"\n", b"\r", b"\x1f", b"\xff", b"\xb2", b"-", b"0", b"9" * 30, b"9" * 5000,
    b"{", b"[", b"]" * 9, b"&a *a", b"<<: ", b"!!int ", b"null", b"true", b"1e999", b"NaN",
    b"\\ud800", "\u0660".encode(), b"sha256:", b"../", b"$(", b"${", b"<< EOF", b" " * 200,
)  # fmt: skip
EDITS = st.lists(
    st.tuples(
        st.integers(0, 2**16),
        st.integers(0, 40),
        st.sampled_from(TOKENS) | st.binary(max_size=6),
    ),
    max_size=4,
)


def mutated(seed: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    """The seed with pieces of it replaced."""
    for place, length, new in edits:
        start = place % (len(seed) + 1)
        seed = seed[:start] + new + seed[start + length :]
    return seed


@pytest.mark.parametrize("name", targets.TARGETS)
def test_target_has_seeds_that_end_in_an_answer(name: str) -> None:
    assert targets.seeds(name)
    for seed in targets.seeds(name):
        targets.run(name, seed)


@pytest.mark.parametrize("name", targets.TARGETS)
def test_damage_ends_in_one_of_our_errors(name: str) -> None:
    seeds = targets.seeds(name)

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(seed=st.sampled_from(seeds), edits=EDITS)
    def damage(seed: bytes, edits: list[tuple[int, int, bytes]]) -> None:
        targets.run(name, mutated(seed, edits))

    damage()


def test_every_folder_of_the_corpus_has_a_target() -> None:
    assert {path.name for path in targets.CORPUS.iterdir()} == {*targets.TARGETS}


def test_anything_but_our_errors_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(data: bytes) -> None:
        if data:
            raise KeyError(data)
        msg = "empty"
        raise ConfigError(msg)

    monkeypatch.setitem(targets.TARGETS, "digest", broken)
    targets.run("digest", b"")
    with pytest.raises(KeyError):
        targets.run("digest", b"x")
