"""Pages made for tests: archives as large and as shared as those of RKE2, without their bytes."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import replace

from rke2pack.digest import Digest
from rke2pack.finding import Finding
from rke2pack.page import history
from rke2pack.page.archives import ArchivedImage, ArchiveFileFact, PageArchive, PageLayer
from rke2pack.page.changerows import ChangeRow
from rke2pack.page.changes import Changes, ChartChange, ImageChange
from rke2pack.page.history import History, Release
from rke2pack.page.images import PageImage, PlatformSize, Proof
from rke2pack.page.release import PageComponent, PageData
from rke2pack.page.validation import CheckResult, Validation

BOTH = ("linux/amd64", "linux/arm64")
BASES = 5
HOSTILE = "</script><img src=x onerror='globalThis.hostile=1'>\"'&{{ 7*7 }}\u2028"
CHECKS = ("render", "kube-version", "schema", "value", "workload", "image", "registry", "upgrade")
ROWS = ("prime-2.9", "prime-2.10", "community-2.11")


def digest(text: str) -> str:
    return str(Digest.of(text.encode()))


def page_image(reference: str, *components: str, proofs: tuple[Proof, ...] = ()) -> PageImage:
    """A locked image for both platforms; its sizes come from its name."""
    size = 3_000_000 + int(digest(reference)[-6:], 16)
    return PageImage(
        reference=reference,
        components=components,
        platforms=BOTH,
        digest=digest(reference),
        sizes=tuple(
            PlatformSize(platform=name, manifest=digest(reference + name), size=size + number)
            for number, name in enumerate(BOTH)
        ),
        proofs=proofs,
    )


def archive(
    name: str, component: str, platform: str, images: Iterable[tuple[str, Mapping[str, int]]]
) -> PageArchive:
    """An archive of images, each with its layers (any text -> bytes)."""
    found = tuple(
        ArchivedImage(
            reference=reference,
            digest=digest(reference + platform),
            layers=tuple(
                PageLayer(digest=digest(text), size=size, is_there=True)
                for text, size in layers.items()
            ),
        )
        for reference, layers in images
    )
    made = PageArchive(name=name, component=component, platform=platform, files=(), images=found)
    size = made.content * 3 // 10
    file = ArchiveFileFact(name=f"{name}.tar.zst", size=size, digest=digest(name))
    return replace(made, files=(file,))


def full_archives(lists: Mapping[str, tuple[str, ...]]) -> tuple[PageArchive, ...]:
    """The archives of a release: every component of both platforms, and core with canal."""
    found = []
    for platform in BOTH:
        suffix = platform.replace("/", "-")
        contents = {name: _layers(name, platform) for own in lists.values() for name in own}
        groups = {f"rke2-images-{name}": (name, own) for name, own in lists.items()}
        groups["rke2-images"] = ("", (*lists["core"], *lists.get("canal", ())))
        for name, (component, own) in groups.items():
            images = [(reference, contents[reference]) for reference in own]
            found.append(archive(f"{name}.{suffix}", component, platform, images))
    return tuple(found)


def _layers(reference: str, platform: str) -> dict[str, int]:
    """Layers of one image: some of the common bases, then its own."""
    dice = random.Random(f"{reference} {platform}")  # noqa: S311 - the same ones every time
    base = dice.randrange(BASES)
    layers = {
        f"base {base}.{number} {platform}": 2_000_000 * (base + 1) * (3 - number)
        for number in range(dice.randrange(1, 4))
    }
    if dice.random() < 0.4:
        repository = reference.rpartition(":")[0].rpartition("-")[0]
        size = 4_000_000 + int(digest(repository)[-6:], 16)
        layers[f"family {repository} {platform}"] = size
    own = {
        f"{reference} {platform} {number}": int(dice.paretovariate(0.8) * 40_000) % 180_000_000
        for number in range(dice.randrange(2, 12))
    }
    return layers | own


def validation(charts: Iterable[tuple[str, str]], *, failed: str = "") -> Validation:
    """A report over `ROWS`; the chart ``failed`` fails one check on one of them."""
    results = [
        CheckResult(
            column=row,
            subject=f"{chart} {version}",
            check=check,
            status="failed" if (chart, check, row) == (failed, "image", ROWS[1]) else "passed",
            detail="23 objects, 2 variants",
        )
        for row in ROWS
        for chart, version in charts
        for check in CHECKS
    ]
    results += [
        CheckResult(column=row, subject="", check="by-hand", status="manual", detail=scenario)
        for row in ROWS
        for scenario in ("works with Harvester v1.5.0", "scenario large-clusters")
    ]
    finding = {
        "severity": "error",
        "check": "image",
        "subject": f"{failed} 1.32.400: docker.io/rancher/x:v1",
        "expected": "a line in the lists",
        "got": f"none (rows {ROWS[1]})",
    }
    return Validation(
        level="static",
        results=tuple(results),
        findings=(finding,) if failed else (),
        explained=(),
        notes={row: f"RKE2 for {row}" for row in ROWS},
    )


def changes() -> Changes:
    row = ChangeRow(
        area="values",
        subject="cloudConfigPath",
        old='"/etc/kubernetes/cloud-config"',
        new='"/var/lib/rancher/rke2/etc/config-files/cloud-provider-config"',
        kind="changed",
    )
    gained = ChangeRow(
        area="permissions", subject="", old="", new="kube-vip may now list pods", kind="added"
    )
    return Changes(
        against="v1.32.3+rke2r1",
        charts=(
            ChartChange(
                name="harvester-cloud-provider", component="harvester", old="0.2.900",
                new="0.2.1000", rows=(gained, row),
            ),
        ),
        images=(
            ImageChange(
                component="harvester",
                added=("docker.io/rancher/harvester-cloud-provider:v0.2.4",),
                removed=("docker.io/rancher/harvester-cloud-provider:v0.2.3",),
            ),
        ),
    )  # fmt: skip


def earlier(now: Release, count: int = 5) -> History:
    """Releases before ``now``, each a little smaller, and ``now`` itself."""
    found = [
        Release(
            name=f"v1.32.{number}+rke2r1",
            images=now.images,
            archives={
                platform: {
                    name: size * (100 - 3 * (count - number)) // 100
                    for name, size in sizes.items()
                    if name != "harvester" or number
                }
                for platform, sizes in now.archives.items()
            },
        )
        for number in range(count)
    ]
    return History(releases=(*found, now))


def page(lists: Mapping[str, tuple[str, ...]], *, places: int = 6) -> PageData:
    """A page with everything on it; each image has ``places`` proofs."""
    proofs = {
        component: tuple(
            Proof(
                chart=f"rke2-{component}",
                version="1.32.400",
                variants=("default", "eni"),
                template=f"charts/{component}/templates/daemonset-{number}.yaml",
                object=f"DaemonSet/{component}-{number}",
                field=f"spec.template.spec.containers[{number}].image",
            )
            for number in range(places)
        )
        for component in lists
    }
    components: dict[str, list[str]] = {}
    for component, own in lists.items():
        for reference in own:
            components.setdefault(reference, []).append(component)
    images = tuple(
        page_image(reference, *names, proofs=proofs[names[0]])
        for reference, names in sorted(components.items())
    )
    archives = full_archives(lists)
    charts = [(f"rke2-{name}", "1.32.400") for name in lists]
    release = history.release_of("v1.32.9+rke2r1", images, archives)
    return PageData(
        release="v1.32.9+rke2r1",
        kubernetes="v1.32.9",
        is_lab=False,
        components=tuple(
            PageComponent(name=name, charts=((f"rke2-{name}", "1.32.400"),), platforms=BOTH)
            for name in lists
        ),
        images=images,
        archives=archives,
        changes=changes(),
        validations=(validation(charts, failed="rke2-cilium"),),
        history=earlier(release),
        findings=(
            Finding(
                severity="warning",
                check="floating-tag",
                subject="docker.io/rancher/x:latest",
                expected="a tag that stays",
                got="latest",
            ),
        ),
        missing={},
    )


def hostile_page() -> PageData:
    """A page on which every text that comes from outside is hostile."""
    plain = page({"core": ("docker.io/rancher/a:v1",)})
    proof = Proof(
        chart=HOSTILE, version=HOSTILE, variants=(HOSTILE,), template=HOSTILE, object=HOSTILE,
        field=HOSTILE,
    )  # fmt: skip
    bad = archive(HOSTILE, "core", "linux/amd64", [(HOSTILE, {"one": 100, "two": 50})])
    row = ChangeRow(
        area=HOSTILE, subject=HOSTILE, old=HOSTILE, new=HOSTILE, kind="changed", note=HOSTILE
    )
    change = ChartChange(
        name=HOSTILE, component=HOSTILE, old=HOSTILE, new=HOSTILE, rows=(row,), problem=HOSTILE
    )
    images = ImageChange(component=HOSTILE, added=(HOSTILE,), removed=())
    result = CheckResult(
        column=HOSTILE, subject=HOSTILE, check=HOSTILE, status="failed", detail=HOSTILE
    )
    texts = dict.fromkeys(("severity", "check", "subject", "expected", "got"), HOSTILE)
    sizes = {"linux/amd64": {HOSTILE: 5}}
    return replace(
        plain,
        release=HOSTILE,
        kubernetes=HOSTILE,
        images=(page_image(f"docker.io/{HOSTILE}:v1", HOSTILE, proofs=(proof,)),),
        archives=(replace(bad, problem=HOSTILE),),
        changes=Changes(against=HOSTILE, charts=(change,), images=(images,), note=HOSTILE),
        validations=(
            Validation(
                level=HOSTILE,
                results=(result, replace(result, status="manual")),
                findings=(texts,),
                explained=({**texts, "reason": HOSTILE},),
                notes={HOSTILE: HOSTILE},
            ),
        ),
        history=History(releases=(Release(name=HOSTILE, images={}, archives=sizes),)),
        missing={"archives": HOSTILE, HOSTILE: HOSTILE},
    )
