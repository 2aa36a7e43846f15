from __future__ import annotations

import pytest

from rke2pack.errors import ConfigError
from rke2pack.validate.objects import MAX_OBJECTS, duplicates
from rke2pack.validate.schemas import MAX_PROBLEMS, Kind, KubeSchemas, minors_with
from tests.unit.validate import objects
from tests.unit.validate.objects import changed, problems

POD = "spec.template.spec"
MAIN = f"{POD}.containers.0"


@pytest.mark.parametrize("kube", ["v1.25.0", "v1.30.13", "v1.31.9", "v1.32.5", "v1.37.1"])
@pytest.mark.parametrize("kind", ["deployment", "service", "job", "role", "definition"])
def test_good_object_has_no_problem(kind: str, kube: str) -> None:
    assert problems(getattr(objects, kind)(), kube) == ()


@pytest.mark.parametrize(
    ("kind", "path", "value", "check"),
    [
        ("deployment", f"{MAIN}.imagePulPolicy", "Always", "schema"),
        ("deployment", f"{MAIN}.command", "sh", "schema"),
        ("deployment", "spec.replicas", "1", "schema"),
        ("deployment", "metadata.labels.a", 1, "schema"),
        ("deployment", "metadata.annotations", {"a": True}, "schema"),
        ("deployment", f"{MAIN}.name", ..., "schema"),
        ("deployment", "spec.template", ..., "schema"),
        ("role", "rules.0.verb", ["get"], "schema"),
        ("deployment", f"{MAIN}.imagePullPolicy", "ifNotPresent", "value"),
        ("deployment", f"{MAIN}.ports.0.protocol", "tcp", "value"),
        ("deployment", f"{MAIN}.ports.0.containerPort", 70000, "value"),
        ("deployment", f"{MAIN}.ports.0.name", "much-too-long-for-a-port", "value"),
        ("deployment", f"{MAIN}.ports.0.name", "8080", "value"),
        ("deployment", f"{MAIN}.ports.0.name", "a--b", "value"),
        ("deployment", f"{MAIN}.name", "Main", "value"),
        ("deployment", f"{MAIN}.env.0.name", "A B", "value"),
        ("deployment", f"{MAIN}.resources.limits.cpu", "1 core", "value"),
        ("deployment", f"{MAIN}.resources.limits.memory", "1GB", "value"),
        ("deployment", "spec.replicas", 2**31, "value"),
        ("deployment", f"{POD}.dnsPolicy", "Cluster", "value"),
        ("deployment", f"{POD}.nodeSelector", {"a b": "c"}, "value"),
        ("deployment", f"{POD}.volumes.0.name", "Data", "value"),
        ("deployment", "metadata.labels", {"a": "x" * 64}, "value"),
        ("deployment", "metadata.labels", {"a/b/c": "d"}, "value"),
        ("deployment", "metadata.labels", {"a": "-b"}, "value"),
        ("deployment", "metadata.annotations", {"a b": "c"}, "value"),
        ("deployment", "metadata.annotations", {"a": "x" * 300_000}, "value"),
        ("deployment", "metadata.annotations", {"helm.sh/hook": "before-install"}, "value"),
        ("deployment", "metadata.annotations", {"helm.sh/hook-delete-policy": "now"}, "value"),
        ("deployment", "metadata.name", "X", "value"),
        ("deployment", "metadata.name", ..., "value"),
        ("deployment", "metadata.name", "x" * 254, "value"),
        ("deployment", "metadata.namespace", "a.b", "value"),
        ("deployment", "metadata", ..., "value"),
        ("service", "metadata.name", "1x", "value"),
        ("service", "spec.type", "Clusterip", "value"),
        ("service", "spec.ports.0.port", 0, "value"),
        ("service", "spec.ipFamilies", ["IPv5"], "value"),
        ("role", "metadata.name", "a/b", "value"),
        ("definition", "spec.scope", "cluster", "value"),
        ("deployment", "spec.selector", {"matchLabels": {"app": "y"}}, "workload"),
        ("deployment", "spec.template.metadata.labels", {}, "workload"),
        ("deployment", "spec.selector", {}, "workload"),
        ("deployment", f"{POD}.restartPolicy", "Never", "workload"),
        ("deployment", f"{MAIN}.volumeMounts.0.name", "other", "workload"),
        ("deployment", f"{MAIN}.resources.requests.cpu", 2, "workload"),
        ("job", f"{POD}.restartPolicy", "Always", "workload"),
        ("job", f"{POD}.restartPolicy", ..., "workload"),
        ("service", "spec.ports.1.name", "http", "workload"),
        ("service", "spec.ports.1.name", ..., "workload"),
        ("service", "spec.ports.1.port", 80, "workload"),
        ("service", "spec.ports", [], "workload"),
        ("service", "spec.type", "ExternalName", "workload"),
        ("deployment", f"{POD}.volumes.1", {"name": "data"}, "workload"),
        ("deployment", f"{POD}.containers.1", {"name": "main"}, "workload"),
        ("deployment", f"{POD}.initContainers", [{"name": "main"}], "workload"),
        (
            "deployment",
            f"{MAIN}.volumeMounts.1",
            {"name": "data", "mountPath": "/data"},
            "workload",
        ),
        ("deployment", f"{MAIN}.ports.1", {"name": "http", "containerPort": 1}, "workload"),
        (
            *("deployment", "spec.selector.matchExpressions"),
            *([{"key": "app", "operator": "NotIn", "values": ["x"]}], "workload"),
        ),
        (
            *("deployment", "spec.selector.matchExpressions"),
            *([{"key": "app", "operator": "DoesNotExist"}], "workload"),
        ),
        (
            *("deployment", "spec.selector.matchExpressions"),
            *([{"key": "b", "operator": "Exists"}], "workload"),
        ),
        ("definition", "metadata.name", "thing.example.com", "crd"),
        ("definition", "spec.group", "Example.com", "crd"),
        ("definition", "spec.versions.1", {"name": "v1", "served": True, "storage": False}, "crd"),
        ("definition", "spec.versions.0.schema.openAPIV3Schema.type", "string", "crd"),
        ("definition", "spec.versions.0.storage", False, "crd"),
        ("definition", "spec.versions.0.name", "One", "crd"),
        ("definition", "spec.versions.0.schema", ..., "crd"),
        ("deployment", "apiVersion", "extensions/v1beta1", "api-version"),
        ("deployment", "apiVersion", "apps/v9", "api-version"),
        ("deployment", "kind", "Deploiment", "api-version"),
        ("deployment", "kind", "", "schema"),
    ],
)
def test_bad_object_is_found_by_the_check_for_it(
    kind: str,
    path: str,
    value: object,
    check: str,
) -> None:
    found = problems(changed(getattr(objects, kind)(), path, value))
    assert check in {problem.check for problem in found}
    assert all(problem.severity == "error" for problem in found)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (f"{MAIN}.imagePullPolicy", ""),  # the API server takes "" for "not set"
        (f"{MAIN}.imagePullPolicy", None),
        (f"{MAIN}.resources.limits.cpu", 0.5),
        (f"{MAIN}.resources.limits.cpu", "1.5e3"),
        (f"{MAIN}.resources.limits.cpu", None),
        (f"{MAIN}.env.0.value", None),
        (f"{MAIN}.ports.0.name", "a1-b2"),
        (f"{POD}.serviceAccountName", ""),
        ("metadata.labels", {"a.b/C_d": ""}),
        ("metadata.annotations", {"helm.sh/hook": "pre-install, post-upgrade"}),
        ("metadata.name", "a.b-c"),
        (
            "spec.selector.matchExpressions",
            [
                {"key": "app", "operator": "In", "values": ["x"]},
                {"key": "app", "operator": "Exists"},
                {"key": "b", "operator": "DoesNotExist"},
                {"key": "b", "operator": "NotIn", "values": ["x"]},
            ],
        ),
    ],
)
def test_unusual_and_valid_value_is_no_problem(path: str, value: object) -> None:
    assert problems(changed(objects.deployment(), path, value)) == ()


def test_problem_names_the_field_and_what_is_allowed() -> None:
    (found,) = problems(changed(objects.deployment(), f"{MAIN}.imagePullPolicy", "always"))
    assert found.subject == "Deployment/x"
    assert found.expected == 'one of "Always", "IfNotPresent", "Never"'
    assert found.got.startswith("spec.template.spec.containers[0].imagePullPolicy: ")


@pytest.mark.parametrize(
    ("api_version", "kind", "kube", "got"),
    [
        ("policy/v1beta1", "PodSecurityPolicy", "v1.30.1", "removed in 1.25, use Pod Security"),
        ("batch/v1beta1", "CronJob", "v1.32.5", "removed in 1.25, use batch/v1"),
        ("flowcontrol.apiserver.k8s.io/v1beta3", "FlowSchema", "v1.32.5", "only 1.26 to 1.31 have"),
        ("autoscaling/v3", "HorizontalPodAutoscaler", "v1.32.5", "which no version of Kubernetes"),
    ],
)
def test_removed_api_version_is_an_error(api_version: str, kind: str, kube: str, got: str) -> None:
    body = {"apiVersion": api_version, "kind": kind, "metadata": {"name": "x"}}
    found = [each for each in problems(body, kube) if each.check == "api-version"]
    assert [each.severity for each in found] == ["error"]
    assert got in found[0].got


def test_api_version_that_is_not_served_by_default_is_a_warning() -> None:
    body = {"apiVersion": "resource.k8s.io/v1beta1", "kind": "DeviceClass", "spec": {}}
    (found,) = problems(body | {"metadata": {"name": "x"}})
    assert (found.check, found.severity) == ("api-version", "warning")
    assert found.got.endswith("which an API server serves only where it is turned on")


def test_api_version_that_a_later_kubernetes_removes_is_a_warning() -> None:
    kind = {"apiVersion": "flowcontrol.apiserver.k8s.io/v1beta3", "kind": "FlowSchema"}
    (found,) = problems(kind | {"metadata": {"name": "x"}}, "v1.30.13")
    assert (found.severity, found.got) == (
        "warning",
        "flowcontrol.apiserver.k8s.io/v1beta3 FlowSchema, removed in 1.32",
    )


def test_secret_keeps_its_values_out_of_messages() -> None:
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "x"}}
    secret |= {"data": {"password": "not base64: hunter2"}, "stringData": {"a": 4711}}
    found = problems(secret)
    assert {each.check for each in found} == {"value", "schema"}
    assert "hunter2" not in str(found)
    assert "4711" not in str(found)


def test_host_port_is_that_of_the_container_on_the_hosts_network() -> None:
    body = changed(objects.deployment(), f"{MAIN}.ports.0.hostPort", 80)
    assert problems(body) == ()
    (found,) = problems(changed(body, f"{POD}.hostNetwork", value=True))
    assert found.check == "workload"


def test_config_map_that_is_too_large_is_a_problem() -> None:
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "x"}}
    assert problems(body | {"data": {"a": "x" * 1000}}) == ()
    (found,) = problems(body | {"data": {"a": "x" * 1_100_000}})
    assert found.expected == "at most 1048576 bytes of data"
    assert {p.check for p in problems(body | {"data": {"a b": "x"}})} == {"value"}


def test_pods_and_services_of_other_forms_are_valid() -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "x-"}}
    pod |= {"spec": {"restartPolicy": "Never", "containers": [{"name": "a", "image": "b:1"}]}}
    assert problems(pod) == ()
    external = changed(objects.service(), "spec", {"type": "ExternalName", "externalName": "a.b"})
    assert problems(external) == ()


def test_list_gives_its_items() -> None:
    bad = changed(objects.service(), "spec.type", "None")
    both = {"apiVersion": "v1", "kind": "List", "items": [objects.deployment(), bad]}
    assert [problem.subject for problem in problems(both)] == ["Service/x"]


def test_text_that_is_no_yaml_is_a_problem() -> None:
    from rke2pack.validate.objects import Checker, Reader  # noqa: PLC0415

    parsed = Reader().read(objects._EMPTY, objects.rendered({}, text="a: b: c"))
    (found,) = Checker(KubeSchemas.of(objects.KUBE)).problems(parsed)
    assert (found.check, found.subject) == ("schema", "t.yaml")


def test_object_with_endless_problems_gives_a_bounded_number() -> None:
    ports = [{"containerPort": "a"} for _ in range(10_000)]
    found = problems(changed(objects.deployment(), f"{MAIN}.ports", ports))
    assert 0 < len([each for each in found if each.check == "schema"]) <= MAX_PROBLEMS


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("spec.replicas", 10**60),
        ("spec.replicas", -(10**60)),
        ("metadata.name", "a" * 500_000),
        (f"{MAIN}.resources.limits.cpu", "1" * 500_000),
        ("metadata.labels", {"a" * 500_000: "x"}),
    ],
)
def test_huge_value_is_a_short_problem(path: str, value: object) -> None:
    found = problems(changed(objects.deployment(), path, value))
    assert found
    assert all(len(str(each.to_json())) < 2_000 for each in found)


def test_list_with_endless_items_is_cut() -> None:
    bad = {"apiVersion": "v1", "kind": "X", "metadata": {"name": "x"}}
    found = problems({"apiVersion": "v1", "kind": "List", "items": [bad] * (MAX_OBJECTS + 10)})
    assert len(found) == MAX_OBJECTS


def test_the_same_object_twice_is_a_duplicate_and_another_namespace_is_not() -> None:
    from rke2pack.validate.objects import Reader  # noqa: PLC0415

    one = objects.deployment()
    other = changed(one, "metadata.namespace", "y")
    read = [Reader().read(objects._EMPTY, objects.rendered(each)) for each in (one, other, one)]
    bodies = [body for each in read for body in each.bodies]
    assert [problem.got for problem in duplicates(bodies)] == ["2 objects"]
    assert list(duplicates(bodies[:2])) == []


def test_unknown_kubernetes_version_is_an_error_with_the_ones_there_are() -> None:
    with pytest.raises(ConfigError, match=r"1\.24: there are no schemas") as caught:
        KubeSchemas.of("v1.24.3")
    assert caught.value.hint is not None
    assert "1.25 to 1." in caught.value.hint
    with pytest.raises(ConfigError, match=r"not a Kubernetes version"):
        KubeSchemas.of("1.x")


def test_custom_group_is_not_kubernetes_own() -> None:
    schemas = KubeSchemas.of(objects.KUBE)
    assert not schemas.is_builtin("snapshot.storage.k8s.io")
    assert not schemas.is_builtin("gateway.networking.k8s.io")
    assert all(map(schemas.is_builtin, ("", "apps", "extensions", "storage.k8s.io")))


def test_kind_with_a_path_names_no_file() -> None:
    assert minors_with(Kind("", "v1", "../../Pod")) == ()
    assert minors_with(Kind("", "v1", "Pod"))[0] == 25
