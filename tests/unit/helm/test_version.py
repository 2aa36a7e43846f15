from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2pack.errors import ConfigError, ResolutionError
from rke2pack.helm.version import (
    ChartVersion,
    Resolution,
    Rke2Version,
    core_numbers,
    nearest_versions,
    resolve,
)

# facts of the chart repository: upstream version, packageVersion, packaged version
PACKAGED = [
    ("0.2.10", 0, "0.2.1000"),
    ("1.47.0", 3, "1.47.003"),
    ("v3.32.1", 0, "v3.32.100"),
    ("3.7.2-rancher7", 0, "3.7.2-rancher700"),
    ("v3.32.1-build20260819", 0, "v3.32.1-build2026081900"),
    ("v0.28.9", 6, "v0.28.906"),
    ("v3.19", 8, "v3.1908"),
    ("v3.8-build20211104", 1, "v3.8-build2021110401"),
]
NUMBER = st.integers(0, 999).map(str)
NUMBERS = st.lists(NUMBER, min_size=1, max_size=4).map(".".join)
SUFFIX = st.sampled_from(
    [
        "",
        "-build2021110401",
        "-rancher700",
        "-rc.1",
        "-rc1",
        "-alpha",
        "-rc",
        "-1",
        "+up1.2",
        "-a.b",
    ]
)
VERSIONS = st.builds("".join, st.tuples(st.sampled_from(["", "v"]), NUMBERS, SUFFIX))
HARVESTER = tuple(
    map(
        ChartVersion.parse, ["0.2.900", "0.2.1000", "0.2.1001", "0.2.1100", "0.3.000", "0.4.0-rc.1"]
    )
)


def resolved(request: str, versions: tuple[ChartVersion, ...] = HARVESTER) -> Resolution:
    return resolve(request, versions, chart="demo")


@pytest.mark.parametrize(("upstream", "package", "text"), PACKAGED)
def test_packaged_version_is_upstream_and_two_digits(
    upstream: str, package: int, text: str
) -> None:
    version = ChartVersion.package(upstream, package)
    assert str(version) == text
    assert version.is_packaged
    assert version.upstream == upstream
    assert version.package_version == package
    assert resolved(upstream, (version,)).version == version


@pytest.mark.parametrize("text", ["0.2.10", "1.2", "0.0.0", "v4.0.2-build1"])
def test_version_without_package_version_is_its_own_upstream(text: str) -> None:
    version = ChartVersion.parse(text)
    assert not version.is_packaged
    assert version.upstream == text
    assert version.package_version is None


@settings(max_examples=50)
@given(VERSIONS)
def test_chart_version_round_trips(text: str) -> None:
    version = ChartVersion.parse(text)
    assert str(version) == text
    assert ChartVersion.parse(str(version)) == version


@settings(max_examples=50)
@given(NUMBERS, st.integers(0, 99))
def test_package_and_upstream_are_inverse(upstream: str, package: int) -> None:
    version = ChartVersion.package(f"1.{upstream}", package)
    assert (version.upstream, version.package_version) == (f"1.{upstream}", package)


@settings(max_examples=50)
@given(VERSIONS, VERSIONS, VERSIONS)
def test_order_is_total(a: str, b: str, c: str) -> None:
    x, y, z = map(ChartVersion.parse, (a, b, c))
    assert [x < y, x == y, x > y].count(True) == 1
    assert (x == y) == (a == b)
    if x <= y <= z:
        assert x <= z
    assert sorted([x, y, z]) == sorted([z, y, x])


def test_order_follows_upstream_numbers_then_package_version() -> None:
    texts = [
        "0.2.900",
        "0.2.10-rc.100",
        "0.2.1000",
        "0.2.1001",
        "0.2.1100",
        "1.47.003",
        "1.47.100",
        "v3.8-build2021110401",
        "v3.1908",
        "v3.32.100",
        "v3.32.1-build2026081900",
    ]
    versions = [ChartVersion.parse(text) for text in texts]
    assert sorted(versions) == versions


def test_equal_only_when_the_text_is() -> None:
    assert ChartVersion.parse("1.47.003") != ChartVersion.parse("1.47.3")
    assert ChartVersion.parse("v1.2.300") != ChartVersion.parse("1.2.300")
    assert len({ChartVersion.parse("1.47.003"), ChartVersion.parse("1.47.003")}) == 1


@pytest.mark.parametrize(
    "text",
    [
        "",
        "latest",
        "1.2.",
        ".1",
        "1..2",
        "v",
        "1.2.3 ",
        "1.2.3\n",
        "1_2",
        "1.2.3-",
        "٣.1",
        "1" * 129,
    ],
)
def test_other_text_is_no_chart_version(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ChartVersion.parse(text)
    assert caught.value.message == f"not a chart version: {text[:128]!r}"
    assert caught.value.hint == "write it as in the chart repository's index, e.g. 0.2.1000"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.0.0-rc.1", True),
        ("1.0.0-alpha", True),
        ("1.0.0-Beta2", True),
        ("v3.8-build2021110401", False),
        ("3.7.2-rancher700", False),
        ("1.0.000", False),
    ],
)
def test_prerelease_is_told_by_its_word(text: str, *, expected: bool) -> None:
    assert ChartVersion.parse(text).is_prerelease is expected


def test_zero_stands_for_a_removed_chart() -> None:
    assert ChartVersion.parse("0.0.0").is_removed
    assert not ChartVersion.parse("0.0.000").is_removed


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("v3.32.1-build1", (3, 32, 1)), ("v3.8", (3, 8, 0)), ("1.2.3.4", (1, 2, 3)), ("x", (0, 0, 0))],
)
def test_core_numbers_are_three(text: str, numbers: tuple[int, int, int]) -> None:
    assert core_numbers(text) == numbers


def test_packaged_version_resolves_to_itself() -> None:
    found = resolved("0.2.1000")
    assert found == Resolution(version=ChartVersion("0.2.1000"), rule="packaged version")


def test_upstream_version_resolves_to_its_newest_package_and_tells_the_others() -> None:
    found = resolved(" 0.2.10 ")
    assert found.version.text == "0.2.1001"
    assert found.rule == "upstream version"
    assert [str(v) for v in found.others] == ["0.2.1000"]


def test_exact_text_wins_over_an_equal_upstream_version() -> None:
    versions = tuple(map(ChartVersion.parse, ["0.2.100", "0.2.10000"]))
    assert resolved("0.2.100", versions).version.text == "0.2.100"


@pytest.mark.parametrize(
    ("request_", "texts", "expected", "rule"),
    [
        ("v0.2.10", "0.2.1000 0.2.1001", "0.2.1001", "upstream version, without v"),
        ("v0.2.1000", "0.2.1000 0.2.1001", "0.2.1000", "packaged version, without v"),
        ("3.32.1", "v3.32.100", "v3.32.100", "upstream version, with v"),
        ("3.32.100", "v3.32.100", "v3.32.100", "packaged version, with v"),
        ("1.2-build1", "v1.2-build100", "v1.2-build100", "upstream version, with v"),
        # what is there as written wins, whatever else there is
        ("v0.2.10", "0.2.1001 v0.2.1000", "v0.2.1000", "upstream version"),
        ("0.2.10", "0.2.1000 v0.2.1001", "0.2.1000", "upstream version"),
        ("0.2.100", "0.2.10000 v0.2.100", "0.2.10000", "upstream version"),
        ("v0.2.x", "0.2.1000 0.2.1001", "0.2.1001", "range"),
        ("~3.32", "v3.32.100", "v3.32.100", "range"),
    ],
)
def test_leading_v_may_be_missing_or_too_much(
    request_: str, texts: str, expected: str, rule: str
) -> None:
    found = resolved(request_, tuple(map(ChartVersion.parse, texts.split())))
    assert (found.version.text, found.rule) == (expected, rule)


def test_older_package_versions_are_told_without_v_too() -> None:
    assert [str(v) for v in resolved("v0.2.10").others] == ["0.2.1000"]


@pytest.mark.parametrize("request_", ["vv0.2.10", "vlatest", "v", "V0.2.10"])
def test_only_one_v_is_left_out(request_: str) -> None:
    with pytest.raises(ConfigError, match=r"^not a chart version: "):
        resolved(request_)


def test_latest_is_the_newest_that_is_no_prerelease() -> None:
    found = resolved("latest")
    assert (found.version.text, found.rule) == ("0.3.000", "latest")


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        ("0.2.x", "0.2.1100"),
        ("0.2.*", "0.2.1100"),
        ("~0.2", "0.2.1100"),
        ("^0.2.9", "0.2.1100"),
        (">=0.2.10 <0.3", "0.2.1100"),
        (">=0.2.10, <0.2.11", "0.2.1001"),
        ("<=0.2.9", "0.2.900"),
        ("=0.2.10", "0.2.1001"),
        ("0.2.9 - 0.2.10", "0.2.1001"),
        ("0.2.9 || 0.2.11", "0.2.1100"),
        ("*", "0.3.000"),
        (">=0.4.0-0", "0.4.0-rc.1"),
    ],
)
def test_range_is_over_upstream_versions(request_: str, expected: str) -> None:
    found = resolved(request_)
    assert (found.version.text, found.rule) == (expected, "range")


def test_build_suffix_is_no_prerelease_for_a_range() -> None:
    versions = tuple(
        map(ChartVersion.parse, ["v3.29.3-build2025040801", "v3.30.0-build2025050100"])
    )
    assert resolved("~3.29", versions).version == versions[0]


def test_nothing_matches_names_the_nearest() -> None:
    with pytest.raises(ResolutionError) as caught:
        resolved("0.2.12")
    assert caught.value.message == (
        "demo: no version matches '0.2.12'; nearest: 0.2.1100 (upstream 0.2.11), "
        "0.2.1001 (upstream 0.2.10), 0.2.1000 (upstream 0.2.10), 0.2.900 (upstream 0.2.9)"
    )
    assert caught.value.hint == "choose one of these, or 'latest'"


@pytest.mark.parametrize(
    ("request_", "nearest"),
    [
        ("9.9.9", "0.3.0 0.2.12 0.2.11 0.2.9"),
        (">9", "0.3.0 0.2.12 0.2.11 0.2.9"),
        ("v1", "0.3.0 0.2.12 0.2.11 0.2.9"),
        ("*", "0.3.0 0.2.12 0.2.11 0.2.9"),
        ("0.2.10", "0.2.11 0.2.9 0.2.12 0.2.8"),
        ("v0.2.10-rancher3", "0.2.11 0.2.9 0.2.12 0.2.8"),
        ("0.2.1007", "0.2.11 0.2.9 0.2.12 0.2.8"),
        (">=0.2.10 <0.2.11, >9", "0.2.11 0.2.9 0.2.12 0.2.8"),
        ("0.2.13", "0.2.12 0.2.11 0.2.9 0.2.8"),
        ("~0.1.10", "0.1.9 0.2.8 0.2.9 0.2.11"),
        ("<0.1", "0.1.9 0.2.8 0.2.9 0.2.11"),
        ("0.0.1", "0.1.9 0.2.8 0.2.9 0.2.11"),
    ],
)
def test_nearest_are_those_around_the_requests_place(request_: str, nearest: str) -> None:
    texts = ("0.2.900", "0.3.000", "0.1.900", "0.2.1100", "0.2.800", "0.2.1200")
    found = nearest_versions(request_, map(ChartVersion.parse, texts))
    assert [version.upstream for version in found] == nearest.split()


@pytest.mark.parametrize("request_", ["0.2.12", "latest", ">9", "~0.5"])
def test_no_version_at_all_is_told(request_: str) -> None:
    with pytest.raises(ResolutionError, match=r"^demo: the chart repository has no version of it$"):
        resolved(request_, ())


def test_only_prereleases_have_no_latest() -> None:
    with pytest.raises(ResolutionError) as caught:
        resolved("latest", (ChartVersion("0.4.0-rc.1"),))
    assert caught.value.message == "demo: no version matches 'latest'; nearest: 0.4.0-rc.1"


@pytest.mark.parametrize("request_", ["", "newest", "0.2.10%"])
def test_request_that_is_no_version_is_refused(request_: str) -> None:
    with pytest.raises(ConfigError, match=r"^not a chart version: "):
        resolved(request_)


@settings(max_examples=50)
@given(st.lists(VERSIONS, min_size=1, max_size=8, unique=True), st.data())
def test_every_available_version_resolves_to_itself(texts: list[str], data: st.DataObject) -> None:
    text = data.draw(st.sampled_from(texts))
    versions = [ChartVersion.parse(each) for each in texts]
    assert resolve(text, versions, chart="demo").version.text == text


RKE2 = st.builds(
    lambda v, n, pre, r: f"{v}{'.'.join(map(str, n))}{pre}+rke2r{r}",
    st.sampled_from(["", "v"]),
    st.tuples(*[st.integers(0, 99)] * 3),
    st.sampled_from(["", "-rc1", "-alpha.2"]),
    st.integers(0, 99),
)


@settings(max_examples=50)
@given(RKE2)
def test_rke2_version_round_trips(text: str) -> None:
    version = Rke2Version.parse(text)
    assert str(version) == text
    assert f"{version.kubernetes}+rke2r{version.revision}" == text


@settings(max_examples=50)
@given(RKE2, RKE2)
def test_rke2_order_is_total(a: str, b: str) -> None:
    x, y = Rke2Version.parse(a), Rke2Version.parse(b)
    assert [x < y, x == y, x > y].count(True) == 1
    assert (x == y) == (a == b)


def test_rke2_versions_are_ordered_by_kubernetes_then_revision() -> None:
    texts = ["v1.32.4-rc1+rke2r1", "v1.32.4+rke2r1", "v1.32.4+rke2r2", "v1.32.4+rke2r10"]
    texts += ["v1.32.10+rke2r1", "v1.36.4+rke2r1", "v1.36.4+rke2r2"]
    versions = [Rke2Version.parse(text) for text in texts]
    assert all(a < b and a != b for a, b in itertools.pairwise(versions))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v1.32.4",
        "v1.32+rke2r1",
        "v1.32.4+k3s1",
        "v1.032.4+rke2r1",
        "v1.32.4-+rke2r1",
        "v1.32.4+rke2r1 ",
        "v1.32.4-a..b+rke2r1",
        "v1.3٢.4+rke2r1",
        "v1.32.4+rke2r" + "1" * 5000,
    ],
)
def test_other_text_is_no_rke2_version(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Rke2Version.parse(text)
    assert caught.value.message == f"not an RKE2 version: {text[:128]!r}"
    assert caught.value.hint == "write it as in v1.32.4+rke2r1"


def test_versions_of_other_kinds_are_not_compared() -> None:
    with pytest.raises(TypeError):
        _ = ChartVersion("1.0.0") < "1.0.0"
    with pytest.raises(TypeError):
        _ = Rke2Version("v1.32.4+rke2r1") < "v1.32.4+rke2r1"
