from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.errors import IntegrityError
from rke2pack.oci import coding
from rke2pack.oci.coding import Coding, Gzip, Search, Strategy, Zstd
from rke2pack.oci.pack import recipes

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

CODINGS: tuple[Coding, ...] = (
    Zstd(level=1),
    recipes.recipe("default", "zst").plain,
    recipes.recipe("small", "zst").plain,
    Gzip(level=0),
    Gzip(level=6),
)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    return (data[start : start + size] for start in range(0, len(data), size))


def decoded(using: Coding, data: bytes, *, step: int = 1000) -> bytes:
    decode = coding.gunzipped if isinstance(using, Gzip) else coding.unzstd
    return b"".join(decode(pieces(data, step), what="layer"))


@pytest.mark.parametrize("using", CODINGS, ids=lambda each: each.name)
@given(data=st.lists(st.binary(min_size=1, max_size=300), min_size=1, max_size=4),
       step=st.integers(1, 400))  # fmt: skip
def test_frames_that_follow_each_other_decode_to_their_bytes(
    using: Coding, data: list[bytes], step: int
) -> None:
    assert decoded(using, b"".join(map(using.encode, data)), step=step) == b"".join(data)


@pytest.mark.parametrize("using", CODINGS, ids=lambda each: each.name)
def test_same_bytes_give_the_same_frame(using: Coding) -> None:
    data = bytes(range(256)) * 5000
    assert using.encode(data) == using.encode(bytearray(data))


@pytest.mark.parametrize("using", CODINGS, ids=lambda each: each.name)
def test_much_from_little_comes_in_small_pieces(using: Coding) -> None:
    data = bytes(5_000_000)
    decode = coding.gunzipped if isinstance(using, Gzip) else coding.unzstd
    sizes = [len(chunk) for chunk in decode([using.encode(data)], what="layer")]
    assert max(sizes) <= 1024 * 1024
    assert sum(sizes) == len(data)


@pytest.mark.parametrize("using", CODINGS, ids=lambda each: each.name)
def test_damage_is_told(using: Coding) -> None:
    frame = using.encode(b"layer" * 1000)
    flipped = bytearray(frame)
    flipped[-3] ^= 1
    for wrong in (frame[:-1], b"", bytes(flipped), frame + b"rest"):
        with pytest.raises(IntegrityError, match="layer is damaged: "):
            decoded(using, wrong)


def test_zstd_frames_have_size_and_checksum_and_need_a_window_of_at_most_32_mib() -> None:
    frame = Zstd(level=9).encode(bytes(32 * 1024 * 1024))
    assert frame[4] & 0x04, "checksum"
    assert zstd.get_frame_info(frame).decompressed_size == 32 * 1024 * 1024
    limit: dict[int, int] = {zstd.DecompressionParameter.window_log_max: 25}
    assert len(zstd.decompress(frame, options=limit)) == 32 * 1024 * 1024
    limit = {zstd.DecompressionParameter.window_log_max: 24}
    with pytest.raises(zstd.ZstdError):
        zstd.decompress(frame, options=limit)


def test_names_tell_level_window_and_library() -> None:
    version = zstd.zstd_version
    assert Zstd(level=9).name == f"zstd-9-25-{version}"
    search = Search(strategy=Strategy.lazy, min_match=5, search_log=3, hash_log=22)
    assert Zstd(level=9, search=search).name == f"zstd-9-25-lazy-m5s3h22-{version}"
    with_chains = replace(search, strategy=Strategy.btopt, chain_log=21)
    assert Zstd(level=16, search=with_chains).name == f"zstd-16-25-btopt-m5s3h22c21-{version}"
    assert Gzip(level=6).name == f"gzip-6-{zlib.ZLIB_RUNTIME_VERSION}"


@pytest.mark.parametrize("profile", ["fast", "default", "small"])
def test_searches_of_the_profiles_are_what_libzstd_takes(profile: recipes.ProfileName) -> None:
    """Out of their bounds it would take others without a word."""
    using = recipes.recipe(profile, "zst").plain
    assert isinstance(using, Zstd)
    for name in ("strategy", "min_match", "search_log", "hash_log", "chain_log", "target_length"):
        lowest, highest = getattr(zstd.CompressionParameter, name).bounds()
        value = getattr(using.search, name, lowest)
        assert value == 0 or lowest <= value <= highest, name


def test_searches_change_the_bytes() -> None:
    data = b"".join(bytes([n % 251]) * (n % 7) + str(n * n).encode() for n in range(20_000))
    plain = Zstd(level=9).encode(data)
    assert recipes.recipe("default", "zst").plain.encode(data) != plain


def test_gzip_carries_no_time_and_no_name() -> None:
    member = Gzip(level=6).encode(b"x")
    assert member[3:8] == bytes(5)
    assert gzip.decompress(member) == b"x"
