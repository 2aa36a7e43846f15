"""Bad input to ``rke2pack bump``: a clear error, the exit code, and nothing written."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from rke2pack import cli
from rke2pack.digest import Digest
from tests.contract.simulator import (
    Endless,
    Fault,
    Simulator,
    first,
    redirect,
    serving,
    status,
    truncated,
    wrong_bytes,
)
from tests.contract.workbench import CHART, Bump, chart_archive, content, tar_gz

VERSIONS = "charts-manifest/chart_versions.yaml"
WAYS_OUT = (
    "use --charts-repo DIR or URL for another chart repository, --offline for what is cached, "
    "or --lab for the built-in one"
)


def replace_chart(served: Simulator, data: bytes, *, version: str = "0.2.1100") -> None:
    """Publish other bytes as one version of the chart, with a digest that fits them."""
    index = json.loads(served.files["/index.yaml"])
    (entry,) = (e for e in index["entries"][CHART] if e["version"] == version)
    entry["digest"] = Digest.of(data).hex
    served.files[f"/{entry['urls'][0]}"] = data
    served.publish(index["entries"])


def test_good_input_is_written(bump: Bump) -> None:
    before = content(bump.tree)
    assert f"{CHART}: 0.2.900 -> 0.2.1100" in bump.succeeds()
    after = content(bump.tree)
    changed = {name for name in before | after if before.get(name) != after.get(name)}
    tracked = {name for name in changed if not name.startswith("dist/")}
    assert tracked == {VERSIONS, f"charts-manifest/{CHART}.yaml", "images.txt"}
    assert not [name for name in after if "tmp" in name or "journal" in name]
    assert "nothing to do" in bump.succeeds()


# ---- what is asked for


def test_chart_that_the_tree_lacks(bump: Bump) -> None:
    error = bump.fails(
        2,
        "zzz: the tree bundles no such chart",
        *("zzz", "1.0.0"),
        hint="choose one of: " + ", ".join(names(bump.tree)),
    )
    assert error["kind"] == "ConfigError"


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("harvester-cloud-providr", "harvester-cloud-provider"),
        ("harvester", "harvester-cloud-provider or harvester-csi-driver"),
        ("coredns", "rke2-coredns"),
        ("rke2-cillium", "rke2-cilium"),
    ],
)
def test_chart_whose_name_is_only_half_known(bump: Bump, name: str, meant: str) -> None:
    bump.fails(
        2,
        f"{name}: the tree bundles no such chart",
        *(name, "1.0.0"),
        hint=f"did you mean {meant}?",
    )


def names(tree: Path) -> list[str]:
    text = (tree / VERSIONS).read_text()
    return [line.split("/")[-1][:-5] for line in text.splitlines() if "filename:" in line]


def test_chart_that_the_repository_lacks(bump: Bump, served: Simulator) -> None:
    index = json.loads(served.files["/index.yaml"])
    del index["entries"][CHART]
    served.publish(index["entries"])
    error = bump.fails(
        3,
        f"{CHART}: no such chart in the chart repository",
        hint="did you mean harvester-csi-driver?",
    )
    assert error["kind"] == "ResolutionError"


@pytest.mark.parametrize("version", ["9.9.9", "0.2.77", ">=1 <2"])
def test_version_that_the_repository_lacks(bump: Bump, version: str) -> None:
    error = bump.fails(
        3,
        f"{CHART}: no version matches '{version}'; nearest: 0.2.1100 (upstream 0.2.11), "
        "0.2.1000 (upstream 0.2.10), 0.2.900 (upstream 0.2.9)",
        *(CHART, version),
        hint="choose one of these, or 'latest'",
    )
    assert error["kind"] == "ResolutionError"


def test_downgrade_is_refused(bump: Bump) -> None:
    bump.succeeds()
    bump.fails(
        3,
        f"{CHART}: 0.2.1000 is older than the bundled 0.2.1100",
        *(CHART, "0.2.1000"),
        hint="pass --allow-downgrade if that is meant",
    )
    bump.succeeds(CHART, "0.2.1000", "--allow-downgrade")


# ---- the chart repository


@pytest.mark.usefixtures("impatient")
def test_repository_that_nobody_serves(bump: Bump) -> None:
    with serving() as gone:
        pass
    bump.source = gone.url
    error = bump.fails(
        4, f"{gone.url}/index.yaml: not reachable: Connection refused", hint=WAYS_OUT
    )
    assert error["kind"] == "RegistryError"


@pytest.mark.parametrize(
    ("fault", "message", "hint"),
    [
        (status(404), "404 Not Found", WAYS_OUT),
        (status(500), "500 Internal Server Error", WAYS_OUT),
        (status(429), "429 Too Many Requests", WAYS_OUT),
        (status(401), "401 Unauthorized", "check the credentials in netrc or in the address"),
        (
            redirect("/index.yaml"),
            "more than 5 redirects",
            "check the address of the chart repository",
        ),
        (
            Endless(),
            "larger than the limit of 20971520 bytes",
            "check that the address is a chart repository",
        ),
    ],
    ids=["404", "500", "429", "401", "redirect-loop", "large"],
)
@pytest.mark.usefixtures("impatient")
def test_index_that_does_not_come(
    bump: Bump, served: Simulator, fault: Fault, message: str, hint: str
) -> None:
    served.faults["/index.yaml"] = fault
    bump.fails(4, f"{served.url}/index.yaml: {message}", hint=hint)


@pytest.mark.usefixtures("impatient")
def test_truncated_index(bump: Bump, served: Simulator) -> None:
    served.faults["/index.yaml"] = truncated
    size = len(served.files["/index.yaml"])
    reason = f"IncompleteRead({size} bytes read, 100 more expected)"
    bump.fails(4, f"{served.url}/index.yaml: the answer broke off: {reason}", hint=WAYS_OUT)


@pytest.mark.usefixtures("impatient")
def test_passing_trouble_is_no_error(bump: Bump, served: Simulator) -> None:
    for path in served.files:
        served.faults[path] = first(2, status(503))
    assert f"{CHART}: 0.2.900 -> 0.2.1100" in bump.succeeds()


def test_index_that_is_not_yaml(bump: Bump, served: Simulator) -> None:
    served.files["/index.yaml"] = b"<!DOCTYPE html>\n<p>\tHello: you: there\n"
    where = f"{served.url}/index.yaml"
    bump.fails(
        7, f"{where}: not YAML: line 2, column 10: mapping values are not allowed in this context"
    )


def test_index_without_entries(bump: Bump, served: Simulator) -> None:
    served.files["/index.yaml"] = b"apiVersion: v1\n"
    bump.fails(7, f"{served.url}/index.yaml: not a chart index, it has no 'entries'")


def test_folder_without_index(bump: Bump, tmp_path: Path) -> None:
    bump.source = str(tmp_path)
    bump.fails(
        2,
        f"{tmp_path}: not a chart repository, there is no index.yaml in it",
        hint="name a folder that has index.yaml, an http(s) address, "
        "or a name of repositories.yaml",
    )


def test_large_index_in_a_folder(bump: Bump, charts: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(charts, tmp_path / "large"))
    os.truncate(folder / "index.yaml", 50 * 1024 * 1024)
    bump.source = str(folder)
    bump.fails(
        4,
        f"{folder}/index.yaml: larger than the limit of 20971520 bytes",
        hint="check that the folder is a chart repository",
    )


# ---- the archive

ARCHIVE = f"/assets/{CHART}/{CHART}-0.2.1100.tgz"
AGAIN = "fetch it again; if it stays, the source was changed or damaged"


def test_archive_with_another_digest(bump: Bump, served: Simulator) -> None:
    served.faults[ARCHIVE] = wrong_bytes
    data = served.files[ARCHIVE]
    got, want = Digest.of(bytes([data[0] ^ 1]) + data[1:]), Digest.of(data)
    source = f"{CHART} 0.2.1100 from {served.url}{ARCHIVE}"
    error = bump.fails(5, f"{source}: content is {got}, expected {want}", hint=AGAIN)
    assert error["kind"] == "IntegrityError"
    assert served.paths.count(ARCHIVE) == 2


@pytest.mark.usefixtures("impatient")
def test_archive_that_breaks_off(bump: Bump, served: Simulator) -> None:
    served.faults[ARCHIVE] = truncated
    size = len(served.files[ARCHIVE])
    reason = f"IncompleteRead({size} bytes read, 100 more expected)"
    bump.fails(4, f"{served.url}{ARCHIVE}: the answer broke off: {reason}")


def test_archive_that_is_gone(bump: Bump, served: Simulator) -> None:
    del served.files[ARCHIVE]
    bump.fails(
        4, f"{served.url}{ARCHIVE}: 404 Not Found", hint="check the address of the chart repository"
    )


def link(kind: bytes) -> tarfile.TarInfo:
    info = tarfile.TarInfo(f"{CHART}/values.yaml")
    info.type, info.linkname = kind, "/etc/passwd"
    return info


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"PK\x03\x04", "not gzip"),
        (b"", "not gzip"),
        (tar_gz((f"{CHART}/../../x", b"")), f"'{CHART}/../../x' points outside the chart"),
        (tar_gz(("../x", b"")), "'../x' points outside the chart"),
        (tar_gz(("/etc/x", b"")), "'/etc/x' points outside the chart"),
        (tar_gz(("other/a", b"")), f"'other/a' is outside the chart's folder '{CHART}/'"),
        (
            tar_gz(link(tarfile.SYMTYPE)),
            f"'{CHART}/values.yaml' is a link, a device or sparse, a chart holds only plain files",
        ),
        (
            tar_gz(link(tarfile.LNKTYPE)),
            f"'{CHART}/values.yaml' is a link, a device or sparse, a chart holds only plain files",
        ),
        (
            tar_gz(link(tarfile.FIFOTYPE)),
            f"'{CHART}/values.yaml' is a link, a device or sparse, a chart holds only plain files",
        ),
        (tar_gz(), "the archive is empty"),
        (tar_gz((f"{CHART}/values.yaml", b"")), "the archive has no Chart.yaml"),
        (chart_archive(version="0.2.1200"), "Chart.yaml says version '0.2.1200'"),
        (chart_archive(Chart_yaml="name: other\n"), "Chart.yaml says name 'other'"),
        (chart_archive(Chart_yaml=f"name: {CHART}\n"), "Chart.yaml says version None"),
    ],
)  # fmt: skip
def test_archive_that_is_no_chart(bump: Bump, served: Simulator, data: bytes, message: str) -> None:
    replace_chart(served, data)
    error = bump.fails(5, f"{CHART} 0.2.1100: {message}")
    assert error["kind"] == "IntegrityError"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML: line 2, column 1: did not find expected node content"),
        ("- a\n", "expected a mapping"),
    ],
)
def test_chart_yaml_that_cannot_be_read(
    bump: Bump, served: Simulator, text: str, message: str
) -> None:
    replace_chart(served, chart_archive(Chart_yaml=text))
    bump.fails(7, f"{CHART} 0.2.1100: Chart.yaml: {message}")


def test_bomb_of_ten_gigabytes(bump: Bump, served: Simulator) -> None:
    replace_chart(served, bomb(10 << 30))
    bump.fails(5, f"{CHART} 0.2.1100: unpacks to more than 134217728 bytes")


def bomb(size: int) -> bytes:
    """Return gzip of ``size`` zeros, in members of 64 MiB, in a moment."""
    part = 64 << 20
    return gzip.compress(bytes(part), 9) * (size // part)


# ---- the chart


def test_chart_that_does_not_render(bump: Bump, served: Simulator) -> None:
    template = 'a: b\nc: {{ required "set cloudConfigPath" .Values.absent }}\n'
    data = chart_archive(**{"templates/a.yaml": template})
    replace_chart(served, data)
    options = ["--tree", str(bump.tree), "--charts-repo", bump.source]
    options += ["--cache-dir", str(bump.cache)]
    before = content(bump.tree)
    assert cli.run(["bump", *options, CHART, "0.2.1100"]) == 7
    shown = bump.capsys.readouterr().err
    assert f"error: {CHART} 0.2.1100" in shown
    assert f"{CHART}/templates/a.yaml:2:6" in shown
    assert "set cloudConfigPath" in shown
    assert content(bump.tree) == before


def test_chart_for_another_kubernetes(bump: Bump, served: Simulator) -> None:
    text = f"name: {CHART}\nversion: 0.2.1100\nkubeVersion: '>=1.99.0'\n"
    replace_chart(served, chart_archive(Chart_yaml=text))
    bump.fails(
        7,
        f"{CHART} 0.2.1100: needs Kubernetes >=1.99.0, the tree is for v1.32.4",
        hint="choose a chart version made for this Kubernetes version",
    )


# ---- chart_versions.yaml


def rewrite(tree: Path, change: Callable[[str], str]) -> str:
    path = tree / VERSIONS
    text = change(path.read_bytes().decode())
    path.write_bytes(text.encode())
    return text


def test_duplicate_chart(bump: Bump) -> None:
    entry = f"  - version: 0.2.1000\n    filename: /charts/{CHART}.yaml\n"
    text = rewrite(bump.tree, lambda text: text + entry)
    first_line = 1 + next(
        number for number, line in enumerate(text.splitlines()) if "version: 0.2.900" in line
    )
    last_line = len(text.splitlines()) - 1
    bump.fails(
        2,
        f"{bump.tree}/{VERSIONS}: line {last_line}: {CHART} stands already in line {first_line}",
        hint="remove one of the two entries",
    )


def test_duplicate_key(bump: Bump) -> None:
    rewrite(bump.tree, lambda text: text.replace("0.2.900\n", "0.2.900\n    version: 0.2.900\n"))
    line = line_of(bump.tree, "0.2.900") + 1
    bump.fails(
        2,
        f"{bump.tree}/{VERSIONS}: line {line}: "
        'found duplicate key "version" with value "0.2.900" (original value: "0.2.900")',
    )


def line_of(tree: Path, part: str) -> int:
    lines = (tree / VERSIONS).read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if part in line)


@pytest.mark.parametrize("version", ["0.2", "1e3", "12"])
def test_version_that_is_a_number(bump: Bump, version: str) -> None:
    rewrite(bump.tree, lambda text: text.replace("0.2.900", version))
    line = line_of(bump.tree, f"version: {version}\n".strip())
    bump.fails(
        2,
        f"{bump.tree}/{VERSIONS}: line {line}: "
        f"version {version} is a number for YAML tools, not text",
        hint=f'write it in quotes: "{version}"',
    )


def test_tabs(bump: Bump) -> None:
    rewrite(bump.tree, lambda text: text.replace("  - version: 0.2.900", "\t- version: 0.2.900"))
    line = line_of(bump.tree, "\t- version")
    bump.fails(
        2,
        f"{bump.tree}/{VERSIONS}: line {line}: found character '\\t' that cannot start any token",
    )


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("0.2.900\n", "0.2.900\n    reviewed: {by: Ann}\n"),
        lambda text: text.replace("version: 0.2.900\n", 'version: "0.2.900"  # kept\n'),
        lambda text: text.replace("version: 0.2.900\n", "version: '0.2.900'\n"),
        lambda text: text.removesuffix("\n"),
        lambda text: "---\n" + text + "\n\n# the end\n",
        lambda text: "\ufeff" + text,
    ],
    ids=["crlf", "unknown-key", "quotes", "single-quotes", "no-newline", "document", "bom"],
)
def test_unusual_form_is_kept(bump: Bump, change: Callable[[str], str]) -> None:
    text = rewrite(bump.tree, change)
    bump.succeeds()
    assert (bump.tree / VERSIONS).read_bytes().decode() == text.replace("0.2.900", "0.2.1100")


def test_text_that_is_not_utf8(bump: Bump) -> None:
    (bump.tree / VERSIONS).write_bytes(b"charts: \xff\n")
    bump.fails(2, f"{bump.tree}/{VERSIONS}: not UTF-8 text (byte 8)")


def test_folder_that_is_no_tree(bump: Bump, tmp_path: Path) -> None:
    bump.tree = tmp_path / "none"
    hint = "name the folder of the tree with --tree"
    bump.fails(2, f"{tmp_path}/none: no such folder", hint=hint)
    bump.tree.mkdir()
    bump.fails(2, f"{tmp_path}/none: not a tree, it has no {VERSIONS}", hint=hint)
