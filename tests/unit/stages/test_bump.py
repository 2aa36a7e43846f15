from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.unit.stages.conftest import (
    Rke2pack,
    chart,
    contents,
    write_repository,
    write_tree,
)

CHART = "harvester-cloud-provider"


def changed(before: dict[str, bytes], after: dict[str, bytes]) -> set[str]:
    return {path for path in before | after if before.get(path) != after.get(path)}


def bundle(root: Path, rke2pack: Rke2pack, repository: Path) -> None:
    """Write manifests and lists of a new tree."""
    for arguments in (["charts", "--references"], ["images"]):
        answer = rke2pack(*arguments, "--tree", root, "--charts-repo", repository)
        assert answer.code == 0, answer.err


def test_the_example_changes_one_version_line_and_one_manifest(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    before = contents(lab_tree)
    answer = rke2pack("bump", CHART, "0.2.10", "--tree", lab_tree, "--charts-repo", lab_charts)
    assert answer.code == 0, answer.err
    after = contents(lab_tree)
    tracked = {path for path in changed(before, after) if not path.startswith("dist/")}
    assert tracked == {"charts-manifest/chart_versions.yaml", f"charts-manifest/{CHART}.yaml"}
    name = "charts-manifest/chart_versions.yaml"
    assert after[name] == before[name].replace(b"version: 0.2.900\n", b"version: 0.2.1000\n")
    assert (
        'values: cloudConfigPath: "/etc/kubernetes/cloud-config" -> '
        '"/var/lib/rancher/rke2/etc/config-files/cloud-provider-config"'
    ) in answer.err
    assert "images of harvester: no change (7 images)" in answer.err


def test_json_has_the_keys_of_the_contract(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    document = rke2pack("bump", CHART, "0.2.10", *where, "--json").json
    assert document["chart"] == CHART
    assert (document["from"], document["to"], document["upstream"]) == (
        "0.2.900",
        "0.2.1000",
        "0.2.10",
    )
    assert document["digest"].startswith("sha256:")
    assert document["source"].endswith(f"assets/{CHART}/{CHART}-0.2.1000.tgz")
    assert document["images"] == {"harvester": {"added": [], "removed": []}}
    assert {"path": "images.txt", "changed": False} in document["files"]
    assert {"values", "rbac", "objects", "crds", "kube_version", "questions"} <= set(
        document["diff"]
    )
    assert document["findings"] == []


def test_new_images_change_only_the_section_of_their_component(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    before = contents(lab_tree)
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    document = rke2pack("bump", CHART, "0.2.11", *where, "--json").json
    assert document["images"]["harvester"] == {
        "added": [
            "docker.io/rancher/harvester-cloud-provider:v0.2.5",
            "docker.io/rancher/mirrored-kube-vip-kube-vip-iptables:v0.9.2",
        ],
        "removed": [
            "docker.io/rancher/harvester-cloud-provider:v0.2.4",
            "docker.io/rancher/mirrored-kube-vip-kube-vip-iptables:v0.8.7",
        ],
    }
    old, new = (c["images.txt"].decode().splitlines() for c in (before, contents(lab_tree)))
    assert [line for line in old if line not in new] == document["images"]["harvester"]["removed"]
    assert [line for line in new if line not in old] == document["images"]["harvester"]["added"]
    arm64 = lab_tree / "dist/images/rke2-images-harvester.linux-arm64.txt"
    assert arm64.read_text().splitlines()[0] == document["images"]["harvester"]["added"][0]
    assert rke2pack("images", "--check", *where).code == 0


def test_dry_run_writes_nothing_and_its_patch_gives_the_same_tree(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    before = contents(lab_tree)
    dry = rke2pack("bump", CHART, "0.2.11", *where, "--dry-run")
    assert dry.code == 0
    assert contents(lab_tree) == before
    patch = tmp_path / "bump.patch"
    patch.write_text(dry.out)
    subprocess.run(["git", "init", "-q", lab_tree], check=True)
    subprocess.run(["git", "-C", lab_tree, "apply", patch], check=True)
    patched = {
        path: data for path, data in contents(lab_tree).items() if not path.startswith(".git/")
    }
    subprocess.run(["git", "-C", lab_tree, "apply", "-R", patch], check=True)
    assert rke2pack("bump", CHART, "0.2.11", *where).code == 0
    for path, data in patched.items():
        assert (lab_tree / path).read_bytes() == data, path


def test_the_bundled_version_is_nothing_to_do(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    before = contents(lab_tree)
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    answer = rke2pack("bump", CHART, "0.2.900", *where)
    assert answer.code == 0
    assert f"{CHART}: 0.2.900 is bundled already, nothing to do\n" in answer.err
    assert contents(lab_tree) == before


def test_a_downgrade_needs_its_flag(lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack) -> None:
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    assert rke2pack("bump", CHART, "0.2.11", *where).code == 0
    refused = rke2pack("bump", CHART, "0.2.10", *where)
    assert refused.code == 3
    assert refused.err.endswith(
        f"error: {CHART}: 0.2.1000 is older than the bundled 0.2.1100\n"
        "hint: pass --allow-downgrade if that is meant\n"
    )
    assert rke2pack("bump", CHART, "0.2.10", "--allow-downgrade", *where).code == 0


def test_several_package_versions_are_named(tmp_path: Path, rke2pack: Rke2pack) -> None:
    repository = write_repository(
        tmp_path / "repo",
        *(chart("a", v, image="x/a:1") for v in ("1.0.000", "1.1.000", "1.1.003")),
    )
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    bundle(tree, rke2pack, repository)
    answer = rke2pack("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository)
    assert (
        "1.1.0 has several packageVersions: 1.1.003 is the newest, others are 1.1.000" in answer.err
    )


@pytest.fixture
def pair(tmp_path: Path, rke2pack: Rke2pack) -> tuple[Path, Path]:
    """A tree with a chart, its -crd chart and a chart of the same package; and its repository."""
    names = ("a", "a-crd", "b")
    repository = write_repository(
        tmp_path / "repo",
        *(
            chart(n, v, image="x/a:1" if n == "a" else "")
            for n in names
            for v in ("1.0.000", "1.1.000")
        ),
        chart("a", "1.2.000"),
    )
    tree = write_tree(tmp_path / "tree", dict.fromkeys(names, "1.0.000"))
    path = tree / "charts-manifest/chart_versions.yaml"
    package = "    filename: /charts/b.yaml\n    package: a\n"
    path.write_text(path.read_text().replace("    filename: /charts/b.yaml\n", package))
    bundle(tree, rke2pack, repository)
    return tree, repository


def versions(tree: Path) -> list[str]:
    text = (tree / "charts-manifest/chart_versions.yaml").read_text()
    return [line.split()[-1] for line in text.splitlines() if "version:" in line]


def test_crd_and_package_companions_move_along(pair: tuple[Path, Path], rke2pack: Rke2pack) -> None:
    tree, repository = pair
    answer = rke2pack("bump", "a", "1.1.0", "--tree", tree, "--charts-repo", repository, "--json")
    assert versions(tree) == ["1.1.000"] * 3
    assert [c["chart"] for c in answer.json["companions"]] == ["a-crd", "b"]


def test_a_crd_chart_takes_its_chart_along(pair: tuple[Path, Path], rke2pack: Rke2pack) -> None:
    tree, repository = pair
    assert rke2pack("bump", "a-crd", "1.1.0", "--tree", tree, "--charts-repo", repository).code == 0
    assert versions(tree) == ["1.1.000"] * 3


def test_only_leaves_companions_where_they_are(pair: tuple[Path, Path], rke2pack: Rke2pack) -> None:
    tree, repository = pair
    where = ("--tree", tree, "--charts-repo", repository)
    assert rke2pack("bump", "a", "1.1.0", "--only", *where).code == 0
    assert versions(tree) == ["1.1.000", "1.0.000", "1.0.000"]


def test_a_companion_without_that_version_stops_the_bump(
    pair: tuple[Path, Path], rke2pack: Rke2pack
) -> None:
    tree, repository = pair
    before = contents(tree)
    answer = rke2pack("bump", "a", "1.2.0", "--tree", tree, "--charts-repo", repository)
    assert answer.code == 3
    assert "error: a-crd: the chart repository has no version 1.2.000\n" in answer.err
    assert "hint: pass --only to leave" in answer.err
    assert contents(tree) == before


def test_a_violated_annotation_is_a_finding_and_the_bump_goes_on(
    tmp_path: Path, rke2pack: Rke2pack
) -> None:
    annotation = {"catalog.cattle.io/kube-version": ">= 1.23.0-0 < 1.27.0-0"}
    repository = write_repository(
        tmp_path / "repo",
        chart("a", "1.0.000", image="x/a:1"),
        chart("a", "1.1.000", image="x/a:2", annotations=annotation),
    )
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    bundle(tree, rke2pack, repository)
    where = ("--tree", tree, "--charts-repo", repository)
    answer = rke2pack("bump", "a", "latest", *where, "--json")
    assert answer.code == 0
    assert answer.json["findings"] == [
        {
            "severity": "warning",
            "check": "kube-version-annotation",
            "subject": "a 1.1.000",
            "expected": "catalog.cattle.io/kube-version that allows v1.32.4",
            "got": ">= 1.23.0-0 < 1.27.0-0",
        }
    ]
    assert answer.json["images"]["core"]["added"] == ["docker.io/x/a:2"]


def test_a_violated_kube_version_stops_the_bump(tmp_path: Path, rke2pack: Rke2pack) -> None:
    repository = write_repository(
        tmp_path / "repo",
        chart("a", "1.0.000", image="x/a:1"),
        chart("a", "1.1.000", image="x/a:2", kubeVersion=">= 1.33.0-0"),
    )
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    bundle(tree, rke2pack, repository)
    before = contents(tree)
    answer = rke2pack("bump", "a", "latest", "--tree", tree, "--charts-repo", repository)
    assert answer.code == 7
    assert "a 1.1.000: needs Kubernetes >= 1.33.0-0, the tree is for v1.32.4" in answer.err
    assert contents(tree) == before


def test_a_list_that_was_stale_before_is_reported(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    path = lab_tree / "images.txt"
    path.write_text(
        path.read_text().replace("harvester-csi-driver:v0.2.2", "harvester-csi-driver:v9")
    )
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    document = rke2pack("bump", CHART, "0.2.10", *where, "--json").json
    assert {f["check"] for f in document["findings"]} == {"stale-list"}
    assert [f["got"] for f in document["findings"]] == ["it was missing", "it was listed"]
    assert "harvester-csi-driver:v0.2.2" in path.read_text()


def test_a_bundled_version_that_nobody_has_is_a_finding(tmp_path: Path, rke2pack: Rke2pack) -> None:
    repository = write_repository(tmp_path / "repo", chart("a", "1.1.000", image="x/a:2"))
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    (tree / "charts-manifest/a.yaml").write_text("# none yet\n")
    where = ("--tree", tree, "--charts-repo", repository)
    answer = rke2pack("bump", "a", "latest", *where, "--json")
    assert answer.code == 0, answer.err
    assert answer.json["diff"] is None
    assert [f["check"] for f in answer.json["findings"]] == ["old-version"]


def test_a_bundled_version_that_does_not_render_can_be_left(
    tmp_path: Path, rke2pack: Rke2pack
) -> None:
    broken = {**chart("a", "1.0.000"), "templates/main.yaml": '{{ fail "not in this form" }}'}
    repository = write_repository(tmp_path / "repo", broken, chart("a", "1.1.000", image="x/a:2"))
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    where = ("--tree", tree, "--charts-repo", repository)
    assert rke2pack("charts", "--references", *where).code == 0
    report = tmp_path / "report.md"
    answer = rke2pack("bump", "a", "latest", *where, "--report", report, "--json")
    assert answer.code == 0, answer.err
    assert [f["check"] for f in answer.json["findings"]] == ["old-version", "old-list"]
    assert "not in this form" in answer.json["findings"][0]["got"]
    assert "cannot be explained: `a 1.0.000 does not render" in report.read_text()


def test_a_report_that_cannot_be_written_stops_the_bump(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    before = contents(lab_tree)
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    nowhere = lab_tree / "images.txt/report.md"
    answer = rke2pack("bump", CHART, "0.2.10", *where, "--report", nowhere)
    assert answer.code == 6
    assert contents(lab_tree) == before


def test_a_long_difference_is_cut_and_verbose_shows_it(tmp_path: Path, rke2pack: Rke2pack) -> None:
    new = chart("a", "1.1.000", image="x/a:1")
    new["values.yaml"] += "".join(f"value{number}: 1\n" for number in range(60))
    repository = write_repository(tmp_path / "repo", chart("a", "1.0.000", image="x/a:1"), new)
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000"})
    bundle(tree, rke2pack, repository)
    where = ("--tree", tree, "--charts-repo", repository, "--dry-run")
    short = rke2pack("bump", "a", "latest", *where)
    assert "  values: ... 54 more\n" in short.err
    assert "  see all with -v or 'rke2pack diff a 1.0.000 1.1.000'\n" in short.err
    assert "value59" not in short.err
    assert "value59" in rke2pack("bump", "a", "latest", *where, "-v").err


def test_the_report_is_pull_request_text(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    report = tmp_path / "report.md"
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    assert rke2pack("bump", CHART, "0.2.11", *where, "--report", report).code == 0
    text = report.read_text()
    assert text.startswith(f"# {CHART} 0.2.900 → 0.2.1100\n")
    assert f"<https://rke2-charts.rancher.io/assets/{CHART}/{CHART}-0.2.1100.tgz>" in text
    assert "| added | `docker.io/rancher/harvester-cloud-provider:v0.2.5` | `" in text
    assert "the default of `cloudConfigPath` moves from `/etc/kubernetes/cloud-config`" in text
    assert "- [ ] " in text
    assert str(tmp_path) not in text


def test_companions_may_leave_out_the_v(tmp_path: Path, rke2pack: Rke2pack) -> None:
    names = {"a": "v1.0.000", "a-crd": "1.0.000"}
    newer = chart("a", "v1.1.000", image="x/a:2"), chart("a-crd", "1.1.000")
    repository = write_repository(
        tmp_path / "repo", *(chart(n, v) for n, v in names.items()), *newer
    )
    tree = write_tree(tmp_path / "tree", names)
    bundle(tree, rke2pack, repository)
    assert rke2pack("bump", "a", "latest", "--tree", tree, "--charts-repo", repository).code == 0
    assert versions(tree) == ["v1.1.000", "1.1.000"]


def crd(name: str) -> str:
    return (
        "apiVersion: apiextensions.k8s.io/v1\nkind: CustomResourceDefinition\n"
        f"metadata:\n  name: {name}\nspec: {{versions: []}}\n"
    )


def test_a_definition_that_no_chart_has_any_more_is_a_finding(
    tmp_path: Path, rke2pack: Rke2pack
) -> None:
    old = {**chart("a", "1.0.000"), "templates/one.yaml": crd("ones.x.io")}
    old["templates/two.yaml"] = crd("twos.x.io")
    other = {**chart("b", "1.0.000"), "crds/two.yaml": crd("twos.x.io")}
    new = chart("a", "1.1.000", image="x/a:2"), chart("a-crd", "1.1.000")
    repository = write_repository(tmp_path / "repo", old, other, *new)
    tree = write_tree(tmp_path / "tree", {"a": "1.0.000", "b": "1.0.000"})
    bundle(tree, rke2pack, repository)
    where = ("--tree", tree, "--charts-repo", repository)
    found = rke2pack("bump", "a", "latest", *where, "--json").json["findings"]
    assert [(each["check"], each["expected"]) for each in found] == [
        ("missing-companion", "a-crd of the same version in chart_versions.yaml"),
        ("removed-crd", "ones.x.io in a bundled chart, as in 1.0.000"),
    ]


def test_zero_removes_a_chart_and_a_version_revives_it(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    before = contents(lab_tree)
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    report = tmp_path / "report.md"
    removal = rke2pack("bump", CHART, "0.0.0", *where, "--json", "--report", report)
    assert removal.code == 0, removal.err
    assert (removal.json["to"], removal.json["digest"]) == ("0.0.0", None)
    assert (
        "docker.io/rancher/harvester-cloud-provider:v0.2.4"
        in (removal.json["images"]["harvester"]["removed"])
    )
    manifest = lab_tree / f"charts-manifest/{CHART}.yaml"
    assert manifest.read_text() == f"# {CHART} has been removed\n"
    assert report.read_text().startswith(f"# {CHART} 0.2.900 → removed\n")
    assert rke2pack("images", "--check", *where).code == 0
    revival = rke2pack("bump", CHART, "0.2.900", *where, "--json")
    assert "revived-chart" in {each["check"] for each in revival.json["findings"]}
    after = contents(lab_tree)
    assert {path: after[path] for path in before} == before


@pytest.mark.parametrize("option", [("--prime",), ("--registry", "x.io"), ("--component", "core")])
def test_options_that_a_bump_has_no_use_for_are_refused(
    option: tuple[str, ...], lab_tree: Path, rke2pack: Rke2pack
) -> None:
    answer = rke2pack("bump", CHART, "0.2.10", "--tree", lab_tree, *option)
    assert answer.code == 2
    assert f"error: No such option '{option[0]}'" in answer.err


def test_a_chart_that_is_not_bundled_is_told_apart(
    tmp_path: Path, lab_tree: Path, rke2pack: Rke2pack
) -> None:
    repository = write_repository(tmp_path / "repo", chart("rke2-other", "1.0.000"))
    where = ("--tree", lab_tree, "--charts-repo", repository)
    typo = rke2pack("bump", "harvester-cloud-provder", "0.2.10", *where)
    assert "hint: did you mean harvester-cloud-provider?" in typo.err
    other = rke2pack("bump", "rke2-other", "latest", *where)
    assert "hint: the chart repository has it; add an entry to chart_versions.yaml" in other.err
    assert (typo.code, other.code) == (2, 2)


def test_a_commit_that_git_refuses_leaves_everything_as_it_was(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    git = ["git", "-C", str(lab_tree)]
    (lab_tree / ".gitignore").write_text("/dist/\n/.rke2pack/\n")
    subprocess.run(["git", "init", "-q", "-b", "main", lab_tree], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    hook = lab_tree / ".git/hooks/pre-commit"
    hook.write_text("#!/bin/sh\necho no such day >&2\nexit 1\n")
    hook.chmod(0o755)
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    answer = rke2pack("bump", CHART, "0.2.11", *where, "--commit", "--branch", "bump")
    assert answer.code == 6
    assert "error: git commit: no such day\n" in answer.err
    shown = subprocess.run(
        [*git, "status", "--porcelain", "--branch"], check=True, capture_output=True, text=True
    )
    assert shown.stdout == "## main\n"
    branches = subprocess.run([*git, "branch"], check=True, capture_output=True, text=True)
    assert branches.stdout == "* main\n"


def test_commit_and_report_name_no_local_folder(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack, tmp_path: Path
) -> None:
    git = ["git", "-C", str(lab_tree)]
    subprocess.run(["git", "init", "-q", "-b", "main", lab_tree], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    report = tmp_path / "report.md"
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    assert rke2pack("bump", CHART, "0.2.11", *where, "--commit", "--report", report).code == 0
    text = subprocess.run([*git, "log", "-1"], check=True, capture_output=True, text=True).stdout
    for each in (text, report.read_text()):
        assert str(lab_charts) not in each
        assert "file:" not in each


def test_options_of_a_commit_need_a_commit(lab_tree: Path, rke2pack: Rke2pack) -> None:
    answer = rke2pack("bump", CHART, "0.2.10", "--tree", lab_tree, "--branch", "b")
    assert answer.code == 2
    assert "--branch, --message and --signoff go with --commit" in answer.err


def test_commit_holds_exactly_the_touched_files(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    git = ["git", "-C", str(lab_tree)]
    (lab_tree / ".gitignore").write_text("/dist/\n/.rke2pack/\n")
    subprocess.run(["git", "init", "-q", "-b", "main", lab_tree], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    (lab_tree / "other.txt").write_text("mine\n")
    subprocess.run([*git, "add", "other.txt"], check=True)
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    answer = rke2pack("bump", CHART, "0.2.10", *where, "--commit", "--branch", "bump", "--signoff")
    assert answer.code == 0, answer.err
    shown = subprocess.run(
        [*git, "show", "--format=%s%n%b", "--name-only", "bump"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    assert shown.startswith(f"{CHART}: bump 0.2.900 to 0.2.1000\n")
    assert "Signed-off-by: " in shown
    assert shown.splitlines()[-2:] == [
        "charts-manifest/chart_versions.yaml",
        f"charts-manifest/{CHART}.yaml",
    ]
    status = subprocess.run(
        [*git, "status", "--porcelain"], check=True, capture_output=True, text=True
    )
    assert status.stdout == "A  other.txt\n"


def test_commit_refuses_files_with_local_changes(
    lab_tree: Path, lab_charts: Path, rke2pack: Rke2pack
) -> None:
    git = ["git", "-C", str(lab_tree)]
    subprocess.run(["git", "init", "-q", "-b", "main", lab_tree], check=True)
    subprocess.run([*git, "add", "."], check=True)
    subprocess.run([*git, "commit", "-qm", "base"], check=True)
    path = lab_tree / "charts-manifest/chart_versions.yaml"
    path.write_text(path.read_text() + "# mine\n")
    before = contents(lab_tree / "charts-manifest")
    where = ("--tree", lab_tree, "--charts-repo", lab_charts)
    answer = rke2pack("bump", CHART, "0.2.10", *where, "--commit")
    assert answer.code == 2
    assert "charts-manifest/chart_versions.yaml: has local changes" in answer.err
    assert contents(lab_tree / "charts-manifest") == before


def test_the_default_repository_that_is_not_reachable_mentions_the_ways_out(
    lab_tree: Path, rke2pack: Rke2pack
) -> None:
    path = lab_tree / "charts-manifest/repositories.yaml"
    path.write_text("repositories:\n- {name: home, url: 'http://127.0.0.1:9'}\n")
    before = contents(lab_tree)
    answer = rke2pack("bump", CHART, "0.2.10", "--tree", lab_tree)
    assert answer.code == 4
    assert "error: http://127.0.0.1:9/index.yaml: not reachable: Connection refused" in answer.err
    for way in ("--lab", "--charts-repo DIR", "--offline"):
        assert way in answer.err
    assert contents(lab_tree) == before
