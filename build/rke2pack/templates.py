"""Templates: reports in Markdown, each from the ``report.md.j2`` beside the stage that makes it."""

from __future__ import annotations

from collections.abc import Callable

_NAME = "report.md.j2"


def markdown(package: str, *, code: Callable[[object], str], **values: object) -> str:
    """Render a package's report; ``code`` is the filter that makes a code span of any text.

    A value that the template names and that is not given is an error.
    """
    import jinja2  # noqa: PLC0415 - slow to import, and for reports alone

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=False,  # noqa: S701 - Markdown; what charts say stands in code spans
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["code"] = code
    return environment.get_template(_NAME).render(**values)
