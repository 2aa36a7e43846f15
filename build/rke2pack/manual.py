"""How the help of a command reads: its own options, the common ones, examples, where to go on."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import click

from rke2pack.options import CommonOption

Examples = tuple[tuple[str, str], ...]
_PROGRAM = "rke2pack"
_CHART = "harvester-cloud-provider"
_CORE = "rke2-images-core.linux-amd64.tar.zst"
# By word: what an example shows, and the call behind the program's name.
EXAMPLES: Mapping[str, Examples] = MappingProxyType(
    {
        "airgap": (
            ("every archive, from what pull brought", ""),
            ("every archive, and the images too", "--pull"),
            ("one component for one platform, as small as can be",
             "--component harvester --platform linux/arm64 --profile small"),
        ),
        "audit": (
            ("what the lists of a checkout lack", "--tree ~/rke2"),
            ("the same of two release lines", "--tree ~/rke2 --lines release-1.31,release-1.32"),
        ),
        "bump": (
            ("show the diff, write nothing", f"{_CHART} 0.2.10 --dry-run"),
            ("commit it on a branch, with the text of a pull request",
             f"{_CHART} 0.2.10 --commit --branch bump-harvester --report pr.md"),
            ("a range, from a folder instead of the network",
             f"{_CHART} '>=0.2.10 <0.3' --charts-repo ~/rke2-charts"),
            ("on two release lines of a checkout of rancher/rke2",
             f"{_CHART} 0.2.10 --tree ~/rke2 --lines release-1.31,release-1.32"),
        ),
        "cache gc": (("what would be removed", "--dry-run"),),
        "cache pull": (("before a job", "registry.example.com/ci/rke2pack-cache:main"),),
        "cache push": (("after a job", "registry.example.com/ci/rke2pack-cache:main"),),
        "cache stats": (("as a document", "--json"),),
        "cache verify": (("hash everything, remove nothing", "--dry-run"),),
        "changelog": (
            ("since a tag, as Markdown too", "v1.32.3+rke2r1 HEAD --markdown changes.md"),
        ),
        "charts": (
            ("into dist/charts", ""),
            ("the tree's own manifests, after chart_versions.yaml was edited", "--references"),
        ),
        "delta": (
            ("two archives", f"old/{_CORE} new/{_CORE}"),
            ("two releases", "v1.32.4 v1.32.5 --output deltas"),
        ),
        "diff": (
            ("what 0.2.10 changes", f"{_CHART} 0.2.9 0.2.10"),
            ("and what that means for me", f"{_CHART} 0.2.9 latest --values my-values.yaml"),
        ),
        "images": (
            ("fail where images.txt is not what the charts need", "--check"),
            ("why is this image there?", "--explain harvester-cloud-provider"),
            ("pin the digests", "--lock"),
        ),
        "lab": (("everything, without a network", ""),),
        "merge": (("what two shards made", "shard-1 shard-2"),),
        "mirror": (
            ("an archive into a private registry",
             f"registry.example.com --from-archive {_CORE} --ca-file ca.pem"),
            ("the same, and what nodes need to know",
             f"registry.example.com --from-archive {_CORE} --write-registries-yaml nodes.yaml"),
            ("what pull brought, one component",
             "registry.example.com/team --from-store --component core"),
            ("bytes and requests, nothing is written", "registry.example.com --dry-run"),
        ),
        "plan": (("four jobs", "--shards 4"),),
        "propose": (
            ("what would be pushed and opened",
             f"bump/{_CHART}-0.2.10 --repo example/rke2 --dry-run"),
        ),
        "pull": (
            ("all of images.txt", ""),
            ("one component for one platform", "--component core --platform linux/arm64"),
            ("one image, whole", "docker.io/rancher/mirrored-pause:3.6 --all-platforms"),
        ),
        "release": (
            ("into dist/release, signed", "v1.32.4+rke2r1 --sign-key release.key"),
            ("what would be published",
             "v1.32.4+rke2r1 --sign-key release.key --publish --repo example/rke2 --dry-run"),
        ),
        "report": (("into dist/report.html", "--against v1.32.3+rke2r1"),),
        "serve": (
            ("one archive, for this machine", _CORE),
            ("for other machines, with TLS",
             "release --listen 0.0.0.0:5000 --tls-cert site.pem --tls-key site.key"),
        ),
        "validate": (
            ("one component on one row", "--component harvester --row community-2.11"),
            ("the upgrade from the commit before", "--from HEAD~1"),
            ("archives in docker and containerd", "--level import dist/artifacts"),
        ),
        "verify": (
            ("one archive", _CORE),
            ("a release, and who signed it", "release --key release.pub"),
            ("a delta", "deltas --base v1.32.4"),
        ),
    }
)  # fmt: skip
_OWN_PAGE = ("airgap", "bump", "changelog", "delta", "images", "lab", "mirror", "plan", "release",
             "report", "serve", "validate", "verify")  # fmt: skip
PAGES: Mapping[str, str] = MappingProxyType(
    {
        **{word: word for word in _OWN_PAGE},
        "audit": "checkout",
        "cache": "images",
        "charts": "release",
        "diff": "bump",
        "merge": "plan",
        "propose": "checkout",
        "pull": "images",
    }
)


class Manual(click.Command):
    """A command whose help has its own options first, then the common ones, then examples."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write two lists of options; ``--help`` stands with the common ones."""
        options = [each for each in self.get_params(ctx) if isinstance(each, click.Option)]
        is_common = [isinstance(o, CommonOption) or "--help" in o.opts for o in options]
        for title, wanted in (("Options", False), ("Common options", True)):
            chosen = (o for o, common in zip(options, is_common, strict=True) if common is wanted)
            records = [record for o in chosen if (record := o.get_help_record(ctx))]
            if records:
                with formatter.section(title):
                    formatter.write_dl(records)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples unwrapped, to be copied, and where to go on reading."""
        word = ctx.command_path.removeprefix(f"{_PROGRAM} ")
        with formatter.section("Examples"):
            for says, call in EXAMPLES[word]:
                formatter.write(f"  # {says}\n  {f'{_PROGRAM} {word} {call}'.rstrip()}\n")
        page = PAGES[word.partition(" ")[0]]
        variable = f"{_PROGRAM}_{word}_OPTION".replace(" ", "_").upper()
        formatter.write_paragraph()
        formatter.write_text(
            f"Manual: docs/{page}.md. Exit codes: docs/errors.md. "
            f"Each option is also a variable of the environment: {variable}."
        )
