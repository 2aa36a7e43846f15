"""What an image is called at the target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rke2pack.errors import ConfigError
from rke2pack.oci.mirror.names import Rule, Rules
from rke2pack.oci.reference import Reference

HOST = "registry.example.com:5000"


@pytest.mark.parametrize(
    ("target", "maps", "source", "expected"),
    [
        (HOST, (), "rancher/x:v1", f"{HOST}/rancher/x:v1"),
        (f"{HOST}/", (), "rancher/x:v1", f"{HOST}/rancher/x:v1"),
        (HOST, (), "nginx:1", f"{HOST}/library/nginx:1"),
        (HOST, (), "quay.example.com/a/b:v1", f"{HOST}/a/b:v1"),
        (f"{HOST}/a/b", (), "rancher/x:v1", f"{HOST}/a/b/rancher/x:v1"),
        (HOST, ("rancher/=team/rancher/",), "rancher/x:v1", f"{HOST}/team/rancher/x:v1"),
        (HOST, ("rancher/=",), "rancher/x:v1", f"{HOST}/x:v1"),
        (f"{HOST}/p", ("rancher/=team/",), "rancher/x:v1", f"{HOST}/p/team/x:v1"),
        (HOST, ("rancher/=a/", "rancher/mirrored-x=b/c"), "rancher/mirrored-x:1", f"{HOST}/b/c:1"),
        (HOST, ("rancher/sub/=b/", "rancher/=a/"), "rancher/sub/x:1", f"{HOST}/b/x:1"),
        (HOST, ("rancher/x=b",), "rancher/xy:1", f"{HOST}/rancher/xy:1"),
        (HOST, ("docker.io/rancher/=hub/", "rancher/=a/"), "rancher/x:1", f"{HOST}/hub/x:1"),
        (HOST, ("docker.io/=hub/",), "rancher/x:1", f"{HOST}/hub/rancher/x:1"),
        (HOST, ("docker.io/=hub/",), "quay.example.com/rancher/x:1", f"{HOST}/rancher/x:1"),
        ("localhost", (), "rancher/x:v1", "localhost/rancher/x:v1"),
    ],
)
def test_target_of_an_image(target: str, maps: tuple[str, ...], source: str, expected: str) -> None:
    assert str(Rules.parse(target, maps).target(Reference.parse(source))) == expected


def test_tag_and_digest_stay() -> None:
    source = Reference.parse(f"rancher/x:v1@sha256:{'a' * 64}")
    assert str(Rules.parse(HOST).target(source)) == f"{HOST}/rancher/x:v1@sha256:{'a' * 64}"


@pytest.mark.parametrize(
    "target", ["", "registry", "registry.example.com/UPPER", "registry.example.com/x:v1",
               "https://registry.example.com", f"{HOST}/x@sha256:{'a' * 64}", "team/x",
               "a b.example.com"]
)  # fmt: skip
def test_wrong_target_is_refused(target: str) -> None:
    with pytest.raises(ConfigError, match="not a target") as caught:
        Rules.parse(target)
    assert caught.value.hint == "write it as HOST[:PORT][/PREFIX]"


@pytest.mark.parametrize(
    "text",
    ["rancher", "rancher/=x", "rancher/x=y/", "=x", "rancher/=UPPER/", "a//=b/", "x=", "/=x/"],
)
def test_wrong_map_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="not a pair of paths or repositories"):
        Rule.parse(text)


def test_map_that_stands_twice_is_refused() -> None:
    with pytest.raises(ConfigError, match="--map rancher/: stands twice"):
        Rules.parse(HOST, ["rancher/=a/", "rancher/=b/"])


def test_name_that_is_too_long_is_refused() -> None:
    long = Rules.parse(HOST, [f"rancher/={'a' * 250}/"])
    with pytest.raises(ConfigError, match="which is no repository"):
        long.target(Reference.parse("rancher/long-name:1"))


@given(
    st.lists(st.sampled_from(["rancher/=a/", "rancher/x=b", "docker.io/rancher/=c/", "x/=d/"]),
             unique=True),
    st.sampled_from(["rancher/x", "rancher/y", "x/y", "other/z"]),
)  # fmt: skip
def test_order_of_maps_does_not_matter(maps: list[str], repository: str) -> None:
    source = Reference.parse(f"{repository}:1")
    forward, backward = Rules.parse(HOST, maps), Rules.parse(HOST, maps[::-1])
    assert forward.target(source) == backward.target(source)
