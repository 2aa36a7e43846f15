from __future__ import annotations

import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rke2pack.errors import ConfigError
from rke2pack.tree import shell
from rke2pack.tree.shell import parse
from rke2pack.tree.statement import Assign, Choice, Junction, Loop, Output, Statement
from rke2pack.tree.statement import Test as Condition


def one(text: str) -> Statement:
    (statement,) = parse(text, file="s")
    return statement


def words(output: Statement) -> list[str]:
    assert isinstance(output, Output)
    return [word.raw for word in output.words]


@pytest.mark.parametrize(
    ("text", "name", "value", "appends", "is_array"),
    [
        ("A=b\n", "A", "b", False, False),
        ('A="b c"\n', "A", "b c", False, False),
        ("A='b'\n", "A", "b", False, False),
        ("A=${A:-b}\n", "A", "${A:-b}", False, False),
        ("A+=b\n", "A", "b", True, False),
        ("A=(b c)\n", "A", "b c", False, True),
        ("A+=(b)\n", "A", "b", True, True),
        ("A=\n", "A", "", False, False),
        ("export A=b\n", "A", "b", False, False),
        ("A=b # why\n", "A", "b", False, False),
        ("A=b", "A", "b", False, False),
    ],
)
def test_assignments(text: str, name: str, value: str, *, appends: bool, is_array: bool) -> None:
    found = one(text)
    assert isinstance(found, Assign)
    assert (found.name, found.value.raw) == (name, value)
    assert (found.appends, found.is_array) == (appends, is_array)
    assert text[found.value.start : found.value.end] == value


def test_comments_in_an_array_are_no_words() -> None:
    text = "A=(\n  b # not this\n  # nor this\n  'c d'\n)\n"
    found = one(text)
    assert isinstance(found, Assign)
    assert [word.raw for word in found.value.words()] == ["b", "'c", "d'"]
    assert len(found.value.raw) == text.index(")") - text.index("(") - 1


@pytest.mark.parametrize(
    ("head", "path", "appends"),
    [
        ("xargs -n1 -t docker image pull --quiet << EOF > build/images-x.txt", None, False),
        ("xargs -n1 -t $PULL_CMD << EOF >> $BUILD_DIR/images-x.txt", "$BUILD_DIR", True),
        ('xargs -n1 -t ${PULL_CMD_CORE} <<EOF >>"${BUILD_DIR}/images-x.txt"', "${BUILD_DIR}", True),
        ("cat <<EOF > build/images-x.txt # why", None, False),
        ("cat > build/images-x.txt << EOF", None, False),
        ("cat << 'EOF' > build/images-x.txt", None, False),
        ("cat 2>/dev/null << EOF > build/images-x.txt", None, False),
    ],
)
@pytest.mark.parametrize("newline", ["\n", "\r\n"])
def test_here_documents(head: str, path: str | None, newline: str, *, appends: bool) -> None:
    text = f"{head}\n    a:1\n  b:${{B}}\nEOF\n".replace("\n", newline)
    found = one(text)
    assert isinstance(found, Output)
    assert found.path == f"{path or 'build'}/images-x.txt"
    assert found.appends == appends
    assert words(found) == ["a:1", "b:${B}"]
    assert [text[word.start : word.end] for word in found.words] == ["a:1", "b:${B}"]
    assert found.document == text.index("<<")


def test_awk_takes_the_first_word_of_a_line() -> None:
    text = "awk '{print $1}' << EOF > build/images-x.txt\na:1 amd64,arm64\n  b:2   # why\nEOF\n"
    assert words(one(text)) == ["a:1", "b:2"]


def test_indented_here_document_ends_at_its_tabbed_end() -> None:
    assert words(one("cat <<-EOF > f\n\ta:1\n\tEOF\n")) == ["a:1"]


def test_last_line_needs_no_newline() -> None:
    assert words(one("cat << EOF > f\na:1\nEOF")) == ["a:1"]


def test_offsets_count_characters_not_bytes() -> None:
    text = "# é ✓ 漢字 \U0001f600\ncat << EOF > f # é\n  a:1\nEOF\n"
    (word,) = (w for s in parse(text, file="s") if isinstance(s, Output) for w in s.words)
    assert text[word.start : word.end] == "a:1"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('echo "a:1" >> f\n', ["a:1"]),
        ("echo a:1 b:2 >> f\n", ["a:1", "b:2"]),
        ("echo -n a:1 >> f\n", ["a:1"]),
        ("printf '%s\\n' a:1 b:2 >> f\n", ["a:1", "b:2"]),
    ],
)
def test_echo_and_printf_write_their_words(text: str, expected: list[str]) -> None:
    found = one(text)
    assert words(found) == expected
    assert isinstance(found, Output)
    assert found.appends
    assert found.document is None


@pytest.mark.parametrize("text", ["ls > f\n", "echo a\n", "echo a 2> f\n", "source f\n", "a < f\n"])
def test_other_commands_write_nothing_that_matters(text: str) -> None:
    assert parse(text, file="s") == ()


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ('[ "${R}" != "docker.io" ]', Condition(left="${R}", operator="!=", right="docker.io")),
        ("[ $A = b ]", Condition(left="$A", operator="=", right="b")),
        ("[[ $A == b ]]", Condition(left="$A", operator="=", right="b")),
        ('[ -z "$A" ]', Condition(left="$A", operator="=", right="")),
        (
            '[ -n "$A" ]',
            Junction(operator="!", parts=(Condition(left="$A", operator="=", right=""),)),
        ),
        (
            "[[ $A == b && $C != d ]]",
            Junction(
                operator="&&",
                parts=(
                    Condition(left="$A", operator="=", right="b"),
                    Condition(left="$C", operator="!=", right="d"),
                ),
            ),
        ),
        (
            "[ $A = b ] || [ $A = c ]",
            Junction(
                operator="||",
                parts=(
                    Condition(left="$A", operator="=", right="b"),
                    Condition(left="$A", operator="=", right="c"),
                ),
            ),
        ),
        (
            "! [ $A = b ]",
            Junction(operator="!", parts=(Condition(left="$A", operator="=", right="b"),)),
        ),
        ("[ -f file ]", None),
        ("grep -q a b", None),
        ("[[ $A =~ ^b ]]", None),
    ],
)
def test_conditions(condition: str, expected: object) -> None:
    found = one(f"if {condition}; then\nA=b\nfi\n")
    assert isinstance(found, Choice)
    assert found.branches[0][0] == expected
    assert found.line == 1


def test_every_branch_is_kept() -> None:
    found = one("if [ $A = a ]; then\nX=1\nelif [ $A = b ]; then\nX=2\nelse\nX=3\nfi\n")
    assert isinstance(found, Choice)
    bodies = [*(body for _, body in found.branches), found.otherwise]
    assert [b.value.raw for (b,) in bodies if isinstance(b, Assign)] == ["1", "2", "3"]


def test_loops() -> None:
    found = one('for i in a:1 "b:2" \\\n  c:3; do\n  echo $i >> f\ndone\n')
    assert isinstance(found, Loop)
    assert (found.name, [w.raw for w in found.words]) == ("i", ["a:1", "b:2", "c:3"])
    assert words(found.body[0]) == ["$i"]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("if [ a = b ]; then\n", 1),
        ('A=1\n"\n', 2),
        ("cat << EOF > f\na:1\n", 3),
        ("A=1\nif a; then\n# b\nfi\n", 2),
        ("if a; then\nb\nelse\nfi\n", 3),
        ("if a; then\nb\nelif c; then\nfi\n", 3),
        ("for i in a; do\ndone\n", 1),
        ("a=\0\n", 1),
    ],
)
def test_what_is_no_script_is_named_with_its_line(text: str, line: int) -> None:
    with pytest.raises(ConfigError, match=rf"^s: line {line}: not understood as a shell script$"):
        parse(text, file="s")


def test_here_documents_are_limited() -> None:
    with pytest.raises(ConfigError, match=rf"^s: more than {shell.MAX_DOCUMENTS} here-documents$"):
        parse("cat <<A " * (shell.MAX_DOCUMENTS + 1), file="s")


def test_size_is_limited() -> None:
    with pytest.raises(ConfigError, match=rf"^s: longer than {shell.MAX_BYTES} bytes$"):
        parse("#" * (shell.MAX_BYTES + 1), file="s")


@pytest.mark.parametrize(
    "text",
    [
        "if a; then\n" * 300 + "fi\n" * 300,
        "{ " * 3000 + "echo a; " + "} ; " * 3000,
        "( " * 3000 + "echo a" + " )" * 3000 + " > f\n",
        "echo " + "${a:-" * 3000 + "}" * 3000 + " > f\n",
        "echo " + "$(" * 3000 + ")" * 3000 + " > f\n",
        "if " + "! " * 3000 + "a; then b; fi\n",
        "if [[ " + "( " * 3000 + "a" + " )" * 3000 + " ]]; then b; fi\n",
    ],
    ids=["if", "group", "subshell", "expansion", "substitution", "not", "test"],
)
def test_deep_nesting_is_no_crash(text: str) -> None:
    with contextlib.suppress(ConfigError):
        parse(text, file="s")


PIECES = st.sampled_from(
    [
        *("if ", "then\n", "else\n", "elif ", "fi\n", "for i in ", "do\n", "done\n", "EOF\n"),
        *("cat << EOF > build/images-x.txt\n", "[ $A = b ]; ", "A=", "A+=(", ")", '"', "'", "\n"),
        *("${A:-", "}", "$(", "`", "\\", "\r\n", "é", "#", ";", "&&", "|", ">", "<<", "{", "\0"),
    ]
)


@settings(max_examples=300)
@given(text=st.one_of(st.text(), st.lists(PIECES, max_size=40).map("".join)))
def test_any_text_is_parsed_or_refused(text: str) -> None:
    try:
        found = parse(text, file="s")
    except ConfigError:
        return
    for statement in found:
        if isinstance(statement, Output):
            assert all(text[word.start : word.end] == word.raw for word in statement.words)
