"""Pages of `report` in a real browser without a screen, which is given no network."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, sync_playwright

from rke2pack.lists import text
from rke2pack.page.release import PageData
from rke2pack.stages.report import html
from tests.unit.stages import reporting

Missing = Callable[[str, str], NoReturn]
SHOTS = Path(".nox/screenshots")
# The page loads nothing, so there is nothing for axe to load before it looks.
AXE = {"resultTypes": ["violations"], "preload": False, "selectors": False}
NAMES = ("chromium", "chromium-browser", "google-chrome")


@dataclass(kw_only=True)
class Visit:
    """An open page, and what it said and asked for; ``close`` says that this was nothing."""

    page: Page
    folder: Path
    said: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.said.append(str(error)))
        self.page.on("dialog", lambda dialog: self.said.append(f"dialog {dialog.message}"))
        self.page.on("request", self._request)

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.said.append(message.text)

    def _request(self, request: Request) -> None:
        if not request.url.startswith(("file:", "data:")):
            self.asked.append(request.url)

    def shot(self, name: str, *, whole: bool = False) -> None:
        """Keep a picture for people to look at."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=self.folder / f"{name}.png", full_page=whole)

    def violations(self) -> list[str]:
        """What axe finds wrong, each with the first element that it is wrong of."""
        found: Mapping[str, Any] = Axe().run(self.page, options=AXE).response
        return [
            f"{each['id']}: {each['help']}: {each['nodes'][0]['html'][:200]}"
            for each in found["violations"]
        ]


Open = Callable[..., Visit]


@pytest.fixture(scope="session")
def browser(missing: Missing) -> Iterator[Browser]:
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        missing("chromium", "chromium is not on PATH")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program)
        yield started
        started.close()


@pytest.fixture
def visit(browser: Browser, project: Path) -> Iterator[Open]:
    """Open a page; at the end it must have said nothing and asked no network for anything."""
    visits: list[Visit] = []

    def opened(path: Path, *, anchor: str = "", width: int = 1440, **options: Any) -> Visit:  # noqa: ANN401 - the browser's own
        size = {"width": width, "height": 900}
        context = browser.new_context(viewport=size, reduced_motion="reduce", **options)  # type: ignore[arg-type]
        context.set_default_timeout(10_000)
        found = Visit(page=context.new_page(), folder=project / SHOTS)
        visits.append(found)
        found.watch()
        found.page.goto(f"{path.as_uri()}{anchor}")
        return found

    yield opened
    for each in visits:
        each.page.context.close()
    assert [line for each in visits for line in each.said] == []
    assert [address for each in visits for address in each.asked] == []


@pytest.fixture(scope="session")
def lists(project: Path) -> Mapping[str, tuple[str, ...]]:
    """Every image of RKE2 by component."""
    images = project / "images.txt"
    sections = text.parse(images.read_text(), what=str(images))
    return {each.component: each.references for each in sections}


@pytest.fixture(scope="session")
def data(lists: Mapping[str, tuple[str, ...]]) -> PageData:
    """A page with everything, as large as RKE2."""
    return reporting.page(lists)


@pytest.fixture(scope="session")
def file(data: PageData, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """That page."""
    return _written(data, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="session")
def small_file(
    lists: Mapping[str, tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A page with less of everything: axe looks at each element for itself."""
    few = {component: references[:2] for component, references in lists.items()}
    return _written(reporting.page(few, places=2), tmp_path_factory.mktemp("small"))


def _written(data: PageData, folder: Path) -> Path:
    path = folder / "report.html"
    path.write_text(html.render(data), encoding="utf-8")
    return path
