"""Ranges against Helm itself: its template function semverCompare is the oracle."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2pack.errors import ConfigError
from rke2pack.helm import archive
from rke2pack.helm.chart import Chart
from rke2pack.helm.constraint import Constraint, KubeConstraint, Numbers
from rke2pack.helm.render import SdkRenderer

Oracle: TypeAlias = Callable[[Sequence[str], Sequence[str]], list[list[bool]]]
OPERATORS: Final = ["", "=", "!=", ">", "<", ">=", "<=", "~", "^", "~>", "=>", "=<"]
VERSIONS: Final = [
    "1",
    "1.2",
    "1.2.3",
    "0",
    "0.0.0",
    "0.2",
    "0.2.3",
    "0.0.3",
    "0.0",
    "1.x",
    "1.2.x",
    "1.X.x",
    "*",
    "x",
    "1.2.3-0",
    "1.2.3-rc.1",
    "v1.2.3",
    "0.2.x",
    "2.0.0",
    "1.2.0-0",
    "1.2-0",
    "1.*",
    "1.2.3+b1",
]
COMBINED: Final = [
    ">=1.2 <2",
    ">=1.2, <2",
    ">=1.2,<2",
    ">= 1.2 < 1.3 || >=2",
    "1.2 - 2",
    "1.2.3 - 1.3",
    ">= 1.22.0 < 1.33.0",
    ">= 1.23.0-0",
    ">=1.2 || 0.2.x",
    "^1.2 !=1.2.4",
    "  >1  ",
    "1.2.3-rc.1 - 2",
    ">= 1.16.0-0 < 1.27.0-0",
    "~1.2||~0.2",
    "1.x - 2.x",
    "0.2.3 - 1",
    ">1.2.2,<1.2.4",
    "!=1.x",
]
CHECKS: Final = [
    "0.0.1",
    "0.0.3",
    "0.0.4",
    "0.1.0",
    "0.2.0",
    "0.2.3",
    "0.2.9",
    "0.3.0",
    "1.0.0",
    "1.1.9",
    "1.2.0",
    "1.2.2",
    "1.2.3",
    "1.2.4",
    "1.3.0",
    "2.0.0",
    "2.1.0",
    "3.1.0",
    "1.23.0",
    "1.33.0",
    "1.2.3-0",
    "1.2.3-rc.1",
    "1.2.3-rc.2",
    "1.2.3-rc.10",
    "1.2.4-alpha",
    "2.0.0-0",
    "1.2.0-1",
]
GIVEN_NUMBER = st.sampled_from(["0", "1", "2", "10"])
PART = st.one_of(GIVEN_NUMBER, st.sampled_from(["x", "*"]))
PRERELEASE = st.sampled_from(["", "", "", "-0", "-rc.1", "-alpha", "-rc.1.2", "-1a"])
FULL = st.builds("{}.{}.{}{}".format, GIVEN_NUMBER, GIVEN_NUMBER, GIVEN_NUMBER, PRERELEASE)
PARTIAL = st.lists(PART, min_size=1, max_size=3).map(".".join)
COMPARISON = st.builds(
    "{}{}{}".format, st.sampled_from(OPERATORS), st.sampled_from(["", " "]), FULL | PARTIAL
)
CONJUNCTION = st.lists(COMPARISON, min_size=1, max_size=3).map(", ".join)
RANGES = st.lists(CONJUNCTION, min_size=1, max_size=3).map(" || ".join)


@pytest.fixture(scope="session")
def oracle() -> Oracle:
    renderer = SdkRenderer()

    def ask(constraints: Sequence[str], versions: Sequence[str]) -> list[list[bool]]:
        lines = []
        for constraint in constraints:
            calls = (f'(semverCompare {json.dumps(constraint)} "{each}")' for each in versions)
            lines.append(f"{{{{ list {' '.join(calls)} | toJson }}}}\n")
        files = {
            "Chart.yaml": "apiVersion: v2\nname: t\nversion: 1.0.0\n",
            "templates/a.yaml": "".join(lines),
        }
        members = [archive.Member(f"t/{path}", text.encode()) for path, text in files.items()]
        chart = Chart.open(archive.pack(members), name="t", version="1.0.0")
        output = renderer.template(chart, {}, kube_version="v1.32.4")
        return [json.loads(line) for line in output["t/templates/a.yaml"].splitlines()]

    return ask


def split(version: str) -> tuple[Numbers, str]:
    core, _, prerelease = version.partition("-")
    major, minor, patch = map(int, core.split("."))
    return (major, minor, patch), prerelease


def answers(constraint: str, versions: Sequence[str]) -> list[bool]:
    parsed = Constraint.parse(constraint)
    return [parsed.allows(*split(version)) for version in versions]


def test_every_operator_and_form_answers_as_helm_does(oracle: Oracle) -> None:
    constraints = [f"{operator}{v}" for operator in OPERATORS for v in VERSIONS] + COMBINED
    expected = oracle(constraints, CHECKS)
    differing = [
        (constraint, version, "Helm says", theirs)
        for constraint, row in zip(constraints, expected, strict=True)
        for version, theirs, ours in zip(CHECKS, row, answers(constraint, CHECKS), strict=True)
        if theirs != ours
    ]
    assert differing == []


@settings(max_examples=15)
@given(
    constraints=st.lists(RANGES, min_size=10, max_size=30),
    versions=st.lists(FULL, min_size=5, max_size=10),
)
def test_any_range_answers_as_helm_does(
    oracle: Oracle, constraints: list[str], versions: list[str]
) -> None:
    theirs = oracle(constraints, versions)
    ours = [answers(constraint, versions) for constraint in constraints]
    rows = zip(constraints, theirs, ours, strict=True)
    assert [row for row in rows if row[1] != row[2]] == []


@settings(max_examples=50)
@given(RANGES)
def test_constraint_round_trips(text: str) -> None:
    constraint = Constraint.parse(text)
    assert str(constraint) == text
    assert Constraint.parse(str(constraint)) == constraint


@pytest.mark.parametrize(
    "text",
    [
        "abc",
        ">",
        "1.2.3.4",
        ">=1.2 <",
        "1 || abc",
        "1.2.-",
        ">==1",
        "1..2",
        "v",
        "٣",
        "1,,2",
        "1 &2",
        "",
        "  ",
        "1 ||",
        "|| 1",
        ">=1,",
        ">1>2",
        "1 - 2 - 3",
    ],
)
def test_bad_range_is_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError) as caught:
        Constraint.parse(text)
    assert caught.value.message == f"not a version range: {text!r}"
    assert caught.value.hint == "write it like '>=0.2.10 <0.3', '~0.2' or '0.2.x'"


@pytest.mark.parametrize("text", ["1" * 5000, ">=1 " * 1000, "1.2.3-" + "a" * 600])
def test_endless_range_is_refused_at_once(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^not a version range: ") as caught:
        Constraint.parse(text)
    assert len(caught.value.message) < 200


@pytest.mark.parametrize(
    ("text", "kube_version", "expected"),
    [
        (">= 1.22.0 < 1.33.0", "v1.32.4", True),
        (">= 1.22.0 < 1.33.0", "v1.32.4+rke2r1", True),
        (">= 1.22.0 < 1.33.0", "1.33", False),
        (">= v1.32.4", "v1.32.4", True),
        (">= v1.32.4", "v1.32.3", False),
        (">=1.20.0", "v1.32.0-rc.1", False),
        (">=1.20.0-0", "v1.32.0-rc.1", True),
    ],
)
def test_kubernetes_version_lies_in_the_range(
    text: str, kube_version: str, *, expected: bool
) -> None:
    assert KubeConstraint.parse(text).is_satisfied_by(kube_version) is expected


@pytest.mark.parametrize("kube_version", ["", "latest", "v1", "1.x", "v1.32.4 "])
def test_what_is_no_kubernetes_version_is_refused(kube_version: str) -> None:
    with pytest.raises(ConfigError) as caught:
        KubeConstraint.parse("*").is_satisfied_by(kube_version)
    assert caught.value.message == f"not a Kubernetes version: {kube_version!r}"
