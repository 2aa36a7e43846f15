from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2pack.errors import ConfigError
from rke2pack.tree import imagescript
from rke2pack.tree.imagescript import ImageScript, scalar, text_of, variables
from tests.unit.tree.scripts import AWK, PULL, QUIET, document, listed, sources


@pytest.mark.parametrize("head", [QUIET, PULL, AWK])
@pytest.mark.parametrize("indent", ["", "    ", "\t"])
@pytest.mark.parametrize("prefix", ["", "${REGISTRY}/", "$REGISTRY/", "docker.io/"])
def test_lists_are_read_in_every_form(head: str, indent: str, prefix: str) -> None:
    script = document(f"{prefix}acme/a:v1", f"{prefix}acme/b:v2", head=head, indent=indent)
    assert listed(script) == ["acme/a:v1", "acme/b:v2"]


def test_lists_have_the_name_of_their_file() -> None:
    script = document("acme/a:v1", name="a-b") + "cat << EOF > build/others.txt\nacme/c:v1\nEOF\n"
    assert listed(script, name="a-b") == ["acme/a:v1"]
    known = variables("", file="v")
    parsed = ImageScript.parse(script, file="s", variables=known)
    assert list(parsed.run(edition="community", architecture="amd64").lists) == ["a-b"]


def test_appending_adds_and_writing_starts_again() -> None:
    more = document("acme/b:v1", head=PULL)
    assert listed(document("acme/a:v1") + more) == ["acme/a:v1", "acme/b:v1"]
    assert listed(more + document("acme/a:v1")) == ["acme/a:v1"]


EDITIONS = (
    'if [ "${REGISTRY}" != "docker.io" ]; then\n'
    + document("${REGISTRY}/acme/p:v1")
    + "else\n"
    + document("${REGISTRY}/acme/c:v1")
    + 'if [ "${GOARCH}" != "arm64" ]; then\n'
    + document("${REGISTRY}/acme/amd:v1", head=PULL)
    + "fi\nfi\n"
)


@pytest.mark.parametrize(
    ("edition", "architecture", "expected"),
    [
        ("community", "amd64", ["acme/c:v1", "acme/amd:v1"]),
        ("community", "arm64", ["acme/c:v1"]),
        ("prime", "amd64", ["acme/p:v1"]),
        ("prime", "arm64", ["acme/p:v1"]),
    ],
)
@pytest.mark.parametrize("indent", ["", "    "])
def test_editions_and_architectures_are_told_apart(
    edition: str, architecture: str, expected: list[str], indent: str
) -> None:
    script = EDITIONS.replace("    ${REG", f"{indent}${{REG")
    assert listed(script, edition=edition, architecture=architecture) == expected


def test_editions_are_those_that_the_script_asks_for() -> None:
    assert sources(EDITIONS).parsed.editions == ("community", "prime")
    assert sources(document("acme/a:v1")).parsed.editions == ("community",)


LISTED_BY_VARIABLE = (
    "A_TAG=v1\n"
    'X_IMAGES="\n    ${REGISTRY}/acme/a:${A_TAG}\n    ${REGISTRY}/acme/b:v2"\n'
    'if [ "${GOARCH}" != "arm64" ]; then\n'
    '    X_IMAGES="${X_IMAGES}\n    ${REGISTRY}/acme/c:v3"\nfi\n' + document("${X_IMAGES}")
)


def test_variables_that_list_images() -> None:
    assert listed(LISTED_BY_VARIABLE) == ["acme/a:v1", "acme/b:v2", "acme/c:v3"]
    assert listed(LISTED_BY_VARIABLE, architecture="arm64") == ["acme/a:v1", "acme/b:v2"]


def test_variables_are_read_as_they_are_at_that_moment() -> None:
    script = "T=v1\nX=acme/a:$T\nT=v2\n" + document("$X", "acme/b:$T")
    assert listed(script) == ["acme/a:v1", "acme/b:v2"]


@pytest.mark.parametrize(
    ("assigned", "tag"),
    [
        ("T=${T:-v1}\n", "v1"),
        ('T="${T:-v1}"\n', "v1"),
        ("B=v1\nT=${B}-build2025\n", "v1-build2025"),
        ("B=v1.2+x\nT=${B/+/-}\n", "v1.2-x"),
        ("B=v1.2\nT=${B#v}\n", "1.2"),
        ("B=v1-x\nT=${B%-x}\n", "v1"),
        ("T=v1\nT+=-b\n", "v1-b"),
        ("T=${B:-${C:-v1}}\n", "v1"),
        ("T=$(date)\n", None),
        ("T=`date`\n", None),
        ("T=${B}\n", None),
        ("T=${B:1:2}\n", None),
        ("B=v1\nT=${B%.*}\n", None),
    ],
)
def test_values_of_tags(assigned: str, tag: str | None) -> None:
    expected = None if tag is None else f"acme/a:{tag}"
    assert listed(assigned + document("acme/a:${T}")) == [expected]
    assert listed(document("acme/a:${T}"), version=assigned) == [expected]


@pytest.mark.parametrize(
    "script",
    [
        'A=(acme/a:v1 "acme/b:v2")\nfor i in ${A[@]}; do\necho "$i" >> build/images-x.txt\ndone\n',
        "A=(\n  acme/a:v1 # why\n  'acme/b:v2'\n)\necho ${A[*]} >> build/images-x.txt\n",
        "A=(acme/a:v1)\nA+=(acme/b:v2)\nprintf '%s\\n' \"${A[@]}\" >> build/images-x.txt\n",
        "for i in acme/a:v1 \\\n  acme/b:v2; do echo $i >> build/images-x.txt; done\n",
        'X="acme/a:v1 \\\n  acme/b:v2"\n' + document("$X"),
        "echo acme/a:v1 > build/images-x.txt\necho ${REGISTRY}/acme/b:v2 >> build/images-x.txt\n",
        "for i in acme/a:v1 acme/b:v2; do\n  echo $i\ndone > build/images-x.txt\n",
        "{\n  echo acme/a:v1\n  cat << EOF\nacme/b:v2\nEOF\n} >> build/images-x.txt\n",
        "(echo acme/a:v1; echo 'acme/b:v2') 2>/dev/null > build/images-x.txt\n",
        'export X="acme/a:v1\nacme/b:v2"\n' + document("${X}"),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_arrays_loops_and_echo(script: str, newline: str) -> None:
    assert listed(script.replace("\n", newline)) == ["acme/a:v1", "acme/b:v2"]


def test_a_loops_variable_inside_a_word_is_not_known() -> None:
    script = "for i in a b; do echo acme/$i:v1 >> build/images-x.txt; done\n"
    assert listed(script) == [None]


ASK = 'if [ -f "$HOME/x" ]; then\n{}\nfi\n'


def test_unknown_conditions_count_as_met_and_are_told() -> None:
    script = document("acme/a:v1") + ASK.format(document("acme/b:v1"))
    assert listed(script) == ["acme/a:v1", "acme/b:v1"]
    assert sources(script).parsed.assumed == (4,)


def test_unknown_conditions_take_nothing_away_however_deep() -> None:
    inner = 'if [ "$GOARCH" = amd64 ]; then\n' + document("acme/b:v1") + "fi"
    assert listed(document("acme/a:v1") + ASK.format(inner)) == ["acme/a:v1", "acme/b:v1"]


def test_a_branch_behind_an_unknown_one_takes_nothing_away() -> None:
    script = (
        "if [ -f x ]; then\n"
        + document("acme/a:v1")
        + 'elif [ "$GOARCH" = amd64 ]; then\n'
        + document("acme/b:v1")
        + "else\n"
        + document("acme/c:v1")
        + "fi\n"
    )
    assert listed(script) == ["acme/a:v1", "acme/b:v1"]
    assert listed(script, architecture="arm64") == ["acme/a:v1", "acme/c:v1"]


def test_unknown_conditions_on_one_architecture_alone_are_told() -> None:
    script = 'if [ "$GOARCH" = arm64 ]; then\n' + ASK.format(document("acme/b:v1")) + "fi\n"
    assert sources(script).parsed.assumed == (2,)


@pytest.mark.parametrize(
    "form",
    [
        "write() {{\n{}}}\nwrite\n",
        'case "$X" in\n  a)\n{}  ;;\nesac\n',
        "while read -r line; do\n{}done < file\n",
    ],
)
def test_what_may_run_or_not_counts_and_is_told(form: str) -> None:
    script = document("acme/a:v1") + form.format(document("acme/b:v1"))
    assert listed(script) == ["acme/a:v1", "acme/b:v1"]
    assert sources(script).parsed.assumed == (4,)
    assert sources(form.format("ls\nA=b\n")).parsed.assumed == ()


def test_unknown_conditions_without_lists_are_not_told() -> None:
    assert sources(ASK.format("ls") + document("acme/a:v1")).parsed.assumed == ()


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ('[ "$GOARCH" = "amd64" ] && [ "$GOOS" = linux ]', True),
        ('[ "$GOARCH" = "arm64" ] || [ "$GOOS" = linux ]', True),
        ('[ "$GOOS" = "windows" ] && [ -f x ]', False),
        ('[[ "$GOOS" == "linux" || -f x ]]', True),
        ("! [ $GOARCH = arm64 ]", True),
        ('[ -z "$GOARCH" ]', False),
        ('[ -n "${REGISTRY}" ]', True),
    ],
)
def test_conditions_are_worked_out(condition: str, *, holds: bool) -> None:
    script = f"if {condition}; then\n{document('acme/a:v1')}fi\n"
    assert listed(script) == (["acme/a:v1"] if holds else [])
    assert sources(script).parsed.assumed == ()


def test_the_script_cannot_change_what_is_asked_for() -> None:
    script = "GOARCH=arm64\nREGISTRY=example.com\n" + EDITIONS
    assert listed(script) == ["acme/c:v1", "acme/amd:v1"]


def test_variables_of_version_sh_have_no_conditions() -> None:
    text = "A=v1\nif [ -n $X ]; then\nA=v2\nfi\nexport B=${B:-$A}\nC=$(git describe)\n"
    found = variables(text, file="v")
    assert {name: text_of(name, found) for name in found} == {"A": "v1", "B": "v1", "C": None}


def _doubling(levels: int, value: str) -> str:
    lines = "".join(f"V{n + 1}={f'${{V{n}}}' * 20}\n" for n in range(levels))
    return f"V0={value}\n{lines}" + document(f"acme/a:${{V{levels}}}")


@pytest.mark.parametrize("value", ["", "x"])
def test_variables_that_double_do_not_explode(value: str) -> None:
    (image,) = listed(_doubling(12, value))
    assert image == (None if value else "acme/a:")


def test_lists_that_double_are_refused() -> None:
    lines = "".join(f'V{n + 1}="$V{n} $V{n}"\n' for n in range(20))
    with pytest.raises(ConfigError, match=r"^build-images: lists more than 20000 images"):
        listed(f"V0=acme/a:v1\n{lines}" + document("$V20"))


def test_a_variable_of_itself_is_refused_or_unknown() -> None:
    script = "".join('X="$X acme/a:v1"\n' for _ in range(40)) + document("$X")
    with pytest.raises(ConfigError, match="nests variables too deeply"):
        listed(script)


def test_assignments_are_limited() -> None:
    script = "".join(f"V{n}=\n" for n in range(imagescript.MAX_ASSIGNMENTS + 1))
    with pytest.raises(ConfigError, match=r"^build-images: assigns variables more than 2000 times"):
        listed(script)


@pytest.mark.parametrize(
    "raw",
    [
        "${A" * 3000,
        "${A" + "${B}" * 3000,
        "${A:-" + "${B}" * 3000,
        "$" * 3000,
        "${A//" * 3000,
    ],
    ids=["open", "inner", "default", "signs", "swap"],
)
def test_long_words_are_not_known(raw: str) -> None:
    assert scalar(raw, {}) is None


@settings(max_examples=300)
@given(raw=st.text(alphabet="${}AB:-/#%+.v1\"' ", max_size=60))
def test_any_word_has_a_value_or_none(raw: str) -> None:
    found = scalar(raw, variables("A=v1\nB=$A-x\n", file="v"))
    assert found is None or "$" not in found
