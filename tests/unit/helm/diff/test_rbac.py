from __future__ import annotations

from collections.abc import Callable

import pytest

from rke2pack.helm.diff import ChartDiff

ROLE = """---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}
metadata: {{name: {name}}}
rules: [{rules}]
"""
BINDING = """---
apiVersion: rbac.authorization.k8s.io/v1
kind: {kind}Binding
metadata: {{name: {name}}}
roleRef: {{apiGroup: rbac.authorization.k8s.io, kind: {role}, name: {name}}}
subjects: [{subject}]
"""
SA = "ServiceAccount kube-system/sa"
IN_NAMESPACE = "in namespace kube-system"
VIA = "through ClusterRole r"
ACCOUNT = "{kind: ServiceAccount, name: sa, namespace: kube-system}"


def role(rules: str, kind: str = "ClusterRole", name: str = "r") -> str:
    return ROLE.format(kind=kind, name=name, rules=rules)


def binding(
    kind: str = "Cluster Role", name: str = "r", subject: str = ACCOUNT, refers: str = ""
) -> str:
    kind = kind.replace(" ", "")
    return BINDING.format(kind=kind, name=name, role=refers or kind, subject=subject)


def rule(groups: str, resources: str, verbs: str, names: str = "") -> str:
    named = f", resourceNames: [{names}]" if names else ""
    return f"{{apiGroups: [{groups}], resources: [{resources}], verbs: [{verbs}]{named}}}"


BOUND = binding()
GET_PODS = rule('""', "pods", "get")


@pytest.mark.parametrize(
    ("old", "new", "gained", "lost"),
    [
        pytest.param(
            role(rule('""', "nodes", "get")) + BOUND,
            role(rule('""', "nodes, pods", "update, watch, list, get")) + BOUND,
            (
                f"{SA} may now get, list, watch, update pods (core) {VIA}",
                f"{SA} may now list, watch, update nodes (core) {VIA}",
            ),
            (),
            id="verbs and resources",
        ),
        pytest.param(
            role(GET_PODS) + BOUND,
            role(rule('""', "pods", "list")) + BOUND,
            ("ServiceAccount kube-system/sa may now list pods (core) through ClusterRole r",),
            ("ServiceAccount kube-system/sa may no longer get pods (core) through ClusterRole r",),
            id="gained and lost",
        ),
        pytest.param(
            "",
            role(rule('""', "secrets", "get", "b, a"), "Role") + binding("Role"),
            (f"{SA} may now get secrets (core) named a, b {IN_NAMESPACE} through Role r",),
            (),
            id="named objects in a namespace",
        ),
        pytest.param(
            "",
            role('{nonResourceURLs: ["/metrics", "/x"], verbs: [get]}')
            + binding(subject="{kind: Group, name: 'system:masters'}"),
            ("Group system:masters may now get the URL /metrics, /x through ClusterRole r",),
            (),
            id="URLs",
        ),
        pytest.param(
            role(rule("'*'", "'*'", "'*'")) + BOUND,
            role(rule("apps", "deployments/scale", "get")) + BOUND,
            (),
            (f"{SA} may no longer do everything with everything (every API group) {VIA}",),
            id="a wildcard allowed it before",
        ),
        pytest.param(
            role(GET_PODS) + BOUND,
            role(rule('""', "pods", "get"), "Role") + binding("Role"),
            (),
            ("ServiceAccount kube-system/sa may no longer get pods (core) through ClusterRole r",),
            id="the whole cluster covers a namespace",
        ),
        pytest.param(
            role(GET_PODS),
            role(rule('""', "pods", "get, list")),
            ("ClusterRole r, which no binding of the chart uses, now allows: list pods (core)",),
            (),
            id="a role without binding",
        ),
        pytest.param(
            role(GET_PODS),
            role(GET_PODS) + BOUND,
            ("ServiceAccount kube-system/sa may now get pods (core) through ClusterRole r",),
            (),
            id="a role gets its binding",
        ),
        pytest.param(
            "",
            binding(name="'system:auth-delegator'"),
            (f"{SA} may now do what ClusterRole system:auth-delegator allows",),
            (),
            id="a role outside the chart",
        ),
        pytest.param(
            role(GET_PODS) + BOUND,
            role(GET_PODS, name="q") + binding(name="q"),
            (),
            (),
            id="the same through another role",
        ),
        pytest.param(
            "",
            role(rule('""', "pods", "get")) + binding("Role", refers="ClusterRole"),
            (f"{SA} may now get pods (core) {IN_NAMESPACE} {VIA}",),
            (),
            id="a ClusterRole bound in a namespace",
        ),
    ],
)
def test_rbac_is_said_in_words(
    compare: Callable[..., ChartDiff],
    old: str,
    new: str,
    gained: tuple[str, ...],
    lost: tuple[str, ...],
) -> None:
    found = compare({"templates/a.yaml": old}, {"templates/a.yaml": new})
    assert found.rbac.gained == gained
    assert found.rbac.lost == lost
    assert found.to_json()["rbac"] == {"gained": list(gained), "lost": list(lost)}


def test_an_aggregated_role_has_the_rules_of_what_it_selects(
    compare: Callable[..., ChartDiff],
) -> None:
    aggregated = role("", name="all").replace(
        "rules: []", "aggregationRule: {clusterRoleSelectors: [{matchLabels: {part: 'yes'}}]}"
    ) + binding(name="all")
    part = role(GET_PODS, name="part").replace(
        "{name: part}", "{name: part, labels: {part: 'yes'}}"
    )
    found = compare({"templates/a.yaml": aggregated}, {"templates/a.yaml": aggregated + part})
    assert found.rbac.gained == (
        "ServiceAccount kube-system/sa may now get pods (core) through ClusterRole all",
        "ClusterRole part, which no binding of the chart uses, now allows: get pods (core)",
    )
