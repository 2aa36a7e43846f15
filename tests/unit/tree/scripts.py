"""Small scripts in the forms that build-images has had, with images that do not exist."""

from __future__ import annotations

from rke2pack.tree.imagescript import ImageScript, variables
from rke2pack.tree.scriptedit import Change, Key, Place, Sources, edited

VERSION = "KUBERNETES_VERSION=v1.30.0\n"
QUIET = "xargs -n1 -t docker image pull --quiet << EOF > build/images-{name}.txt\n"
PULL = "xargs -n1 -t $PULL_CMD << EOF >> $BUILD_DIR/images-{name}.txt\n"
AWK = "awk '{{print $1}}' << EOF > build/images-{name}.txt\n"


def document(*images: str, name: str = "x", head: str = QUIET, indent: str = "    ") -> str:
    """A here-document with one image a line."""
    return head.format(name=name) + "".join(f"{indent}{image}\n" for image in images) + "EOF\n"


def sources(script: str, version: str = VERSION) -> Sources:
    texts = {"build-images": script, "version.sh": version}
    return Sources(texts=texts, script="build-images", version="version.sh")


def listed(
    script: str,
    *,
    edition: str = "community",
    architecture: str = "amd64",
    version: str = VERSION,
    name: str = "x",
) -> list[str | None]:
    """The images that one run writes to one list."""
    known = variables(version, file="version.sh")
    parsed = ImageScript.parse(script, file="build-images", variables=known)
    run = parsed.run(edition=edition, architecture=architecture)
    return [entry.image for entry in run.lists.get(name, ())]


def place(of: Sources, image: str) -> Place:
    """The one place of an image."""
    (found,) = (each for each in of.places if each.image == image)
    return found


def changed(
    script: str,
    images: dict[str, str | None],
    *,
    added: dict[str, str] | None = None,
    version: str = VERSION,
    private: tuple[str, ...] = (),
) -> tuple[str, str]:
    """Both texts after images (old -> new, None: gone) changed; ``added`` maps new -> neighbour."""
    of = sources(script, version)
    wanted: dict[Key, str | None] = {place(of, old).key: new for old, new in images.items()}
    new = tuple((place(of, neighbour).key, image) for image, neighbour in (added or {}).items())
    texts = edited(of, Change(images=wanted, added=new), is_private=lambda name: name in private)
    return texts.get("build-images", script), texts.get("version.sh", version)
