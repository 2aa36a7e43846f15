from __future__ import annotations

import difflib

import pytest

from rke2pack.errors import ConfigError
from rke2pack.helm.version import ChartVersion
from rke2pack.tree.versions import ChartVersions

TEXT = """# The charts of this release.
charts:
  - version: 1.39.201   # why not
    filename: /charts/rke2-coredns.yaml
    bootstrap: true

  - version: "34.2.002"
    filename: /charts/rke2-traefik.yaml
    bootstrap: false
  - filename: /charts/rke2-traefik-crd.yaml
    version: '34.2.001'
    note: an unknown key
  # between
  - version: v4.2.001
    filename: /charts/rke2-multus.yaml
    takeOwnership: true
    failurePolicy: retry
  - {version: 4.2.100, filename: /charts/rke2-dhcp.yaml, package: rke2-multus}
  - {version: v4.2.001, filename: /charts/rke2-thick.yaml, package: rke2-multus}
  - version: 0.0.0  # gone
    filename: /charts/rke2-gone.yaml
    bootstrap: false
# the end
"""


def parsed(text: str = TEXT) -> ChartVersions:
    return ChartVersions.parse(text, what="chart_versions.yaml")


def refusal(text: str) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        parsed(text)
    return caught.value


def changed(text: str, name: str, version: str) -> list[str]:
    new = parsed(text).with_versions({name: ChartVersion(version)})
    lines = difflib.ndiff(text.splitlines(keepends=True), new.splitlines(keepends=True))
    return [line for line in lines if line[0] in "+-"]


def test_entries_are_read_with_name_package_spec_and_line() -> None:
    found = {chart.name: chart for chart in parsed().charts}
    assert [c.version.text for c in found.values()] == [
        *("1.39.201", "34.2.002", "34.2.001", "v4.2.001", "4.2.100", "v4.2.001", "0.0.0")
    ]
    assert found["rke2-traefik-crd"].package == "rke2-traefik"
    assert found["rke2-dhcp"].package == "rke2-multus"
    assert found["rke2-multus"].spec == {"failurePolicy": "retry", "takeOwnership": True}
    assert found["rke2-coredns"].bootstrap
    assert not found["rke2-multus"].bootstrap
    assert found["rke2-traefik-crd"].line == 11
    assert found["rke2-gone"].version.is_removed
    assert parsed().get("rke2-none") is None


@pytest.mark.parametrize(
    ("name", "version", "old", "new"),
    [
        ("rke2-coredns", "1.39.300", "1.39.201   # why not", "1.39.300   # why not"),
        ("rke2-traefik", "34.3.000", '"34.2.002"', '"34.3.000"'),
        ("rke2-multus", "v3.1908", "v4.2.001", "v3.1908"),
        ("rke2-multus", "3.1908", "v4.2.001", '"3.1908"'),
    ],
)
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_diff_is_the_version_line_alone(
    name: str, version: str, old: str, new: str, end: str
) -> None:
    text = TEXT.replace("\n", end)
    assert changed(text, name, version) == [
        f"-   - version: {old}{end}",
        f"+   - version: {new}{end}",
    ]


def test_version_behind_other_keys_and_in_flow_style_is_replaced() -> None:
    assert changed(TEXT, "rke2-traefik-crd", "34.3.000") == [
        "-     version: '34.2.001'\n",
        "+     version: '34.3.000'\n",
    ]
    assert changed(TEXT, "rke2-dhcp", "4.2.200")[1] == (
        "+   - {version: 4.2.200, filename: /charts/rke2-dhcp.yaml, package: rke2-multus}\n"
    )


def test_same_versions_change_nothing() -> None:
    same = {chart.name: chart.version for chart in parsed().charts}
    assert parsed().with_versions(same) == TEXT
    assert parsed().with_versions({}) == TEXT


@pytest.mark.parametrize(
    ("name", "companions"),
    [
        ("rke2-traefik", ["rke2-traefik-crd"]),
        ("rke2-traefik-crd", ["rke2-traefik"]),
        ("rke2-multus", ["rke2-thick"]),
        ("rke2-thick", ["rke2-multus"]),
        ("rke2-dhcp", []),
        ("rke2-coredns", []),
        ("rke2-none", []),
    ],
)
def test_crd_charts_and_equal_versions_of_a_package_move_together(
    name: str, companions: list[str]
) -> None:
    assert [chart.name for chart in parsed().companions(name)] == companions


def test_removed_chart_is_no_companion() -> None:
    text = TEXT.replace("/charts/rke2-gone.yaml", "/charts/rke2-coredns-crd.yaml")
    assert parsed(text).companions("rke2-coredns") == ()


ONE = "charts:\n  - version: {}\n    filename: /charts/a.yaml\n"


@pytest.mark.parametrize("written", ["1.10", "12", "1_0", "0x1f", "1e3", "yes", "2025-01-01"])
def test_version_that_yaml_reads_as_no_text_is_refused(written: str) -> None:
    error = refusal(ONE.format(written))
    assert error.message == (
        f"chart_versions.yaml: line 2: version {written} is a number for YAML tools, not text"
    )
    assert error.hint == f'write it in quotes: "{written}"'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            ONE.format("1.0.0") + "\tbootstrap: true\n",
            "line 4: found character '\\t' that cannot start any token",
        ),
        (
            ONE.format("1.0.0") + "    version: 1.0.1\n",
            'line 4: found duplicate key "version" with value "1.0.1" (original value: "1.0.0")',
        ),
        (
            ONE.format("1.0.0") + "  - version: 1.0.1\n    filename: /charts/a.yaml\n",
            "line 4: a stands already in line 2",
        ),
        (ONE.format("newest"), "line 2: not a chart version: 'newest'"),
        (ONE.format("1.0.0 1"), "line 2: charts.0.version is not a one-line scalar"),
        (ONE.format("&v 1.0.0"), "line 2: charts.0.version is not a one-line scalar"),
        (
            ONE.format("1.0.0") + "    bootstrap: 'yes'\n",
            "line 2: bootstrap is 'yes', expected true or false",
        ),
        ("charts:\n  - version: 1.0.0\n", "entry 1: needs version and filename"),
        ("charts:\n  - text\n", "entry 1: needs version and filename"),
        ("charts: 5\n", "there is no list 'charts'"),
        ("other: 5\n", "there is no list 'charts'"),
        ("- a\n", "expected a mapping"),
    ],
)
def test_wrong_file_is_told_with_its_line(text: str, message: str) -> None:
    assert refusal(text).message == f"chart_versions.yaml: {message}"


def test_all_wrong_entries_are_told_at_once() -> None:
    text = ONE.format("1.10") + "  - version: x\n    filename: b.yaml\n  - {}\n"
    error = refusal(text)
    assert error.message == "chart_versions.yaml: 3 entries are wrong"
    assert error.details == (
        "chart_versions.yaml: line 2: version 1.10 is a number for YAML tools, not text",
        "chart_versions.yaml: line 4: not a chart version: 'x'",
        "chart_versions.yaml: entry 3: needs version and filename",
    )


def test_anchors_elsewhere_do_not_disturb() -> None:
    text = "x: &d {bootstrap: true}\n" + ONE.format("1.0.000") + "    <<: *d\n"
    assert parsed(text).charts[0].bootstrap
    assert changed(text, "a", "1.0.001") == ["-   - version: 1.0.000\n", "+   - version: 1.0.001\n"]
