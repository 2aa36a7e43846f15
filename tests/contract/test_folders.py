"""`FolderRepository`: a chart repository that is a folder, and never more than it."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import NoReturn

import pytest

from rke2pack.errors import (
    ConfigError,
    IntegrityError,
    NotFoundError,
    PackError,
    RegistryError,
)
from rke2pack.files import Cache
from rke2pack.helm.repository import Access, open_repository
from tests.contract.simulator import (
    Simulator,
)
from tests.contract.workbench import CHART, Open, chart, chart_archive

ARCHIVE = f"/assets/{CHART}-0.2.1100.tgz"


@pytest.fixture
def folder(simulator: Simulator, archive: bytes, tmp_path: Path) -> Path:
    """What the simulator serves, as a folder whose name needs quoting in an address."""
    folder = tmp_path / "my charts é"
    for path, content in simulator.files.items():
        file = folder / path[1:]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    assert archive
    return folder


def rewrite(folder: Path, **changes: object) -> None:
    index = json.loads((folder / "index.yaml").read_bytes())
    index["entries"][CHART][0] |= changes
    (folder / "index.yaml").write_text(json.dumps(index))


def test_folder_is_opened_by_path_and_by_address(
    folder: Path, archive: bytes, opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "%20" in folder.as_uri()
    monkeypatch.chdir(folder.parent)
    for source in (folder, folder.as_uri(), folder.name, f"{folder.as_uri()}/"):
        repository = opened(source)
        assert chart(repository).data == archive
        assert repository.url == folder.as_uri()
        location = repository.location(repository.index().entries(CHART)[0])
        assert location == folder.as_uri() + ARCHIVE


def test_folder_without_index_is_no_repository(opened: Open, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        opened(tmp_path)
    assert (
        error.value.message == f"{tmp_path}: not a chart repository, there is no index.yaml in it"
    )
    assert "index.yaml" in str(error.value.hint)
    with pytest.raises(PackError, match="File name too long"):
        opened("a" * 5000)


@pytest.mark.parametrize("url", ["../secret.tgz", "assets/../../secret.tgz", "/ABSOLUTE"])
def test_folder_is_not_left_by_name(folder: Path, opened: Open, url: str) -> None:
    secret = folder.parent / "secret.tgz"
    secret.write_bytes(chart_archive())
    url = str(secret) if url == "/ABSOLUTE" else url
    rewrite(folder, urls=[url])
    with pytest.raises(IntegrityError) as error:
        chart(opened(folder))
    assert error.value.message == f"{folder.as_uri()}: the index points outside the folder: {url!r}"


def test_folder_is_not_left_by_symlink(folder: Path, archive: bytes, opened: Open) -> None:
    (folder.parent / "secret.tgz").write_bytes(archive)
    file = folder / ARCHIVE[1:]
    file.unlink()
    file.symlink_to(folder.parent / "secret.tgz")
    with pytest.raises(IntegrityError, match="the index points outside the folder"):
        chart(opened(folder))
    file.unlink()
    file.symlink_to(file)
    with pytest.raises(NotFoundError, match="no such file, although the index of"):
        chart(opened(folder))


def test_archive_that_the_folder_lacks_is_named(folder: Path, opened: Open) -> None:
    (folder / ARCHIVE[1:]).unlink()
    with pytest.raises(NotFoundError) as error:
        chart(opened(folder))
    expected = f"{folder}{ARCHIVE}: no such file, although the index of {folder.as_uri()} names it"
    assert error.value.message == expected


def test_large_index_of_a_folder_is_refused_unread(folder: Path, opened: Open) -> None:
    os.truncate(folder / "index.yaml", 50 * 1024 * 1024)
    with pytest.raises(RegistryError) as error:
        opened(folder).index()
    expected = f"{folder}/index.yaml: larger than the limit of 20971520 bytes"
    assert error.value.message == expected


def test_folder_reads_absolute_urls_through_http(
    folder: Path, simulator: Simulator, archive: bytes, opened: Open
) -> None:
    rewrite(folder, urls=[simulator.url + ARCHIVE])
    with pytest.raises(RegistryError, match="--offline is set"):
        chart(opened(folder, is_offline=True))
    assert chart(opened(folder)).data == archive
    assert simulator.paths == [ARCHIVE]


def test_folder_needs_no_network(folder: Path, archive: bytes, tmp_path: Path) -> None:
    def no_fetcher() -> NoReturn:
        pytest.fail("a folder needs no network")

    access = Access(fetcher=no_fetcher, cache=Cache(tmp_path / "cache"))
    assert chart(open_repository(str(folder), access)).data == archive
