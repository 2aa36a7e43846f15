"""The page as HTML: one file with its style, its script and its data inside.

The policy in its head allows this very style and script, by their hashes, and
nothing else: no address is asked for anything. Data for the script stands in a
block that no browser runs; all other values are escaped by the template.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any, Final

from rke2pack import templates, wording
from rke2pack.page import chart
from rke2pack.page.release import PageData
from rke2pack.page.treemap import Treemap
from rke2pack.page.validation import Validation
from rke2pack.progress import as_size
from rke2pack.stages.report import rows, summary

COLORS: Final = 10
_PACKAGE: Final = "rke2pack.stages.report"
_SCRIPTS: Final = ("page.js", "table.js", "treemap.js", "matrix.js")
# Without a script nothing stands there that would do nothing.
_PLAIN: Final = ".tools, .mapwrap, .copy, #theme, #map-keys { display: none !important; }"
_ESCAPES: Final = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def render(data: PageData) -> str:
    """Return the page; the same data always makes the same text."""
    style = _source("page.css")
    script = "".join(_source(f"script/{name}") for name in _SCRIPTS)
    colors = {each.name: number % COLORS for number, each in enumerate(data.components)}
    return templates.html(
        _PACKAGE,
        filters={
            "size": as_size,
            "counted": wording.count,
            "digest": short_digest,
            "arch": architecture,
            "tick": tick,
        },
        data=data,
        style=style,
        plain=_PLAIN,
        script=script,
        policy=policy(style, script),
        payload=payload(data, colors),
        tiles=summary.tiles(data),
        scopes=summary.scopes(data),
        image_rows=rows.image_rows(data),
        panels=chart.panels(data.history, colors) if data.history else (),
        chart_size=(chart.WIDTH, chart.HEIGHT),
        colors=colors,
    )


def policy(style: str, script: str) -> str:
    """Return the Content-Security-Policy of a page with this style and script in it."""
    return "; ".join(
        (
            "default-src 'none'",
            f"style-src '{_hash(style)}' '{_hash(_PLAIN)}'",
            f"script-src '{_hash(script)}'",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
        )
    )


def payload(data: PageData, colors: Mapping[str, int]) -> str:
    """Return the script's data as JSON that can stand in an element and cannot end it."""
    treemap = Treemap()
    for scope in data.scopes:
        treemap.add(scope)
    document = {
        "treemap": treemap.to_json() if treemap.scopes else None,
        "colors": dict(colors),
        "validations": [_matrix(each) for each in data.validations],
    }
    text = json.dumps(document, separators=(",", ":"), ensure_ascii=False)
    return text.translate(_ESCAPES)


def short_digest(digest: str) -> str:
    """Return the first twelve digits of a digest."""
    return digest.removeprefix("sha256:")[:12]


def architecture(platform: str) -> str:
    """Return a platform without the system where that is Linux."""
    return platform.removeprefix("linux/")


def tick(value: int) -> str:
    """Return a round number of bytes."""
    return as_size(value).replace(".0 ", " ")


def _matrix(found: Validation) -> dict[str, Any]:
    """Return the results with each text once: they say the same over and over."""
    texts: dict[str, int] = {}

    def number(text: str) -> int:
        return texts.setdefault(text, len(texts))

    results = [
        [number(r.check), number(r.column), number(r.subject), number(r.status), number(r.detail)]
        for r in found.results
    ]
    notes = [
        [each["severity"], each["check"], each["subject"], each["expected"], each["got"],
         each.get("reason", "")]
        for each in (*found.findings, *found.explained)
    ]  # fmt: skip
    return {"texts": list(texts), "results": results, "findings": notes}


def _hash(text: str) -> str:
    digest = hashlib.sha256(text.encode()).digest()
    return f"sha256-{base64.b64encode(digest).decode()}"


def _source(name: str) -> str:
    return resources.files(_PACKAGE).joinpath(name).read_text(encoding="utf-8")
