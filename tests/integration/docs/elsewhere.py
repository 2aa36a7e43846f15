"""Commands that no page's test can run here: why, and which test shows that they do their work."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Elsewhere:
    """``test`` is FILE::FUNCTION below tests/."""

    reason: str
    test: str


_CI: Final = "integration/workflows/test_ci.py::test_every_tier_is_run"
_LOCKS: Final = "integration/workflows/test_locks.py::"
_IMAGE: Final = "integration/container/test_image.py::"
_TIERS: Final = Elsewhere(reason="runs these very tests, or all checks", test=_CI)
_PROGRAMS: Final = Elsewhere(reason="compiles or downloads for minutes", test=_CI)
_BENCH: Final = Elsewhere(
    reason="measures for minutes, against programs of others",
    test="integration/docs/test_commands.py::test_every_part_of_the_benchmarks_has_its_options",
)
_FUZZ: Final = Elsewhere(
    reason="fuzzes for minutes; the short form is a test",
    test="unit/fuzz/test_targets.py::test_damage_ends_in_one_of_our_errors",
)
_NODE: Final = Elsewhere(
    reason="builds a node, or needs an engine that has it",
    test="kind/test_cluster.py::test_every_chart_ends_as_it_should",
)
_BUILT: Final = Elsewhere(
    reason="builds an image from a base of docker.io",
    test=f"{_IMAGE}test_second_build_has_the_same_layers_to_the_byte",
)

ELSEWHERE: Final = {
    **dict.fromkeys(
        (
            "python3 -m pip install nox && nox -s tests",
            "nox -s tests",
            "nox -s tests -- tests/unit",
            "nox -s tests -- tests/unit tests/contract tests/upstream",
            "nox -s tests -- tests/integration",
            "nox -s integration",
            "nox -s lint",
            "nox -s env",
            "nox -s env lint tests --install-only",
            ".ci/run",
        ),
        _TIERS,
    ),
    **dict.fromkeys(("nox -s containerd", "nox -s containerd wheels", "nox -s wheels"), _PROGRAMS),
    **dict.fromkeys(
        ("nox -s lock", "nox -s lock -- --check"),
        Elsewhere(
            reason="asks the package index",
            test=f"{_LOCKS}test_locks_are_what_their_inputs_ask_for",
        ),
    ),
    "nox -s audit-dependencies": Elsewhere(
        reason="asks the package index for advisories",
        test=f"{_LOCKS}test_known_vulnerabilities_are_asked_for",
    ),
    **dict.fromkeys(
        (
            "nox -s fuzz",
            "python -m tests.fuzz.one TARGET FILE",
            "nox -s fuzz -- --minutes 60",
            "nox -s fuzz -- --minutes 10 tar layer",
        ),
        _FUZZ,
    ),
    **dict.fromkeys(
        (
            "nox -s image",
            "nox -s image -- --build-arg PACKAGES= --tag ci/rke2pack:1",
        ),
        _BUILT,
    ),
    'docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" rke2pack images --check': (
        Elsewhere(
            reason="needs that image",
            test=f"{_IMAGE}test_word_of_the_lab_works_on_a_mounted_tree",
        )
    ),
    **dict.fromkeys(
        (
            "nox -s bench",
            "nox -s bench -- charts --charts-repo DIR",
            "nox -s bench -- airgap --megabytes 850",
            "nox -s bench -- memory --gigabytes N",
            "nox -s bench -- mirror --megabytes 850",
            "nox -s bench -- validate --charts-repo DIR",
        ),
        _BENCH,
    ),
    **dict.fromkeys(
        ("nox -s chaos", "nox -s soak"),
        Elsewhere(
            reason="a campaign of minutes; the short form is a test",
            test="integration/test_chaos.py::test_hurt_runs_leave_what_was_or_what_will_be_and_the_next_one_ends_as_ever",
        ),
    ),
    "nox -s replay": Elsewhere(
        reason="takes minutes and reference data",
        test="upstream/test_replay_checkouts.py"
        "::test_recorded_bumps_give_the_recorded_versions_and_lists_or_prove_why_not",
    ),
    "helm repo add rke2 http://127.0.0.1:5000/charts": Elsewhere(
        reason="needs the server beside it while helm asks",
        test="integration/serving/test_charts.py::test_helm_finds_and_pulls_every_chart",
    ),
    **dict.fromkeys(
        (
            "nox -s kind",
            "nox -s kind-node",
            "docker load --input .nox/kind/node.tar",
            "dockerd --add-runtime node=.../runtime --default-runtime node",
        ),
        _NODE,
    ),
    "nox -s kind -- tests/kind/test_real_charts.py": Elsewhere(
        reason="needs a node and reference data",
        test="kind/test_real_charts.py::test_every_bundled_chart_gets_as_far_as_its_entry_says",
    ),
    **dict.fromkeys(
        ("nox -s kind-program", "nox -s validate -- --level kind --row ROW"),
        Elsewhere(
            reason="builds kind, makes a cluster",
            test="integration/workflows/test_kind.py::test_labelled_change_is_tried_in_a_cluster",
        ),
    ),
}
