from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.errors import ConfigError
from rke2pack.shards.shard import MAX_COUNT, Shard


@given(st.integers(1, MAX_COUNT).flatmap(lambda n: st.tuples(st.integers(1, n), st.just(n))))
def test_every_shard_parses_to_itself(pair: tuple[int, int]) -> None:
    shard = Shard(number=pair[0], count=pair[1])
    assert Shard.parse(str(shard)) == shard


@pytest.mark.parametrize(
    "text", ["", "1", "0/2", "3/2", "1/0", "1/257", "01/2", "1/2/3", "-1/2", "1/2\n", "a/b", "1 /2"]
)
def test_what_is_no_shard_is_named(text: str) -> None:
    with pytest.raises(ConfigError, match="is no shard"):
        Shard.parse(text)
