from __future__ import annotations

import pytest

from rke2pack.errors import ConfigError
from rke2pack.tree.components import Components, StaticImage

TEXT = """registry: docker.io
platforms: [linux/amd64, linux/arm64]
helmChartSpec: {takeOwnership: true}
components:
  - name: core
    charts: [rke2-a, rke2-b]
    images:
      - {image: "rancher/x:${X_VERSION}", reason: because}
  - name: vsphere
    charts: [rke2-c]
    platforms: [linux/amd64]
charts:
  rke2-a:
    base: {a: 1}
    variants: {more: {b: 2}}
    prime: adds
    ignored: [{text: "a/b:v1", reason: an example}]
    derived:
      - {tagValue: a.tag, versions: ">=3.31", images: [rancher/y], reason: in code}
"""


def parsed(text: str = TEXT) -> Components:
    return Components.parse(text, what="components.yaml")


def refusal(old: str, new: str) -> ConfigError:
    assert old in TEXT
    with pytest.raises(ConfigError) as caught:
        parsed(TEXT.replace(old, new, 1))
    return caught.value


def test_file_is_read() -> None:
    found = parsed()
    assert found.registry == "docker.io"
    assert found.helm_chart_spec == {"takeOwnership": True}
    assert [component.name for component in found.components] == ["core", "vsphere"]
    rules = found.rules("rke2-a")
    assert (rules.base, rules.variants, rules.prime_adds) == ({"a": 1}, {"more": {"b": 2}}, True)
    assert rules.ignored == {"a/b:v1": "an example"}
    assert rules.derived[0].versions.allows((3, 31, 0))
    assert not rules.derived[0].versions.allows((3, 30, 9))


def test_chart_without_rules_is_rendered_as_it_is() -> None:
    rules = parsed().rules("rke2-c")
    assert (rules.base, rules.variants, rules.derived, rules.prime_adds) == ({}, {}, (), False)


WINDOWS = TEXT.replace(
    "helmChartSpec", 'windows: {"1809": 10.0.17763, ltsc2022: 10.0.20348}\nhelmChartSpec'
)
WINDOWS = WINDOWS.replace("platforms: [linux/amd64]\ncharts", "platforms: [windows/amd64]\ncharts")


def test_windows_has_a_platform_for_every_release() -> None:
    found = parsed(WINDOWS)
    assert found.every_platform == ("linux/amd64", "linux/arm64", "windows/amd64")
    assert found.image_platforms(("linux/arm64", "windows/amd64")) == (
        "linux/arm64",
        "windows(10.0.17763)/amd64",
        "windows(10.0.20348)/amd64",
    )
    assert list(found.per_release("windows/amd64")) == ["1809", "ltsc2022"]
    assert found.per_release("linux/amd64") == {}
    assert parsed().every_platform == ("linux/amd64", "linux/arm64")


@pytest.mark.parametrize(
    ("windows", "message"),
    [
        ("{1809: 10.0.17763}", "1809: '10.0.17763' is no release and version"),
        ("{ltsc2022: latest}", "'ltsc2022': 'latest' is no release and version"),
        ('{"../x": 10.0.17763}', "'../x': '10.0.17763' is no release and version"),
        ('{"2025": 10.0}', "'2025': 10.0 is no release and version"),
    ],
)
def test_windows_without_release_or_version_is_refused(windows: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parsed(TEXT.replace("helmChartSpec", f"windows: {windows}\nhelmChartSpec"))
    assert caught.value.message == f"components.yaml: windows: {message}"


def test_platform_of_windows_needs_its_releases() -> None:
    text = TEXT.replace("platforms: [linux/amd64]\ncharts", "platforms: [windows/amd64]\ncharts")
    with pytest.raises(ConfigError, match="bad platform 'windows/amd64'"):
        parsed(text)


def test_component_of_a_chart() -> None:
    component = parsed().of_chart("rke2-c")
    assert component is not None
    assert component.name == "vsphere"
    assert parsed().of_chart("rke2-none") is None


def test_unknown_component_names_those_there_are() -> None:
    with pytest.raises(ConfigError) as caught:
        parsed().get("cor")
    assert caught.value.message == "cor: no such component"
    assert caught.value.hint == "did you mean core?"
    with pytest.raises(ConfigError) as caught:
        parsed().get("none")
    assert caught.value.hint == "choose one of: core, vsphere"


def test_variables_are_filled_in_as_tags_want_them() -> None:
    image = StaticImage(image="rancher/x:${A}-${B_2}", reason="r")
    assert image.resolve({"A": "v1+rke2r1", "B_2": "2"}) == "rancher/x:v1-rke2r1-2"
    with pytest.raises(ConfigError) as caught:
        image.resolve({"A": "1"})
    assert caught.value.message == (
        "components.yaml: rancher/x:${A}-${B_2}: versions.env has no B_2"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("registry: docker.io", "registry: [x]", "registry must be text"),
        ("registry: docker.io\n", "", "registry must be text"),
        (
            "platforms: [linux/amd64, linux/arm64]",
            "platforms: linux",
            "platforms must be a list of text",
        ),
        ("components:\n", "componets:\n", "unknown key 'componets'"),
        ("components:\n", "7: x\ncomponents:\n", "unknown key 7"),
        ("    charts: [rke2-c]", "    charts: [1]", "components[1]: charts must be a list of text"),
        ("  - name: core", "  - name: Core", "components[0]: bad name 'Core'"),
        (
            "    platforms: [linux/amd64]",
            "    platforms: [linux]",
            "components[1]: bad platform 'linux'",
        ),
        ("name: vsphere", "name: core", "component core stands there twice"),
        ("charts: [rke2-c]", "charts: [rke2-a]", "rke2-a is in core and in vsphere"),
        (", reason: because", "", "components[0]: images[0]: reason must be text"),
        (", reason: because", ", reson: x", "components[0]: images[0]: unknown key 'reson'"),
        ("    base: {a: 1}", "    base: [a]", "charts.rke2-a: base: expected a mapping"),
        (
            "{more: {b: 2}}",
            "{more: 2}",
            "charts.rke2-a: variant 'more' must be a mapping of values",
        ),
        (
            "{more: {b: 2}}",
            "{default: {}}",
            "charts.rke2-a: variant 'default' must be a mapping of values",
        ),
        ("prime: adds", "prime: maybe", "charts.rke2-a: prime must be one of adds, replaces"),
        ("    prime: adds", "    primes: adds", "charts.rke2-a: unknown key 'primes'"),
        (", reason: an example", "", "charts.rke2-a: ignored[0]: reason must be text"),
        ('">=3.31"', "newest", "charts.rke2-a: derived[0]: not a version range: 'newest'"),
        ('">=3.31"', "3.31", "charts.rke2-a: derived[0]: versions must be text"),
        (TEXT, "- a\n", "expected a mapping"),
        (TEXT, "a: [", "not YAML: line 2, column 1: did not find expected node content"),
    ],
)
def test_what_is_wrong_is_told_with_its_place(old: str, new: str, message: str) -> None:
    assert refusal(old, new).message == f"components.yaml: {message}"


def test_unknown_key_names_the_known_ones() -> None:
    assert refusal("    prime: adds", "    x: y").hint == (
        "choose one of: base, variants, derived, ignored, prime"
    )
