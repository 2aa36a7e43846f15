from __future__ import annotations

import base64
import random
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2pack.digest import Digest
from rke2pack.errors import ConfigError, ValidationError
from rke2pack.helm import archive
from rke2pack.helm.chart import Chart
from rke2pack.helm.manifest import (
    ChartReference,
    bound_archive,
    bound_metadata,
    is_removed,
    removed,
    with_content,
)
from tests.unit.helm.charts import CHART_YAML, chart

DIGEST = Digest("ac7fee164b9c80a3cf7b17e0c0f11aaebefb9372bb4522e4c47023d2ff836131")
URL = "https://charts.example.com/assets/demo/demo-1.0.000.tgz"
REFERENCE = ChartReference(name="demo", version="1.0.000", url=URL, digest=DIGEST, bootstrap=True)
FULL_SPEC = {"takeOwnership": True, "failurePolicy": "retry", "forceConflicts": True}
KUBE_VERSION = "v1.32.4"
BUNDLE = "fleet.cattle.io/bundle-id"
NAME = st.from_regex(r"[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?", fullmatch=True)
SPEC = st.fixed_dictionaries(
    {},
    optional={
        "forceConflicts": st.booleans(),
        "takeOwnership": st.booleans(),
        "failurePolicy": st.sampled_from(["retry", "abort", "reinstall", "yes", "1"]),
    },
)
REFERENCES = st.builds(
    ChartReference,
    name=NAME,
    version=st.sampled_from(["1.0.000", "v3.1908", "010", "1.10", "0.2.1000", "v3.29.3-build1"]),
    url=st.builds("https://example.com/{}/{}.tgz".format, NAME, NAME),
    digest=st.binary().map(Digest.of),
    bootstrap=st.booleans(),
    spec=SPEC,
)


def test_reference_form_is_readable_in_review() -> None:
    assert str(REFERENCE.with_spec(FULL_SPEC)) == (
        "apiVersion: helm.cattle.io/v1\n"
        "kind: HelmChart\n"
        "metadata:\n"
        "  name: demo\n"
        "  namespace: kube-system\n"
        "  annotations:\n"
        f"    rke2pack.io/chart-digest: {DIGEST}\n"
        "spec:\n"
        f"  chart: {URL}\n"
        '  version: "1.0.000"\n'
        "  forceConflicts: true\n"
        "  failurePolicy: retry\n"
        "  bootstrap: true\n"
        "  takeOwnership: true\n"
    )


@settings(max_examples=25)
@given(REFERENCES)
def test_reference_form_round_trips(reference: ChartReference) -> None:
    assert ChartReference.parse(str(reference), what="demo.yaml") == reference


@settings(max_examples=25)
@given(REFERENCES)
def test_reference_form_means_the_same_to_every_yaml_reader(reference: ChartReference) -> None:
    document = yaml.safe_load(str(reference))
    assert document["metadata"]["name"] == reference.name
    assert document["spec"] == {
        "chart": reference.url,
        "version": reference.version,
        "bootstrap": reference.bootstrap,
        **reference.spec,
    }


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        ("  name: demo\n", "", "metadata.name is missing"),
        (f"  chart: {URL}\n", "", "spec.chart is missing"),
        ('  version: "1.0.000"\n', "  version:\n", "spec.version is missing"),
        ("  bootstrap: true\n", "", "spec.bootstrap is missing"),
        ("  name: demo\n", "  name: [demo]\n", "metadata.name is missing"),
        (
            f"    rke2pack.io/chart-digest: {DIGEST}\n",
            "    a: b\n",
            "metadata.annotations.rke2pack.io/chart-digest is missing",
        ),
        (str(DIGEST), "sha256:abc", "not a sha256 digest: 'sha256:abc'"),
        (str(REFERENCE), "text", "metadata.annotations.rke2pack.io/chart-digest is missing"),
        (str(REFERENCE), "", "metadata.annotations.rke2pack.io/chart-digest is missing"),
    ],
)
def test_what_is_missing_in_a_reference_is_named(old: str, new: str, reason: str) -> None:
    with pytest.raises(ConfigError) as caught:
        ChartReference.parse(str(REFERENCE).replace(old, new), what="demo.yaml")
    assert caught.value.message == f"demo.yaml: not a HelmChart in reference form, {reason}"
    assert caught.value.hint == "write it anew with 'rke2pack bump CHART VERSION'"


def test_reference_that_is_no_yaml_is_a_config_error() -> None:
    with pytest.raises(ConfigError, match=r"^demo\.yaml: not YAML: line 1, column 1: "):
        ChartReference.parse("\t", what="demo.yaml")


def test_removed_chart_leaves_a_comment() -> None:
    assert removed("rke2-x") == "# rke2-x has been removed\n"
    assert is_removed(removed("rke2-x"))
    assert is_removed("\n# a\n\n")
    assert not is_removed(str(REFERENCE))


def content_form(found: Chart, spec: dict[str, Any] | None = None) -> str:
    return with_content(found, REFERENCE.with_spec(spec or {}), kube_version=KUBE_VERSION)


def test_content_form_has_upstreams_keys_in_upstreams_order() -> None:
    found = chart({"templates/a.yaml": "kind: X\n"})
    content = base64.b64encode(bound_archive(found, kube_version=KUBE_VERSION)).decode()
    assert content_form(found, FULL_SPEC) == (
        "apiVersion: helm.cattle.io/v1\n"
        "kind: HelmChart\n"
        "metadata:\n"
        '  name: "demo"\n'
        '  namespace: "kube-system"\n'
        "  annotations:\n"
        f'    helm.cattle.io/chart-url: "{URL}"\n'
        '    rke2.cattle.io/inject-cluster-config: "true"\n'
        "spec:\n"
        "  forceConflicts: true\n"
        "  failurePolicy: retry\n"
        "  bootstrap: true\n"
        "  takeOwnership: true\n"
        f"  chartContent: {content}\n"
    )


def test_release_line_without_spec_keys_gets_none() -> None:
    document = yaml.safe_load(content_form(chart({})))
    assert list(document["spec"]) == ["bootstrap", "chartContent"]


def test_content_is_the_chart_with_only_chart_yaml_altered() -> None:
    found = chart({"values.yaml": "a: 1\n", "templates/b.yaml": "x", "README.md": "é"})
    document = yaml.safe_load(content_form(found))
    data = base64.b64decode(document["spec"]["chartContent"], validate=True)
    built = Chart.open(data, name="demo", version="1.0.000")
    assert list(built.files) == list(found.files)
    altered = [path for path in found.files if built.files[path] != found.files[path]]
    assert altered == ["Chart.yaml"]
    assert built.kube_version == ">= v1.32.4"
    assert built.annotations == {BUNDLE: "rke2"}


def test_content_is_the_same_bytes_every_time() -> None:
    files = {f"templates/{n}.yaml": f"n: {n}\n" * 50 for n in range(20)}
    first, second = content_form(chart(files)), content_form(chart(files))
    assert first == second


def test_content_that_would_not_fit_a_config_map_is_refused() -> None:
    noise = random.Random(0).randbytes(800_000)  # noqa: S311 - only bytes that do not compress
    members = [archive.Member("demo/Chart.yaml", CHART_YAML.encode())]
    data = archive.pack([*members, archive.Member("demo/big", noise)])
    found = Chart.open(data, name="demo", version="1.0.000")
    size = len(base64.b64encode(bound_archive(found, kube_version=KUBE_VERSION)))
    with pytest.raises(ValidationError) as caught:
        content_form(found)
    assert caught.value.message == (
        f"demo 1.0.000: chartContent would be {size} characters, "
        "a ConfigMap holds fewer than 1048576"
    )
    assert caught.value.hint == "split the chart's CRDs into a -crd chart of their own"


def bound(text: str) -> str:
    return bound_metadata(chart({"Chart.yaml": text}), kube_version=KUBE_VERSION)


HEAD = "name: demo\nversion: 1.0.000\n"
ODD_FORMS = {
    "plain": HEAD,
    "no last newline": HEAD.rstrip(),
    "crlf": (HEAD + "annotations:\n  a: b\nkubeVersion: '>=1'\n").replace("\n", "\r\n"),
    "bom": "\ufeff" + HEAD,
    "document start": "---\n" + HEAD,
    "comments": f"# top\n{HEAD}# middle\nannotations:\n  # inside\n  a: b # behind\n# end\n",
    "kubeVersion": f"kubeVersion: '>= 1.20'\n{HEAD}",
    "kubeVersion in quotes": f"'kubeVersion': x\n{HEAD}\"annotations\" :\n  a: b\n",
    "kubeVersion over lines": f"kubeVersion: >-\n  >= 1.20\n  < 1.33\n{HEAD}",
    "annotations empty": f"annotations: {{}}\n{HEAD}",
    "annotations null": f"annotations: null\n{HEAD}",
    "annotations missing value": f"{HEAD}annotations:\n",
    "annotations deep indent": f"annotations:\n      a: b\n{HEAD}",
    "annotations block scalar": f"{HEAD}annotations:\n  a: |\n    - x\n\n    - y\n  b: c\n",
    "bundle-id there": f"{HEAD}annotations:\n  a: b\n  {BUNDLE}: other\n",
    "bundle-id quoted": f"{HEAD}annotations:\n  '{BUNDLE}': other\n  a: b\n",
    "line separator": f'{HEAD}description: "a\u2028b\u0085c\fd"\n'.replace("\f", ""),
    "text with keys": f"{HEAD}description: |\n  kubeVersion: no\n  annotations: no\nhome: x\n",
}


@pytest.mark.parametrize("form", ODD_FORMS)
def test_chart_yaml_is_bound_in_every_form(form: str) -> None:
    text = ODD_FORMS[form]
    before = chart({"Chart.yaml": text}).text_metadata
    altered = bound(text)
    after = chart({"Chart.yaml": altered}).text_metadata
    annotations = before.get("annotations")
    kept = annotations if isinstance(annotations, dict) else {}
    assert after == {
        **before,
        "kubeVersion": ">= v1.32.4",
        "annotations": {**kept, BUNDLE: "rke2"},
    }
    for key in ("kubeVersion", BUNDLE):
        assert sum(line.lstrip(" '\"").startswith(key) for line in altered.splitlines()) == (
            2 if form == "text with keys" and key == "kubeVersion" else 1
        )


def test_binding_changes_nothing_else() -> None:
    text = (
        "# who\nname: demo # is it\nkubeVersion: '>= 1.20'\n# where\nversion: 1.0.000\n"
        "annotations:\n    b: '2'\n    # why\n    a: \"1\"\nkeywords: [x,   y]\n"
    )
    assert bound(text) == (
        "# who\nname: demo # is it\n# where\nversion: 1.0.000\n"
        f"annotations:\n    {BUNDLE}: rke2\n    b: '2'\n    # why\n    a: \"1\"\n"
        "keywords: [x,   y]\n"
        'kubeVersion: ">= v1.32.4"\n'
    )


def test_binding_twice_is_binding_once() -> None:
    once = bound(HEAD + "annotations:\n  a: b\n")
    assert bound(once) == once


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "annotations: {a: b}\n",
        "{name: demo, version: 1.0.000}\n",
        HEAD + "...\n",
        HEAD + "x: &a\n  b: c\nannotations: *a\n",
    ],
    ids=["flow annotations", "flow", "document end", "alias"],
)
def test_form_that_cannot_be_edited_in_place_is_refused(text: str) -> None:
    with pytest.raises(ValidationError) as caught:
        bound(text)
    assert caught.value.message == (
        "demo 1.0.000: Chart.yaml: kubeVersion and annotations cannot be set in this form of YAML"
    )
    assert caught.value.hint == "write Chart.yaml in block style, one key a line"
