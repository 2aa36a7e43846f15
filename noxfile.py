# /// script
# dependencies = ["nox>=2025.11.12"]
# ///
"""Every word of rke2pack as a session, and the sessions that develop it."""

from __future__ import annotations

import filecmp
import hashlib
import os
import shutil
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.11.12"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.error_on_external_run = True
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "tests"]

WORDS = {
    "bump": "CHART VERSION: resolve, verify, rewrite versions, manifest and lists, explain it.",
    "propose": "BRANCH...: push what bump --lines made, open pull requests.",
    "audit": "Compare the lists of a rancher/rke2 checkout with what its charts need.",
    "charts": "Build the HelmChart manifests with chartContent into dist/charts/.",
    "images": "Regenerate images.txt and the lists per component and architecture, or --check.",
    "diff": "CHART OLD NEW: what changes between two versions of a chart, and for whom.",
    "pull": "[IMAGE]...: images from registries or the docker engine into the verified store.",
    "mirror": "TARGET [IMAGE]...: images from registries, store or archives to another registry.",
    "airgap": "Build the archives, lists and checksums in dist/artifacts/ from the image store.",
    "plan": "--shards N: the work split by bytes into jobs, for a matrix of GitHub Actions.",
    "merge": "DIR...: what the shards of airgap have made, as one run would have made it.",
    "serve": "[ARCHIVE]...: a read-only registry and chart repository over the store or archives.",
    "delta": "OLD NEW: an archive with only what changed, for nodes that have OLD.",
    "verify": "FILE...: prove archives, release folders and deltas from their own bytes.",
    "release": "TAG: a release in one folder, with SBOM, provenance, signatures; --publish it.",
    "changelog": "FROM TO: what differs between two trees or tags, charts with their meaning.",
    "validate": "Check the bundled charts against every row of the support matrix.",
    "report": "One self-contained HTML page of the release into dist/report.html.",
    "cache": "gc|verify|stats|push|pull: look after the image store, or let it travel.",
    "lab": "Everything on this machine with no network: embedded chart repository, small charts.",
}
ACTIONLINT = "github.com/rhysd/actionlint/cmd/actionlint@v1.7.12"
# Slow tests stand together: who has done the quick ones takes over some of them.
PYTEST = ("pytest", "-n", "2", "--dist", "worksteal")
UV = "uv==0.13.9"
LOCKS = {
    "runtime": ("pyproject.toml", "requirements/build.in"),
    "tests": ("pyproject.toml", "requirements/tests.in", "-c", "requirements/runtime.txt"),
    "lint": ("pyproject.toml", "requirements/lint.in", "-c", "requirements/tests.txt"),
    "helm": ("requirements/helm.in", "--no-deps"),
    "nox": ("requirements/nox.in", "-c", "requirements/tests.txt"),
    "audit": ("requirements/audit.in",),
    "fuzz": ("requirements/fuzz.in",),
}


programs: dict[object, Path] = {}  # of session env, by Python: --force-python makes another


def install(session: nox.Session, *locks: str, then: tuple[str, ...] = ()) -> None:
    """Install locks, the project in place, and run `then`, unless that is what is there."""
    files = [f"requirements/{lock}.txt" for lock in locks]
    locked = ("--require-hashes", "--no-deps", *(part for file in files for part in ("-r", file)))
    editable = ("--no-deps", "--no-build-isolation", "-e", ".")
    state = hashlib.sha256(repr((locked, editable, then)).encode())
    for path in (*files, "pyproject.toml", "build/rke2pack/__init__.py"):
        state.update(Path(path).read_bytes())
    stamp = session.env_dir / "installed.sha256"
    if stamp.is_file() and stamp.read_text(encoding="ascii") == state.hexdigest():
        return
    stamp.unlink(missing_ok=True)
    session.install(*locked, env={"UV_COMPILE_BYTECODE": "1"})  # as pip does; starts quicker
    session.install(*editable)
    if then:
        session.run_install(*then, env={"GOBIN": session.bin, "GOTOOLCHAIN": "local"})
    write = f"import pathlib; pathlib.Path({str(stamp)!r}).write_text({state.hexdigest()!r})"
    session.run_install("python", "-c", write, log=False)


@nox.session(default=False)
def env(session: nox.Session) -> None:
    """Make the one environment in which every word runs; the words do so by themselves."""
    install(session, "runtime")
    programs[session.python] = Path(session.bin) / "rke2pack"


def add_word(word: str, doc: str) -> None:
    """Make a session that runs ``rke2pack WORD`` in the environment that session env has made."""

    def run(session: nox.Session) -> None:
        if session.python not in programs:
            session.error("session env has made no environment")
        # Left alone nox would put stderr into stdout, which is for data.
        session.run(programs[session.python], word, *session.posargs, stderr=sys.stderr)

    run.__doc__ = doc
    nox.session(name=word, venv_backend="none", requires=["env"], default=False)(run)


for _word, _doc in WORDS.items():
    add_word(_word, _doc)


@nox.session
def lint(session: nox.Session) -> None:
    """Check format, rules, types and workflows."""
    install(session, "lint", then=("go", "install", ACTIONLINT))
    session.run("ruff", "format", "--check")
    session.run("ruff", "check")
    session.run("mypy")
    session.run("actionlint")
    session.run("zizmor", "--offline", "--pedantic", ".github", "action.yml")


@nox.session
def tests(session: nox.Session) -> None:
    """Run all tests with coverage, or what the arguments name: nox -s tests -- tests/unit."""
    install(session, "tests", "helm")
    session.run(*PYTEST, *(session.posargs or ("--cov", "--cov-report=term")))


@nox.session(default=False)
def integration(session: nox.Session) -> None:
    """Run the tests with real programs; prints which of them read what (docs/compatibility.md)."""
    install(session, "tests", "helm")
    session.run(*PYTEST, *(session.posargs or ("tests/integration",)))


@nox.session(venv_backend="none", default=False)
def containerd(session: nox.Session) -> None:
    """Build containerd 2 from the Go module proxy, for the tests that import into it."""
    folder = Path(".nox/containerd/bin").absolute()
    made = Path("tests/integration/containerd")
    state = hashlib.sha256((made / "go.sum").read_bytes()).hexdigest()
    stamp = folder / "built.sha256"
    if stamp.is_file() and stamp.read_text(encoding="ascii") == state:
        return
    packages = [f"github.com/containerd/containerd/v2/cmd/{name}" for name in ("containerd", "ctr")]
    options = ("-mod=readonly", "-trimpath", "-tags", "no_btrfs,no_zfs,no_devmapper")
    folder.mkdir(parents=True, exist_ok=True)
    with session.chdir(made):
        session.run("go", "build", *options, "-o", str(folder), *packages, external=True)
    stamp.write_text(state, encoding="ascii")


@nox.session(name="kind-node", venv_backend="none", default=False)
def kind_node(session: nox.Session) -> None:
    """Build a node image for kind into .nox/kind, where kindest/node cannot be pulled."""
    session.run("python3", "-m", "tests.kind.node", external=True)


@nox.session(name="kind-program", venv_backend="none", default=False)
def kind_program(session: nox.Session) -> None:
    """Build kind itself into .nox/kind/bin, in the version that the tests use."""
    session.run("python3", "-m", "tests.kind.node.kindprogram", external=True)


@nox.session(name="kind-rows", venv_backend="none", requires=["env"], default=False)
def kind_rows(session: nox.Session) -> None:
    """Write the rows of the support matrix as one line of JSON, for a matrix of jobs."""
    python = programs[session.python].with_name("python")
    session.run(python, "-m", "tests.kind.rows", stderr=sys.stderr)


@nox.session(venv_backend="none", default=False)
def wheels(session: nox.Session) -> None:
    """Fetch the wheels of the runtime lock into .nox/wheels, for a build without a network."""
    locked = ("--require-hashes", "--requirement", "requirements/runtime.txt")
    folder = ("--only-binary", ":all:", "--dest", ".nox/wheels")
    python = (sys.executable, "-m", "pip", "download", "--quiet", "--no-deps")
    session.run(*python, *locked, *folder, external=True)


@nox.session(venv_backend="none", default=False)
def image(session: nox.Session) -> None:
    """Build the container image rke2pack with docker; arguments go to 'docker build'."""
    epoch = ("git", "log", "-1", "--format=%ct")
    when = str(session.run(*epoch, external=True, silent=True)).strip()
    build = ("docker", "build", "--tag", "rke2pack", "--build-arg", f"SOURCE_DATE_EPOCH={when}")
    session.run(*build, *session.posargs, ".", external=True)


@nox.session(default=False)
def kind(session: nox.Session) -> None:
    """Run the tests with a real cluster; what is missing for it, each of them says."""
    install(session, "tests", "helm")
    session.run("pytest", *(session.posargs or ("tests/kind",)))


@nox.session(default=False)
def replay(session: nox.Session) -> None:
    """Run upstream's recorded bumps again and print where lists differ, and why."""
    data = Path(os.environ.get("RKE2PACK_REFERENCE_DATA", "../shared"))
    if not (data / "replay/bumps.json").is_file():
        session.skip(f"{data.absolute()} has no recorded bumps")
    install(session, "tests", "helm")
    session.run("python", "-m", "tests.upstream.table", str(data))


@nox.session(default=False)
def chaos(session: nox.Session) -> None:
    """Kill and starve commands at random moments: --events N, --seed S, --only COMMAND."""
    install(session, "tests", "helm")
    session.run("python", "-m", "tests.chaos.campaign", *session.posargs)


@nox.session(default=False)
def soak(session: nox.Session) -> None:
    """Take many images through several rounds: --images N, --rounds N; needs docker-registry."""
    install(session, "tests", "helm")
    session.run("python", "-m", "tests.soak.rounds", *session.posargs)


@nox.session(default=False)
def bench(session: nox.Session) -> None:
    """Measure against the real tools in one run; prints ratios."""
    install(session, "runtime", "helm")
    session.run("python", "benchmarks", *session.posargs)


@nox.session(default=False)
def fuzz(session: nox.Session) -> None:
    """Feed damaged input to all that reads input: --minutes N [TARGET]...; see docs/fuzzing.md."""
    install(session, "runtime", "fuzz")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session(name="audit-dependencies", default=False)
def audit_dependencies(session: nox.Session) -> None:
    """Ask PyPI for known vulnerabilities of what the locks name; fails where it does not tell."""
    session.install("--require-hashes", "--no-deps", "-r", "requirements/audit.txt")
    options = ("--strict", "--require-hashes", "--disable-pip", "--progress-spinner", "off")
    for path in sorted(Path("requirements").glob("*.txt")):
        session.run("pip-audit", *options, "--requirement", str(path))


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Write the locks anew; --check only compares, --upgrade takes the newest versions."""
    check = "--check" in session.posargs
    options = [option for option in session.posargs if option != "--check"]
    folder = Path(session.create_tmp()) if check else Path("requirements")
    session.install(UV)
    for name, inputs in LOCKS.items():
        committed, written = Path(f"requirements/{name}.txt"), folder / f"{name}.txt"
        if check:
            shutil.copyfile(committed, written)
        session.run(
            *("uv", "pip", "compile", "--quiet", "--universal", "--python-version", "3.11"),
            *("--generate-hashes", "--no-emit-index-url", "--custom-compile-command"),
            *("nox -s lock", *inputs, *options, "--output-file", str(written)),
        )
        if check and not filecmp.cmp(committed, written, shallow=False):
            session.error(f"{committed}: not what its inputs ask for; run nox -s lock")


if __name__ == "__main__":
    nox.main()
