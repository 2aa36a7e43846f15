"""Charts that would stop, fill or end the process that renders them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rke2pack.errors import PackError, ToolError, ValidationError
from rke2pack.helm import worker, workers
from rke2pack.helm.archive import Member, pack
from rke2pack.helm.chart import Chart
from rke2pack.helm.render import SdkRenderer

CYCLE = '{{ $_ := set .Values "a" .Values }}{{ printf "%v" .Values }}'
BOMB = '{{ range until 40 }}{{ repeat 100000000 "x" }}{{ end }}'
ENDLESS = "{{ range until 100000 }}{{ range until 100000 }}{{ end }}{{ end }}"
LARGE = '{{ repeat 2000 "x" }}'


def chart(template: str) -> Chart:
    metadata = b"apiVersion: v2\nname: demo\nversion: 1.0.0\n"
    members = (
        Member("demo/Chart.yaml", metadata),
        Member("demo/templates/a.yaml", template.encode()),
    )
    return Chart.open(pack(members), name="demo", version="1.0.0")


def template(text: str) -> dict[str, str]:
    return dict(SdkRenderer().template(chart(text), {}, kube_version="v1.32.4"))


@pytest.fixture(autouse=True)
def own_workers() -> Iterator[None]:
    """Workers with this test's limits, for this test alone."""
    workers.end()
    yield
    workers.end()


@pytest.fixture
def limit(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, int], None]:
    return lambda name, value: monkeypatch.setattr(workers, name, value)


def refused(text: str, kind: type[PackError]) -> str:
    with pytest.raises(kind) as caught:
        template(text)
    # The next chart is rendered all the same.
    assert template("a: {{ .Release.Name }}") == {"demo/templates/a.yaml": "a: demo"}
    return str(caught.value)


def test_chart_that_loops_for_ever_is_ended(limit: Callable[[str, int], None]) -> None:
    limit("SECONDS", 2)
    assert refused(ENDLESS, ToolError) == "demo 1.0.0: rendering does not end within 2 s"


def test_chart_that_fills_the_memory_is_ended(limit: Callable[[str, int], None]) -> None:
    limit("MAX_MEMORY", 512 * 1024**2)
    assert refused(BOMB, ToolError).startswith("demo 1.0.0: rendering ended Helm: ")


def test_chart_that_ends_helm_ends_no_more(limit: Callable[[str, int], None]) -> None:
    limit("MAX_MEMORY", 512 * 1024**2)
    assert refused(CYCLE, ToolError).startswith("demo 1.0.0: rendering ended Helm: ")


def test_output_has_a_ceiling(limit: Callable[[str, int], None]) -> None:
    limit("MAX_OUTPUT", 1000)
    said = "demo 1.0.0: renders to 2028 bytes, the limit is 1000"
    assert refused(LARGE, ValidationError) == said


def test_worker_that_was_ended_from_outside_is_told_with_its_signal() -> None:
    template("a: 1")
    (idle,) = workers._idle
    idle.program.kill()
    idle.program.wait()
    with pytest.raises(ToolError, match=r"^demo 1\.0\.0: Helm's process ended with -9: it said no"):
        template("a: 1")
    assert template("a: 1") == {"demo/templates/a.yaml": "a: 1"}


def test_worker_that_cannot_start_says_why(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(worker, "__file__", "/no/such/worker.py")
    with pytest.raises(ToolError, match=r"Helm's process ended with 2: .*No such file"):
        template("a: 1")


def test_workers_are_used_again_and_as_many_as_threads() -> None:
    def one(_: int) -> Any:  # noqa: ANN401 - what pool.map gives
        return template("a: 1")

    with ThreadPoolExecutor(3) as pool:
        assert len(list(pool.map(one, range(30)))) == 30
    first = {found.program.pid for found in workers._idle}
    assert 1 <= len(first) <= 3
    template("a: 1")
    assert {found.program.pid for found in workers._idle} == first


def test_interrupted_question_ends_its_worker(monkeypatch: pytest.MonkeyPatch) -> None:
    template("a: 1")
    (idle,) = workers._idle

    def interrupted(*_: object) -> tuple[bytes, bytes]:
        raise KeyboardInterrupt

    monkeypatch.setattr(workers._Worker, "ask", interrupted)
    with pytest.raises(KeyboardInterrupt):
        template("a: 1")
    assert idle.program.returncode is not None
    assert not workers._idle
