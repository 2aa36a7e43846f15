"""Shell scripts as data: assignments, conditions and what is written to which file.

A script is parsed (tree-sitter's Bash grammar), never run. Only what lists are
made of is kept: the rest of a script, known or not, is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

import tree_sitter
import tree_sitter_bash

from rke2pack.errors import ConfigError
from rke2pack.tree.statement import (
    Assign,
    Choice,
    Condition,
    Junction,
    Loop,
    Output,
    Statement,
    Test,
    Text,
    flat,
)

if TYPE_CHECKING:
    from tree_sitter import Node

MAX_BYTES = 1024 * 1024
MAX_DOCUMENTS = 500  # the grammar's time grows with their square
MAX_DEPTH = 50
_WRITERS = frozenset({"echo", "printf"})
_FIRST_WORD_ONLY = "awk"
_GROUPS = frozenset(
    {"declaration_command", "list", "compound_statement", "subshell", "do_group", "case_item"}
)
_BODIES = frozenset({"if_statement", "elif_clause", "else_clause", "do_group"})
_NO_COMMANDS = frozenset({"comment", "elif_clause", "else_clause"})
_WHOLE = frozenset(
    {"compound_statement", "subshell", "for_statement", "while_statement", "if_statement"}
    | {"case_statement"}
)
_TEST_WORDS = frozenset({"-z", "-n"})


def parse(text: str, *, file: str) -> tuple[Statement, ...]:
    """Parse a script; raises ConfigError with the line for what is no shell syntax."""
    data = text.encode()
    if len(data) > MAX_BYTES:
        msg = f"{file}: longer than {MAX_BYTES} bytes"
        raise ConfigError(msg)
    if text.count("<<") > MAX_DOCUMENTS:
        msg = f"{file}: more than {MAX_DOCUMENTS} here-documents"
        raise ConfigError(msg)
    if len(data) != len(text):  # the grammar counts bytes, everybody else characters
        data = "".join(c if c.isascii() else "?" for c in text).encode()
    root = _parser().parse(data).root_node
    wrong = _first_error(root) or _first_empty(root)
    if wrong is not None:
        msg = f"{file}: line {wrong.start_point.row + 1}: not understood as a shell script"
        raise ConfigError(msg, hint="correct the line, or report it with the line's text")
    return _Reader(text, file).block(root, 0)


@cache
def _parser() -> tree_sitter.Parser:
    return tree_sitter.Parser(tree_sitter.Language(tree_sitter_bash.language()))


def _first_error(root: Node) -> Node | None:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.is_error or node.is_missing:
            return node
        if node.has_error:
            waiting += reversed(node.children)
    return None


def _first_empty(root: Node) -> Node | None:
    """Return a body without any command, which the grammar takes and a shell does not."""
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type in _BODIES:
            then = next((i for i, c in enumerate(node.children) if c.type == "then"), 0)
            body = (c.type for c in node.children[then:] if c.is_named)
            if all(kind in _NO_COMMANDS for kind in body):
                return node
        waiting += reversed(node.named_children)
    return None


class _Reader:
    def __init__(self, text: str, file: str) -> None:
        self._text = text
        self._file = file
        self._into = ""  # the file that a group around writes to

    def block(self, node: Node, depth: int) -> tuple[Statement, ...]:
        return tuple(s for child in node.named_children for s in self._statement(child, depth + 1))

    def _statement(self, node: Node, depth: int) -> tuple[Statement, ...]:
        if depth > MAX_DEPTH:
            msg = f"{self._file}: line {node.start_point.row + 1}: nested too deeply"
            raise ConfigError(msg)
        found: tuple[Statement, ...] = ()
        match node.type:
            case "variable_assignment":
                found = self._assignment(node)
            case "redirected_statement":
                found = self._redirected(node, depth)
            case "command" if self._into:
                found = self._echoed(node)
            case "if_statement":
                found = (self._choice(node, depth),)
            case "for_statement":
                found = self._loop(node, depth)
            case "function_definition" | "while_statement" | "case_statement":
                found = self._unsure(node, depth)
            case _ if node.type in _GROUPS:
                found = self.block(node, depth)
        return found

    def _piece(self, start: int, end: int) -> Text:
        return Text(file=self._file, start=start, raw=self._text[start:end])

    def _value(self, node: Node) -> Text:
        """Return the text of a value without its quotes or parentheses, comments as blanks."""
        enclosed = node.type in {"string", "raw_string", "array"}
        inset = 1 if enclosed else 0
        text = self._piece(node.start_byte + inset, node.end_byte - inset)
        for comment in (child for child in node.named_children if child.type == "comment"):
            start, end = (at - text.start for at in (comment.start_byte, comment.end_byte))
            blank = " " * (end - start)
            text = replace(text, raw=f"{text.raw[:start]}{blank}{text.raw[end:]}")
        return text

    def _assignment(self, node: Node) -> tuple[Statement, ...]:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        if name is None or name.type != "variable_name":
            return ()
        appends = any(child.type == "+=" for child in node.children)
        nothing = self._piece(node.end_byte, node.end_byte)
        text = self._value(value) if value is not None else nothing
        is_array = value is not None and value.type == "array"
        return (Assign(name=self._raw(name), value=text, appends=appends, is_array=is_array),)

    def _raw(self, node: Node) -> str:
        return self._text[node.start_byte : node.end_byte]

    def _redirected(self, node: Node, depth: int) -> tuple[Statement, ...]:
        """Read a command, or a group whose commands all write to one file."""
        body = node.child_by_field_name("body")
        if body is None or body.type not in _WHOLE:
            return self._output(node)
        targets = [n for n in node.children if n.type == "file_redirect" and _writes(n)]
        if not targets:
            return self._statement(body, depth)
        path = self._path(targets[-1])
        outer, self._into = self._into, path
        inner = self._statement(body, depth)
        self._into = outer
        return (Output(path=path, words=(), appends=_appends(targets[-1]), document=None), *inner)

    def _path(self, redirect: Node) -> str:
        target = redirect.child_by_field_name("destination") or redirect.named_children[-1]
        return self._raw(target).strip("\"'")

    def _echoed(self, command: Node) -> tuple[Statement, ...]:
        name = next((n for n in command.children if n.type == "command_name"), None)
        if name is None or self._raw(name) not in _WRITERS:
            return ()
        words = tuple(self._arguments(command))
        return (Output(path=self._into, words=words, appends=True, document=None),)

    def _output(self, node: Node) -> tuple[Statement, ...]:
        """Read what a command writes to its last redirection; the first one has the words."""
        document = next((n for n in _below(node) if n.type == "heredoc_redirect"), None)
        targets = [n for n in _below(node) if n.type == "file_redirect" and _writes(n)]
        if not targets and not self._into:
            return ()
        command = next((n for n in _below(node) if n.type == "command_name"), None)
        name = self._raw(command) if command is not None else ""
        if document is not None:
            words = self._document(document, is_first_only=name == _FIRST_WORD_ONLY)
        elif name in _WRITERS:
            words = tuple(self._arguments(next(n for n in _below(node) if n.type == "command")))
        else:
            return ()
        return (
            Output(
                path=self._path(targets[-1]) if targets else self._into,
                words=words,
                appends=_appends(targets[-1]) if targets else True,
                document=document.start_byte if document is not None else None,
            ),
        )

    def _arguments(self, command: Node) -> Iterator[Text]:
        """Yield what echo or printf writes: its words without options and printf's format."""
        arguments = [self._value(node) for node in command.named_children[1:]]
        if arguments and (arguments[0].raw.startswith("-") or "%" in arguments[0].raw):
            del arguments[0]
        yield from (word for each in arguments for word in each.words())

    def _document(self, node: Node, *, is_first_only: bool) -> tuple[Text, ...]:
        body = next((n for n in node.children if n.type == "heredoc_body"), None)
        if body is None:
            return ()
        start = self._text.rfind("\n", 0, body.start_byte) + 1  # the grammar leaves out the indent
        end = next((n.start_byte for n in node.children if n.type == "heredoc_end"), body.end_byte)
        piece = self._piece(start, end)
        return tuple(piece.first_words() if is_first_only else piece.words())

    def _choice(self, node: Node, depth: int) -> Choice:
        branches = [self._branch(node, depth)]
        otherwise: tuple[Statement, ...] = ()
        for child in node.named_children:
            if child.type == "elif_clause":
                branches.append(self._branch(child, depth))
            elif child.type == "else_clause":
                otherwise = self.block(child, depth)
        return Choice(branches=tuple(branches), otherwise=otherwise, line=node.start_point.row + 1)

    def _unsure(self, node: Node, depth: int) -> tuple[Statement, ...]:
        """Read what may run or not, as a condition that is not understood; only with outputs."""
        body = self.block(node, depth)
        if not any(isinstance(statement, Output) for statement in flat(body)):
            return ()
        line = node.start_point.row + 1
        return (Choice(branches=((None, body),), otherwise=(), line=line),)

    def _branch(self, node: Node, depth: int) -> tuple[Condition, tuple[Statement, ...]]:
        """Split a clause at ``then``: before it the condition, behind it the statements."""
        then = next(i for i, child in enumerate(node.children) if child.type == "then")
        tests = [child for child in node.children[:then] if child.is_named]
        condition = self._condition(tests[0], 0) if len(tests) == 1 else None
        body = [
            child
            for child in node.children[then + 1 :]
            if child.is_named and child.type not in {"elif_clause", "else_clause"}
        ]
        return condition, tuple(s for child in body for s in self._statement(child, depth + 1))

    def _condition(self, node: Node, depth: int) -> Condition:
        if depth > MAX_DEPTH:
            return None
        inner = [child for child in node.children if child.is_named]
        match node.type:
            case "test_command" | "parenthesized_expression" if len(inner) == 1:
                return self._condition(inner[0], depth + 1)
            case "negated_command":
                return Junction(operator="!", parts=(self._condition(inner[0], depth + 1),))
            case "list" | "binary_expression":
                return self._joined(node, inner, depth)
            case "unary_expression":
                return self._unary(node, inner, depth)
            case _:
                return None

    def _joined(self, node: Node, inner: list[Node], depth: int) -> Condition:
        operator = next((c.type for c in node.children if not c.is_named), "")
        if not operator:
            operator = next((self._raw(c) for c in inner if c.type == "test_operator"), "")
            inner = [c for c in inner if c.type != "test_operator"]
        if len(inner) != 2:  # noqa: PLR2004 - left and right
            return None
        if operator in {"&&", "||", "-a", "-o"}:
            parts = tuple(self._condition(child, depth + 1) for child in inner)
            return Junction(operator="&&" if operator in {"&&", "-a"} else "||", parts=parts)
        if operator in {"=", "==", "!="}:
            left, right = (self._value(child).raw for child in inner)
            return Test(left=left, operator="!=" if operator == "!=" else "=", right=right)
        return None

    def _unary(self, node: Node, inner: list[Node], depth: int) -> Condition:
        if node.children and node.children[0].type == "!":
            return Junction(operator="!", parts=(self._condition(inner[-1], depth + 1),))
        operator = self._raw(inner[0])
        if operator not in _TEST_WORDS or len(inner) != 2:  # noqa: PLR2004 - operator, operand
            return None
        is_empty = Test(left=self._value(inner[1]).raw, operator="=", right="")
        return is_empty if operator == "-z" else Junction(operator="!", parts=(is_empty,))

    def _loop(self, node: Node, depth: int) -> tuple[Statement, ...]:
        name, body = node.child_by_field_name("variable"), node.child_by_field_name("body")
        if name is None or body is None:
            return ()
        values = node.children_by_field_name("value")
        words = tuple(word for value in values for word in self._value(value).words())
        return (Loop(name=self._raw(name), words=words, body=self.block(body, depth)),)


def _below(node: Node) -> Iterator[Node]:
    """Yield the nodes below one, in the order of the text; nested scripts are left out."""
    waiting = list(reversed(node.children))
    while waiting:
        child = waiting.pop()
        yield child
        if child.type != "command_substitution":
            waiting += reversed(child.children)


def _appends(redirect: Node) -> bool:
    return any(child.type == ">>" for child in redirect.children)


def _writes(redirect: Node) -> bool:
    """Whether ``>`` or ``>>`` of standard output."""
    signs = {child.type for child in redirect.children}
    return bool(signs & {">", ">>"}) and not any(
        child.type == "file_descriptor" and child.text != b"1" for child in redirect.children
    )
