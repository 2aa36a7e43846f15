"""What reads what we write, as a table at the end of a run (a pytest plugin).

A test that puts a real program before an archive or a registry says so::

    @reads("docker load", ".tar.gz")
    @refuses("ctr images import", ".tar.zst", "reads no compressed tar")

The table says ``yes`` where every such test passed, ``no: why`` where the
program was seen to refuse it, and ``FAILED`` or ``not run`` otherwise. Works
with pytest-xdist: what a test says travels with its report.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pytest

PROPERTY = "compatibility"


def reads(consumer: str, *forms: str) -> pytest.MarkDecorator:
    """Claim that a program reads each form."""
    return pytest.mark.compatibility(consumer, forms, "yes")


def refuses(consumer: str, form: str, why: str) -> pytest.MarkDecorator:
    """Claim that a program is known not to read a form."""
    return pytest.mark.compatibility(consumer, (form,), f"no: {why}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One test's word on a consumer and a form."""

    consumer: str
    form: str
    answer: str
    outcome: str


def pytest_configure(config: pytest.Config) -> None:
    """Name the marker."""
    config.addinivalue_line(
        "markers", "compatibility(consumer, forms, answer): a row of the compatibility table"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let each report carry its test's claims."""
    for item in items:
        for mark in item.iter_markers("compatibility"):
            consumer, forms, answer = mark.args
            item.user_properties += [(PROPERTY, f"{consumer}\t{form}\t{answer}") for form in forms]


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the table where any test of the run has a row in it."""
    claims = list(_claims(terminalreporter))
    if claims:
        terminalreporter.section("compatibility")
        for line in table(claims):
            terminalreporter.write_line(line)


def table(claims: Iterable[Claim]) -> Iterator[str]:
    """Yield a Markdown table: a line for each consumer and form."""
    found: dict[tuple[str, str], list[Claim]] = {}
    for claim in claims:
        found.setdefault((claim.consumer, claim.form), []).append(claim)
    yield "| consumer | what | reads it |"
    yield "| --- | --- | --- |"
    for (consumer, form), own in sorted(found.items()):
        yield f"| {consumer} | `{form}` | {_cell(own)} |"


def _claims(reporter: pytest.TerminalReporter) -> Iterator[Claim]:
    for outcome in ("passed", "failed", "error", "skipped"):
        for report in reporter.stats.get(outcome, ()):
            for name, text in getattr(report, "user_properties", ()):
                if name == PROPERTY:
                    consumer, form, answer = text.split("\t")
                    yield Claim(consumer=consumer, form=form, answer=answer, outcome=outcome)


def _cell(claims: list[Claim]) -> str:
    outcomes = {claim.outcome for claim in claims}
    if outcomes & {"failed", "error"}:
        return "FAILED"
    if outcomes == {"skipped"}:
        return "not run"
    return "; ".join(dict.fromkeys(claim.answer for claim in claims if claim.outcome == "passed"))
