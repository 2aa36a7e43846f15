from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rke2pack.errors import ValidationError
from rke2pack.tree.scriptedit import Change, Sources, edited
from tests.unit.tree.scripts import AWK, PULL, VERSION, changed, document, listed, place, sources

A1, A2, B1, C1 = "acme/a:v1", "acme/a:v2", "acme/b:v1", "acme/c:v1"


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("prefix", ["", "${REGISTRY}/", "$REGISTRY/"])
def test_a_tag_changes_in_place(prefix: str, newline: str) -> None:
    script = f"# é\n{document(f'{prefix}{A1}', B1)}# end".replace("\n", newline)
    new, _ = changed(script, {A1: A2})
    assert new == script.replace(f"{prefix}{A1}", f"{prefix}{A2}")


def test_a_variable_moves_when_all_its_uses_move() -> None:
    script = "T=v1\n" + document("acme/a:${T}", "acme/b:$T-x")
    new, _ = changed(script, {A1: A2, "acme/b:v1-x": "acme/b:v2-x"})
    assert new == script.replace("T=v1", "T=v2")


def test_the_literal_is_written_where_a_use_stays() -> None:
    script = "T=v1\n" + document("acme/a:${T}", "acme/b:${T}")
    new, _ = changed(script, {A1: A2})
    assert new == script.replace("acme/a:${T}", A2)


def test_the_literal_is_written_where_uses_part() -> None:
    script = "T=v1\n" + document("acme/a:${T}", "acme/b:${T}")
    new, _ = changed(script, {A1: A2, B1: "acme/b:v3"})
    assert new == script.replace("acme/a:${T}", A2).replace("acme/b:${T}", "acme/b:v3")


def test_the_rest_of_a_tag_stays_around_its_variable() -> None:
    script = "E=v3\n" + document("acme/e:${E}-build1")
    assert changed(script, {"acme/e:v3-build1": "acme/e:v4-build1"})[0] == script.replace(
        "E=v3", "E=v4"
    )
    assert changed(script, {"acme/e:v3-build1": "acme/e:v3-build2"})[0] == script.replace(
        "${E}-build1", "v3-build2"
    )


@pytest.mark.parametrize("line", ["T=${T:-v1}\n", 'T="${T:-v1}" # why\n', "T=v1\n", 'T="v1"\n'])
def test_a_variable_of_version_sh_moves_only_if_it_is_private(line: str) -> None:
    script, version = document("acme/a:${T}"), VERSION + line
    assert changed(script, {A1: A2}, version=version, private=("T",)) == (
        script,
        version.replace("v1\n", "v2\n").replace("v1}", "v2}").replace('v1"', 'v2"'),
    )
    assert changed(script, {A1: A2}, version=version) == (
        script.replace("acme/a:${T}", A2),
        version,
    )


def test_an_image_in_a_variable_of_version_sh_is_edited_there_if_it_is_private() -> None:
    script, version = document("${A_IMAGE}"), f"{VERSION}A_IMAGE=${{A_IMAGE:-{A1}}}\n"
    new = changed(script, {A1: A2}, version=version, private=("A_IMAGE",))
    assert new == (script, version.replace(A1, A2))
    with pytest.raises(ValidationError, match="A_IMAGE is used elsewhere too"):
        changed(script, {A1: A2}, version=version)


def test_another_image_keeps_the_registry_of_its_line() -> None:
    script = document("${REGISTRY}/acme/a:v1", B1)
    new, _ = changed(script, {A1: "acme/other:v1"})
    assert new == script.replace("${REGISTRY}/acme/a:v1", "${REGISTRY}/acme/other:v1")


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (document(A1, B1), document(A1, C1, B1)),
        (document(A1, B1, indent="\t"), document(A1, C1, B1, indent="\t")),
        (document(f"$REGISTRY/{A1}"), document(f"$REGISTRY/{A1}", f"$REGISTRY/{C1}")),
        (document(f"{A1}  # why", B1, head=AWK), document(f"{A1}  # why", C1, B1, head=AWK)),
        (f'X="{A1}"\n{document("$X")}', f'X="{A1}\n    {C1}"\n{document("$X")}'),
        (f'X="\n  {A1}"\n{document("$X")}', f'X="\n  {A1}\n  {C1}"\n{document("$X")}'),
        (
            f"echo {A1} >> build/images-x.txt\n",
            f"echo {A1} >> build/images-x.txt\necho {C1} >> build/images-x.txt\n",
        ),
        (
            f'  echo "{A1}" >> build/images-x.txt\n',
            f'  echo "{A1}" >> build/images-x.txt\n  echo "{C1}" >> build/images-x.txt\n',
        ),
        (
            f"{{\n  echo {A1}\n  echo {B1}\n}} > build/images-x.txt\n",
            f"{{\n  echo {A1}\n  echo {C1}\n  echo {B1}\n}} > build/images-x.txt\n",
        ),
        (
            f"echo {A1} > build/images-x.txt\n",
            f"echo {A1} > build/images-x.txt\necho {C1} >> build/images-x.txt\n",
        ),
        (f"echo {A1} {B1} >> build/images-x.txt\n", f"echo {A1} {C1} {B1} >> build/images-x.txt\n"),
        (
            f"for i in {A1} {B1}; do echo $i >> build/images-x.txt; done\n",
            f"for i in {A1} {C1} {B1}; do echo $i >> build/images-x.txt; done\n",
        ),
        (
            f"for i in \\\n  {B1} \\\n  {A1}; do echo $i >> build/images-x.txt; done\n",
            f"for i in \\\n  {B1} \\\n  {A1} \\\n  {C1}; do echo $i >> build/images-x.txt; done\n",
        ),
        (
            f'A=(\n  "{A1}" # why\n  {B1}\n)\necho "${{A[@]}}" >> build/images-x.txt\n',
            f'A=(\n  "{A1}" # why\n  "{C1}"\n  {B1}\n)\necho "${{A[@]}}" >> build/images-x.txt\n',
        ),
    ],
)
def test_a_new_image_stands_behind_its_neighbour_in_its_form(
    script: str, expected: str, newline: str
) -> None:
    script, expected = (each.replace("\n", newline) for each in (script, expected))
    assert changed(script, {}, added={C1: A1})[0] == expected


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize(
    ("script", "expected"),
    [
        (document(B1, A1), document(B1)),
        (document(A1, B1), document(B1)),
        (f"{document(B1, f'{A1}  # why', head=AWK)}", document(B1, head=AWK)),
        (f'X="{A1}\n  {B1}"\n{document("$X")}', f'X="\n  {B1}"\n{document("$X")}'),
        (f'X="{B1}\n  {A1}"\n{document("$X")}', f'X="{B1}"\n{document("$X")}'),
        (f'X="\n  {B1} \\\n  {A1}"\n{document("$X")}', f'X="\n  {B1}"\n{document("$X")}'),
        (
            f"echo {A1} >> build/images-x.txt\necho {B1} >> build/images-x.txt\n",
            f"echo {B1} >> build/images-x.txt\n",
        ),
        (f"echo {B1} {A1} >> build/images-x.txt\n", f"echo {B1} >> build/images-x.txt\n"),
        (
            f"for i in \\\n  {A1} \\\n  {B1}; do echo $i >> build/images-x.txt; done\n",
            f"for i in \\\n  {B1}; do echo $i >> build/images-x.txt; done\n",
        ),
        (
            f"for i in \\\n  {B1} \\\n  {A1}; do echo $i >> build/images-x.txt; done\n",
            f"for i in \\\n  {B1}; do echo $i >> build/images-x.txt; done\n",
        ),
        (
            f'A=(\n  {B1}\n  "{A1}" # why\n)\necho "${{A[@]}}" >> build/images-x.txt\n',
            f'A=(\n  {B1}\n)\necho "${{A[@]}}" >> build/images-x.txt\n',
        ),
    ],
)
def test_an_image_that_goes_takes_its_line_along(script: str, expected: str, newline: str) -> None:
    script, expected = (each.replace("\n", newline) for each in (script, expected))
    assert changed(script, {A1: None})[0] == expected


def test_a_script_without_a_last_newline_keeps_none() -> None:
    script = document(A1, B1).removesuffix("\n")
    assert changed(script, {A1: A2}, added={C1: B1})[0] == document(A2, B1, C1).removesuffix("\n")


def test_what_cannot_be_written_is_refused() -> None:
    script = f"{document(B1)}echo {A1} >> build/images-x.txt && true\n"
    with pytest.raises(ValidationError) as error:
        changed(script, {A1: None})
    assert error.value.message.startswith("build-images: line 4: cannot be edited so that nothing")
    assert error.value.hint == "edit the lists by hand, then run 'rke2pack audit'"


def test_a_condition_is_not_left_without_a_command() -> None:
    inner = f"  echo {A1} >> build/images-x.txt\n"
    script = f"{document(B1)}if [ -n $X ]; then\n{inner}fi\n"
    with pytest.raises(ValidationError):
        changed(script, {A1: None})
    script = script.replace(inner, f"{inner}  :\n")
    assert changed(script, {A1: None})[0] == script.replace(inner, "")


def test_an_image_that_differs_between_runs_is_not_known() -> None:
    script = 'if [ "$GOARCH" = arm64 ]; then\nT=v1\nelse\nT=v2\nfi\n' + document("acme/a:$T")
    (found,) = sources(script).places
    assert (found.image, found.repository) == (None, "acme/a")


def test_a_place_tells_all_its_lists_and_editions() -> None:
    script = (
        f'X="\n  {A1}"\nif [ "$REGISTRY" = docker.io ]; then\n'
        + document("$X", B1, name="x")
        + "fi\n"
        + document("$X", name="y")
    )
    assert place(sources(script), A1).sites == {
        ("x", "community"),
        ("y", "community"),
        ("y", "prime"),
    }


@dataclass(frozen=True)
class Block:
    """One piece of a random script: a form, its images and a condition around it."""

    form: int
    images: tuple[tuple[str, str, int], ...]
    condition: int
    indent: str


NAMES = ("acme/a", "acme/b", "acme/c", "acme/d-e", "other/f")
TAGS = ("v1", "v2.0", "v2.0-build1")
TAIL = ("{}", "${{REGISTRY}}/{}", "$REGISTRY/{}")
CONDITIONS = ("", '"${REGISTRY}" != "docker.io"', '"${GOARCH}" != "arm64"', '-f "$HOME/x"')
BLOCKS = st.builds(
    Block,
    form=st.integers(0, 4),
    images=st.lists(
        st.tuples(
            st.sampled_from(NAMES),
            st.sampled_from((*TAGS, "${T}", "$U", "${T}-build1")),
            st.integers(0, 2),
        ),
        min_size=1,
        max_size=4,
    ).map(tuple),
    condition=st.integers(0, len(CONDITIONS) - 1),
    indent=st.sampled_from(("", "  ", "    ", "\t")),
)


def _block(block: Block, number: int) -> str:
    images = [TAIL[tail].format(f"{name}:{tag}") for name, tag, tail in block.images]
    name = "xy"[number % 2]
    lines = "".join(f"{block.indent}{image}\n" for image in images)
    match block.form:
        case 0:
            text = document(*images, name=name, head=PULL, indent=block.indent)
        case 1:
            text = f'X{number}="\n{lines}"\n' + document(f"${{X{number}}}", name=name, head=PULL)
        case 2:
            text = f"Y=(\n{lines})\necho ${{Y[@]}} >> build/images-{name}.txt # é\n"
        case 3:
            text = f"for i in {' '.join(images)}; do\n  echo $i >> build/images-{name}.txt\ndone\n"
        case _:
            text = "".join(f'echo "{image}" >> build/images-{name}.txt\n' for image in images)
    condition = CONDITIONS[block.condition]
    return f"if [ {condition} ]; then\n{text}fi\n" if condition else f"{text}\n"


@st.composite
def _scripts(draw: st.DrawFn) -> Sources:
    blocks = draw(st.lists(BLOCKS, min_size=1, max_size=4))
    head = "#!/bin/sh\n# ✓ é\nU=v9 # one\n"
    script = head + "".join(_block(block, number) for number, block in enumerate(blocks))
    if draw(st.booleans()):
        script = script.replace("\n", "\r\n")
    return sources(script, f"{VERSION}T=${{T:-v5}}\n")


def _content(of: Sources) -> dict[tuple[str, str], Counter[str | None]]:
    found: dict[tuple[str, str], Counter[str | None]] = {}
    for each in of.places:
        for site in each.sites:
            found.setdefault(site, Counter())[each.image] += 1
    return found


@settings(max_examples=250)
@given(of=_scripts(), data=st.data())
def test_edits_give_just_what_is_wanted_or_are_refused(of: Sources, data: st.DataObject) -> None:
    known = of.places
    assume(known)
    images: dict[tuple[str, int], str | None] = {}
    for each in data.draw(st.lists(st.sampled_from(known), max_size=3)):
        new = data.draw(st.sampled_from((None, f"{each.repository}:v7", "acme/new:v8")))
        images[each.key] = new
    near = data.draw(st.sampled_from(known))
    added = ((near.key, "acme/more:v1"),) if data.draw(st.booleans()) else ()
    wanted: dict[tuple[str, str], Counter[str | None]] = {}
    for each in known:
        image = images.get(each.key, each.image)
        more = ["acme/more:v1"] if added and each.key == near.key else []
        for site in each.sites:
            if image is not None or more:
                wanted.setdefault(site, Counter()).update([*([image] if image else []), *more])
    try:
        texts = edited(of, Change(images=images, added=added), is_private=lambda _: True)
    except ValidationError:
        return
    after = of.with_texts(texts)
    assert _content(after) == wanted
    for name, text in texts.items():
        _check_only_images_changed(of.texts[name], text)


def _check_only_images_changed(before: str, after: str) -> None:
    """Lines without an image or a tag's value are the same, in the same order."""
    kept = [[line for line in text.split("\n") if _is_other(line)] for text in (before, after)]
    assert kept[0] == kept[1]
    assert before.endswith("\n") == after.endswith("\n")
    assert ("\r\n" in before) == ("\r\n" in after)
    assert after.count("\r\n") in {0, after.count("\n")}


def _is_other(line: str) -> bool:
    return "acme/" not in line and "other/" not in line and not line.startswith(("T=", "U=", '"'))


def test_samples_of_the_property_are_lists() -> None:
    block = Block(form=1, images=(("acme/a", "${T}", 1),), condition=0, indent="  ")
    assert listed(_block(block, 0), version="T=v5\n") == ["acme/a:v5"]
