"""What each page needs around its commands, and what is typed in their place."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from tests.integration.docs.commands import Command

# What a reader replaces: words in capitals, with their endings, and names of examples.
_PLACES: Final = re.compile(r"(?<![\w$-])(?:[A-Z]{2,}(?:_delta-…)?(?:\.tar\.zst)?|…)(?![\w=-])")
_HELP: Final = " --help"


@dataclass(frozen=True, kw_only=True)
class Part:
    """A page, or some of its sections, in a world of its own.

    ``start`` and ``sites`` are fixtures: the world that it begins as, and what is around it.
    ``prepare`` is run first, ``said`` before a command: what the page says in words.
    ``typed`` is what a reader makes of a command with words to fill in.
    """

    page: str
    sections: tuple[str, ...] = ()
    start: str = "after"
    sites: tuple[str, ...] = ()
    prepare: tuple[str, ...] = ()
    said: Mapping[str, str] = field(default_factory=dict)
    typed: Mapping[str, str] = field(default_factory=dict)

    def has(self, command: Command) -> bool:
        """Whether the command is one of this part."""
        return command.page == self.page and command.section in (
            self.sections or (command.section,)
        )

    def __str__(self) -> str:
        return "-".join((self.page.removeprefix("docs/").removesuffix(".md"), *self.sections[:1]))


def fits(text: str, typed: str) -> bool:
    """Whether ``typed`` is ``text`` with nothing but its places filled in, or its manual."""
    pieces = _PLACES.split(text)
    pattern = r"\S+".join(re.escape(piece) for piece in pieces)
    return typed == text + _HELP or re.fullmatch(pattern, typed) is not None


CHART: Final = "harvester-cloud-provider"
CORE: Final = "rke2-images-core.linux-amd64.tar.zst"
_OWN: Final = "rke2-images-harvester.linux-amd64.tar.zst"
BUMP: Final = f"bump/{CHART}-0.2.1100"
TAG: Final = "v1.32.4+rke2r1"
_AGAINST: Final = "rke2pack verify dist/artifacts --against images.lock"
_ENV: Final = "charts-manifest/versions.env"
_CONFIG: Final = r"""
apiVersion: helm.cattle.io/v1
kind: HelmChartConfig
metadata: {name: harvester-cloud-provider, namespace: kube-system}
spec:
  valuesContent: |-
    global:
      cattle:
        clusterName: mine
"""
VALUES: Final = f"cat > my-values.yaml << 'EOF'{_CONFIG}EOF"
_SPLIT: Final = (
    "rke2pack airgap --component core --platform linux/amd64 --profile fast --max-size 20kB --quiet"
)
_ALL_SHARDS: Final = (
    "for i in $(seq {n}); do"
    " rke2pack airgap --quiet --shard $i/{n} --output {folder}/$i || exit; done"
)
_OF_WORD: Final = {
    "nox -s WORD -- ARGS": "nox -s images -- --check",
    "rke2pack WORD ARGS": "rke2pack images --check",
}

_SIGNED: Final = "nox -s release -- TAG --sign-key release.key"
_SENT: Final = f"{_SIGNED} --publish --repo OWNER/NAME"
_DRAFTED: Final = f"{_SIGNED} --publish --draft --repo OWNER/NAME"
_FETCHED: Final = "gh release download TAG --dir draft"

PARTS: Final = (
    Part(
        page="README.md",
        start="before",
        sites=("nox",),
        typed={**_OF_WORD, "nox -s WORD -- --help": "nox -s images -- --help"},
    ),
    Part(page="CONTRIBUTING.md", start="before", sites=("nox",), typed=_OF_WORD),
    Part(
        page="docs/airgap.md",
        start="before",
        sites=("runtimes",),
        said={f"cat {CORE}.part* > {CORE}": f"{_SPLIT} --output ."},
        typed={
            "zstd -dc FILE | ctr images import -": f"zstd -dc {CORE} | ctr images import -",
        },
    ),
    Part(
        page="docs/benchmarks.md",
        typed={"nox -s bench -- PART --help": "nox -s bench -- charts --help"},
    ),
    Part(
        page="docs/bump.md",
        start="before",
        said={"rke2pack images --check": "rke2pack images --lock --quiet"},
        typed={
            "nox -s bump -- CHART 0.0.0": f"nox -s bump -- {CHART} 0.0.0",
            "nox -s bump -- CHART VERSION": f"nox -s bump -- {CHART} 0.2.11",
        },
    ),
    Part(
        page="docs/changelog.md",
        prepare=(
            "git worktree add --quiet --detach ../older v1.32.3+rke2r1",
            f"git worktree add --quiet --detach ../newer {TAG}",
        ),
    ),
    Part(page="docs/checkout.md", start="before", sites=("checkout",)),
    Part(page="docs/container.md"),
    Part(
        page="docs/data-files.md",
        prepare=("sed 's/name: /&own-/' charts-manifest/support-matrix.yaml > my-rows.yaml",),
        typed={
            "rke2pack bump": "rke2pack bump --help",
            "rke2pack validate --matrix FILE": "rke2pack validate --matrix my-rows.yaml",
        },
    ),
    Part(
        page="docs/delta.md",
        prepare=(
            "cp -r old-release old && cp -r dist/artifacts new",
            "cp -r old-release v1.32.4 && cp -r dist/artifacts v1.32.5",
        ),
    ),
    Part(page="docs/errors.md", typed={"nox -s WORD": "nox -s images"}),
    Part(page="docs/images.md"),
    Part(page="docs/lab.md", start="before"),
    Part(
        page="docs/mirror.md",
        sites=("registry",),
        prepare=(f"cp dist/artifacts/{CORE} .",),
    ),
    Part(
        page="docs/operator.md",
        sites=("keyless", "registry", "runtimes"),
        prepare=(
            "rke2pack airgap --profile fast --format zst --format gz --quiet",
            f"rke2pack release {TAG} --sign-key release.key --keyless --quiet",
            f"mv dist/release release && {_SPLIT} --output parts && rm parts/*.txt",
            VALUES,
        ),
        typed={
            "cat NAME.part* > NAME": f"cat parts/{CORE}.part* > parts/{CORE}",
            "zstd -dc FILE | ctr -n k8s.io images import -": (
                f"zstd -dc release/{CORE} | ctr -n k8s.io images import -"
            ),
            "docker load -i FILE": f"docker load -i release/{CORE.replace('zst', 'gz')}",
            "rke2pack verify FILE -v": f"rke2pack verify release/{CORE} -v",
            "rke2pack diff CHART OLD NEW --values FILE": (
                f"rke2pack diff {CHART} 0.2.900 0.2.1100 --values my-values.yaml"
            ),
        },
    ),
    Part(
        page="docs/plan.md",
        sites=("registry",),
        said={
            "rke2pack merge dist/shards": _ALL_SHARDS.format(n=5, folder="dist/shards"),
            "nox -s airgap -- --pull": "rm -r dist/artifacts",
        },
    ),
    Part(
        page="docs/release.md",
        sections=("From a bump to a published release",),
        start="before",
        sites=("github",),
        said={
            "rke2pack images": f"sed -i 's/^RKE2_VERSION=.*/RKE2_VERSION={TAG}/' {_ENV}",
            f"git tag {TAG}": "git commit --quiet --all -m 'the next release'",
            "rke2pack charts": f"git push --quiet origin main {TAG}",
        },
        typed={
            "rke2pack bump CHART VERSION --commit": f"rke2pack bump {CHART} 0.2.11 --commit",
            "rke2pack release TAG --sign-key release.key": (
                f"rke2pack release {TAG} --sign-key release.key"
            ),
            "rke2pack release TAG --sign-key release.key --publish --repo OWNER/NAME": (
                f"rke2pack release {TAG} --sign-key release.key --publish --repo OWNER/NAME"
            ),
        },
    ),
    Part(
        page="docs/release.md",
        sections=("Releasing", "A release to look at", "What is refused", "Signing"),
        sites=("keyless", "github"),
        typed={"git switch --detach TAG": f"git switch --detach {TAG}"},
    ),
    Part(page="docs/report.md"),
    Part(
        page="docs/serve.md",
        sites=("site",),
        prepare=(f"cp dist/artifacts/{CORE} .",),
    ),
    Part(page="docs/validate.md", prepare=(VALUES,)),
    Part(
        page="docs/validate-import.md",
        sites=("runtimes",),
        prepare=(
            f"find dist/artifacts -name '*.tar.zst' ! -name '{_OWN}' -delete",
            "rke2pack delta old-release dist/artifacts --output deltas --quiet",
        ),
        typed={
            "nox -s validate -- --level import FILE.tar.zst --runtime containerd": (
                f"nox -s validate -- --level import dist/artifacts/{_OWN} --runtime containerd"
            ),
            "nox -s validate -- --level import DELTA.tar.zst --base OLD.tar.zst": (
                f"nox -s validate -- --level import deltas/*.tar.zst --base old-release/{_OWN}"
            ),
        },
    ),
    Part(page="docs/validate-kind.md", start="cluster"),
    Part(
        page="docs/verify.md",
        sites=("keyless",),
        prepare=(
            f"rke2pack release {TAG} --sign-key release.key --keyless --quiet",
            f"{_SPLIT} --output .",
            "rke2pack delta old-release dist/artifacts --output deltas --quiet",
        ),
        said={
            f"{_AGAINST} --registry registry.example.com": (
                "rm -r dist/artifacts; own='--registry registry.example.com --quiet';"
                " there=registry.example.com=${RKE2PACK_PULL_ENDPOINT#*=};"
                " rke2pack pull $own --endpoint $there && rke2pack airgap $own --profile fast"
            ),
        },
        typed={
            "rke2pack verify NEW_delta-….tar.zst --base OLD.tar.zst": (
                f"rke2pack verify deltas/{_OWN[:-8]}_delta-*.tar.zst --base old-release/{_OWN}"
            ),
            "rke2pack verify FILE --system-default-registry registry.example.com -v": (
                f"rke2pack verify dist/release/{CORE}"
                " --system-default-registry registry.example.com -v"
            ),
        },
    ),
    Part(page="docs/workflows.md", sections=("bump",), start="before", sites=("github",)),
    Part(
        page="docs/workflows.md",
        sections=("release", "ci", "kind", "locks"),
        sites=("job", "github"),
        said={
            "nox -s merge -- shards": _ALL_SHARDS.format(n=8, folder="shards"),
        },
        typed={text: text.replace("TAG", TAG) for text in (_SIGNED, _DRAFTED, _SENT, _FETCHED)},
    ),
)
