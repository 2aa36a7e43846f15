from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.errors import ConfigError
from rke2pack.oci.platform import Platform

WORDS = st.from_regex(r"[a-z0-9]{1,8}", fullmatch=True)


@given(
    st.builds(
        Platform,
        os=st.sampled_from(["linux", "windows", "macos", "darwin"]),
        architecture=st.sampled_from(["amd64", "x86_64", "arm64", "aarch64", "arm", "armhf"])
        | WORDS,
        variant=st.sampled_from(["", "v1", "v6", "7", "v8", "8"]) | WORDS,
        os_version=st.sampled_from(["", "10.0.17763.1"]),
    )
)
def test_platform_round_trips(platform: Platform) -> None:
    assert Platform.parse(str(platform)) == platform


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("linux/x86_64", "linux/amd64"),
        ("linux/amd64/v1", "linux/amd64"),
        ("linux/amd64/v3", "linux/amd64/v3"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm64/v9", "linux/arm64/v9"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/7", "linux/arm/v7"),
        ("linux/arm/6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("macos/arm64", "darwin/arm64"),
        ("windows(10.0.17763)/amd64", "windows(10.0.17763)/amd64"),
    ],
)
def test_spellings_fold_as_containerd_s(text: str, canonical: str) -> None:
    assert str(Platform.parse(text)) == canonical


@pytest.mark.parametrize(
    "text",
    ["", "linux", "linux/", "/amd64", "Linux/amd64", "linux/amd64/v1/x", "linux amd64", "l/a\n"],
)
def test_anything_else_is_no_platform(text: str) -> None:
    with pytest.raises(ConfigError, match="not a platform"):
        Platform.parse(text)


@pytest.mark.parametrize(
    ("own", "want", "fits"),
    [
        ("linux/amd64", "linux/amd64", True),
        ("linux/amd64", "linux/arm64", False),
        ("linux/arm64/v8", "linux/arm64", True),
        ("linux/arm64", "linux/arm64/v8", True),
        ("linux/arm/v6", "linux/arm", False),
        ("linux/arm/v7", "linux/arm", True),
        ("linux/amd64/v3", "linux/amd64", True),
        ("linux/amd64", "linux/amd64/v3", False),
        ("windows(10.0.17763.5936)/amd64", "windows(10.0.17763)/amd64", True),
        ("windows(10.0.17763.5936)/amd64", "windows(10.0.177)/amd64", False),
        ("windows(10.0.17763.5936)/amd64", "windows/amd64", True),
        ("windows/amd64", "windows(10.0.17763)/amd64", True),
        ("windows(10.0.20348.1)/amd64", "windows(10.0.17763)/amd64", False),
    ],
)
def test_platform_satisfies(own: str, want: str, *, fits: bool) -> None:
    assert Platform.parse(own).satisfies(Platform.parse(want)) is fits


def test_empty_wish_matches_any() -> None:
    assert Platform.parse("linux/arm/v6").satisfies(Platform(os="", architecture=""))
    assert Platform.parse("linux/arm/v6").satisfies(Platform(os="linux", architecture=""))
    assert not Platform.parse("windows/amd64").satisfies(Platform(os="linux", architecture=""))
