"""What a hostile chart's templates can reach: the chart, and nothing of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from rke2pack.errors import PackError, ValidationError
from rke2pack.helm.render import SdkRenderer, render
from tests.unit.helm.charts import chart

SECRET = "canary4f1e0bd29c77"
OBJECT = "apiVersion: v1\nkind: ConfigMap\nmetadata: {{name: it}}\ndata: {{found: '{found}'}}\n"


def found(template: str) -> str:
    files = {"templates/it.yaml": OBJECT.format(found=template)}
    (only,) = render(SdkRenderer(), chart(files), {}, kube_version="v1.32.4")
    return str(only.body["data"]["found"])


@pytest.mark.parametrize(
    "path", ["{file}", "../../../../../../../../../..{file}", "/proc/self/environ"]
)
def test_template_reads_no_file_of_this_machine(path: str, tmp_path: Path) -> None:
    (tmp_path / "it").write_text(SECRET)
    asked = path.format(file=tmp_path / "it")
    assert found(f'{{{{ .Files.Get "{asked}" }}}}') == ""


@pytest.mark.parametrize("function", ['env "HOME"', 'expandenv "$HOME"'])
def test_template_reads_no_variable(function: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", SECRET)
    with pytest.raises(ValidationError) as caught:
        found(f"{{{{ {function} }}}}")
    assert SECRET not in str(vars(caught.value))


def test_template_resolves_no_name() -> None:
    assert found('{{ getHostByName "localhost" }}') == ""


def test_template_asks_no_cluster() -> None:
    assert found('{{ lookup "v1" "Secret" "default" "it" }}') == "map[]"


def test_template_runs_no_program() -> None:
    with pytest.raises(PackError):
        found('{{ exec "touch" "it" }}')
