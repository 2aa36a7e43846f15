"""Templates: reports in Markdown and pages in HTML, from templates beside the stage.

Markdown is made from ``report.md.j2``, HTML from ``page.html.j2``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

_NAME = "report.md.j2"
_PAGE = "page.html.j2"


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


def html(package: str, *, filters: Mapping[str, Callable[..., object]], **values: object) -> str:
    """Render a package's page; every value is escaped unless the template says it is safe.

    A value that the template names and that is not given is an error.
    """
    import jinja2  # noqa: PLC0415 - slow to import, and for reports alone

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader(package, "."),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters.update(filters)
    return environment.get_template(_PAGE).render(**values)
