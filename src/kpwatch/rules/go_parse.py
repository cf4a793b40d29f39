r"""Go's text/template, read. Pure.

    {{.Labels.job}} {{$value}} {{$x := 1}} {{$x = 2}} {{$}}    values, variables
    "text" `text` 'c' 5 0x1f 5.0 true nil                      literals
    {{f a b | g}} {{(f a).field}}                              functions, pipelines
    {{if}} {{else if}} {{else}} {{with}} {{range $i, $v := …}} {{break}} {{continue}} {{end}}
    {{define "n"}} {{template "n" .}} {{block "n" .}}          templates in templates
    {{- trims the blanks before, and behind -}}  {{/* … */}}

(text/template/parse of Go's standard library.) What is wrong is said with the line it stands on; a function or variable
that does not exist is refused here, before anything is evaluated. Blocks and parentheses nest `MAX_DEPTH` deep at most,
and a template has at most `MAX_CHARACTERS`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from kpwatch.rules.go_tree import (
    Block,
    Command,
    Constant,
    Function,
    Include,
    Leave,
    Nested,
    Node,
    Operand,
    Path,
    Pipeline,
    Printed,
    Template,
    Words,
)

if TYPE_CHECKING:
    from collections.abc import Collection

MAX_DEPTH = 100
MAX_CHARACTERS = 1 << 20

_TOKEN = re.compile(
    r"""(?P<blank>[ \t\r\n]+)
    |(?P<text>"(?:\\.|[^"\\\n])*"|`[^`]*`)
    |(?P<char>'(?:\\.|[^'\\\n])')
    |(?P<number>[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:\d[\d_]*\.?\d*|\.\d+)(?:[eE][+-]?\d+)?))
    |(?P<field>\.[A-Za-z_\u0080-\U0010ffff][\w]*)
    |(?P<variable>\$\w*)
    |(?P<word>[A-Za-z_\u0080-\U0010ffff]\w*)
    |(?P<mark>:=|[.=|(),])""",
    re.VERBOSE,
)
_ACTION_START = re.compile(r"\{\{(-(?=\s))?")
_CONSTANTS = {"true": True, "false": False, "nil": None}
_ESCAPE = re.compile(r"\\(?:x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))", re.DOTALL)
_ESCAPES = {**dict(zip("abfnrtv", "\a\b\f\n\r\t\v", strict=True)), "\\": "\\", '"': '"', "'": "'"}
_STARTS = ("if", "with", "range", "define", "block")


class TemplateError(ValueError):
    """A template that is none, or that cannot be made into text."""


class _Token(NamedTuple):
    kind: str
    text: str
    glued: bool
    """No blank stands before it."""


class _Piece(NamedTuple):
    """Text, and the action behind it (None at the end)."""

    text: str
    action: str | None
    line: int


def parse(text: str, functions: Collection[str], variables: Collection[str] = ()) -> Template:
    """The template; `functions` and `variables` (`$value` …) are those there are. Raises TemplateError."""
    if len(text) > MAX_CHARACTERS:
        raise TemplateError(f"the template has {len(text)} characters, more than {MAX_CHARACTERS}")
    return _Parser(_pieces(text), functions, ("$", *variables)).template()


def _pieces(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    position, trim, line = 0, False, 1
    while (start := _ACTION_START.search(text, position)) is not None:
        before = text[position : start.start()]
        line += before.count("\n")
        end, body, trims = _action_end(text, start.end(), line)
        shown = before.lstrip() if trim else before
        shown = shown.rstrip() if start[1] else shown
        pieces.append(_Piece(shown, body, line))
        line += text.count("\n", start.start(), end)
        position, trim = end, trims
    rest = text[position:]
    pieces.append(_Piece(rest.lstrip() if trim else rest, None, line))
    return pieces


def _action_end(text: str, begin: int, line: int) -> tuple[int, str, bool]:
    """(behind the action, what stands in it, whether blanks behind it go)."""
    comment = re.compile(r"\s*/\*").match(text, begin)
    if comment:
        close = text.find("*/", comment.end())
        found = re.compile(r"(\s+-)?\}\}").match(text, close + 2) if close >= 0 else None
        if found is None:
            raise TemplateError(f"line {line}: unclosed comment")
        return found.end(), "", bool(found[1])
    position = begin
    while position < len(text):
        if text.startswith("}}", position):
            body = text[begin:position]
            trims = body.endswith("-") and body[:-1] != body[:-1].rstrip()
            return position + 2, (body[:-1] if trims else body), trims
        token = _TOKEN.match(text, position) if text[position] in "\"`'" else None
        position = token.end() if token else position + 1
    raise TemplateError(f"line {line}: unclosed action: {{{{ without }}}}")


class _Parser:
    def __init__(self, pieces: list[_Piece], functions: Collection[str], variables: tuple[str, ...]) -> None:
        self._pieces = pieces
        self._next = 0
        self._functions = functions
        self._variables = list(variables)
        self._depth = 0
        self._loops = 0
        self._result = Template()
        self._line = 1
        self._tokens: list[_Token] = []
        self._at = 0

    def template(self) -> Template:
        body, end = self._nodes()
        if end:
            raise self._wrong(f"unexpected {{{{{end}}}}}")
        self._result.body = body
        return self._result

    def _wrong(self, reason: str) -> TemplateError:
        return TemplateError(f"line {self._line}: {reason}")

    # Nodes, one action after the other.

    def _nodes(self) -> tuple[tuple[Node, ...], str]:
        """(nodes up to `end`, `else` or the end of the text, that word)."""
        nodes: list[Node] = []
        while self._next < len(self._pieces):
            piece = self._pieces[self._next]
            self._next += 1
            self._line = piece.line
            if piece.text:
                nodes.append(Words(piece.text))
            if not (piece.action or "").strip():
                continue
            self._open(piece.action or "")
            word = self._peek_word()
            if word in ("end", "else"):
                self._take()
                return tuple(nodes), word
            node = self._action(word)
            if node is not None:
                nodes.append(node)
        return tuple(nodes), ""

    def _action(self, word: str) -> Node | None:
        if word in _STARTS:
            self._take()
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise self._wrong(f"more than {MAX_DEPTH} blocks in blocks")
            node = self._definition(word) if word in ("define", "block") else self._block(word)
            self._depth -= 1
            return node
        if word == "template":
            self._take()
            name = self._name("template")
            pipeline = self._pipeline() if self._peek() else None
            self._close("template")
            return Include(name, pipeline)
        if word in ("break", "continue"):
            self._take()
            self._close(word)
            if not self._loops:
                raise self._wrong(f"{{{{{word}}}}} outside {{{{range}}}}")
            return Leave("break" if word == "break" else "continue")
        pipeline = self._declaration()
        self._close("command")
        return Printed(pipeline)

    def _block(self, word: str) -> Block:
        kept = len(self._variables)
        pipeline = self._declaration(in_range=word == "range")
        self._close(word)
        self._loops += word == "range"
        body, end = self._nodes()
        self._loops -= word == "range"
        otherwise: tuple[Node, ...] = ()
        if end == "else":
            inner = self._peek_word()
            if inner:
                if inner not in ("if", "with") or (inner != word and word == "range"):
                    raise self._wrong(f"unexpected {{{{else {inner}}}}}")
                self._take()
                otherwise, end = (self._nested_else(inner),), "end"
            else:
                self._close("else")
                otherwise, end = self._nodes()
        if end != "end":
            raise self._wrong(f"{{{{{word}}}}} without {{{{end}}}}")
        del self._variables[kept:]
        return Block(word, pipeline, body, otherwise)  # type: ignore[arg-type]

    def _nested_else(self, word: str) -> Block:
        """`{{else if …}}` ends with the `{{end}}` of the block that it belongs to."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(f"more than {MAX_DEPTH} blocks in blocks")
        block = self._block(word)
        self._depth -= 1
        return block

    def _definition(self, word: str) -> Node | None:
        name = self._name(word)
        pipeline = self._pipeline() if word == "block" else None
        self._close(word)
        variables, self._variables = self._variables, ["$"]
        loops, self._loops = self._loops, 0
        body, end = self._nodes()
        if end != "end":
            raise self._wrong(f"{{{{{word} {name!r}}}}} without {{{{end}}}}")
        self._variables, self._loops = variables, loops
        self._result.defined[name] = body
        return Include(name, pipeline) if word == "block" else None

    # One action's tokens.

    def _open(self, action: str) -> None:
        tokens: list[_Token] = []
        position, glued = 0, False
        while position < len(action):
            found = _TOKEN.match(action, position)
            if found is None:
                raise self._wrong(f"unexpected {action[position : position + 20]!r} in {{{{{action.strip()[:60]}}}}}")
            kind = found.lastgroup or ""
            if kind == "number" and tokens and glued and tokens[-1].kind != "mark":
                raise self._wrong(f"unexpected {found[0]!r} in {{{{{action.strip()[:60]}}}}}")
            if kind != "blank":
                tokens.append(_Token(kind, found[0], glued))
            glued = kind != "blank"
            position = found.end()
        self._tokens, self._at = tokens, 0

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _peek_word(self) -> str:
        token = self._peek()
        return token.text if token is not None and token.kind == "word" else ""

    def _peek_mark(self, *marks: str) -> bool:
        token = self._peek()
        return token is not None and token.kind == "mark" and token.text in marks

    def _take(self) -> _Token:
        token = self._peek()
        if token is None:
            raise self._wrong("missing value for command")
        self._at += 1
        return token

    def _close(self, what: str) -> None:
        token = self._peek()
        if token is not None:
            raise self._wrong(f"unexpected {token.text!r} in {what}")

    def _name(self, what: str) -> str:
        token = self._take()
        if token.kind != "text":
            raise self._wrong(f"unexpected {token.text!r} in {what}: expected a name in quotes")
        return self._unquoted(token.text)

    def _declaration(self, *, in_range: bool = False) -> Pipeline:
        """A pipeline that may begin with `$x :=`, `$x =` or, in a range, `$i, $x :=`."""
        names = self._declared(2 if in_range else 1)
        if names is None:
            return self._pipeline()
        assigns = self._take().text == "="
        for name in names:
            if assigns and name not in self._variables:
                raise self._wrong(f"undefined variable {name!r}")
        pipeline = self._pipeline()
        if not assigns:
            self._variables += names
        return Pipeline(pipeline.commands, tuple(names), assigns)

    def _declared(self, most: int) -> list[str] | None:
        names: list[str] = []
        at = self._at
        while at < len(self._tokens) and self._tokens[at].kind == "variable" and len(names) < most:
            names.append(self._tokens[at].text)
            following = self._tokens[at + 1] if at + 1 < len(self._tokens) else None
            if following is not None and following.text in (":=", "="):
                self._at = at + 1
                return names
            if following is None or following.text != ",":
                return None
            at += 2
        return None

    def _pipeline(self) -> Pipeline:
        commands = [self._command()]
        while self._peek_mark("|"):
            self._take()
            command = self._command()
            if not command.function:
                raise self._wrong(f"non executable command in pipeline stage {len(commands) + 1}: {command.text}")
            commands.append(command)
        return Pipeline(tuple(commands))

    def _command(self) -> Command:
        begin = self._at
        operands: list[Operand] = []
        while self._peek() is not None and not self._peek_mark("|", ")"):
            if operands and (token := self._peek()) is not None and token.glued:
                raise self._wrong(f"unexpected {token.text!r} behind {operands[-1].text}")
            operands.append(self._operand())
        text = " ".join(token.text for token in self._tokens[begin : self._at])
        if not operands:
            raise self._wrong("missing value for command")
        first = operands[0]
        if isinstance(first, Function):
            return Command(first.name, tuple(operands[1:]), text)
        if len(operands) > 1:
            raise self._wrong(f"can't give argument to non-function {first.text}")
        return Command("", (first,), text)

    def _operand(self) -> Operand:
        token = self._take()
        if token.kind == "field":
            return Path("", (token.text[1:], *self._fields()))
        if token.kind == "variable":
            if token.text not in self._variables:
                raise self._wrong(f"undefined variable {token.text!r}")
            return Path(token.text, self._fields())
        if token.kind == "mark" and token.text == ".":
            return Path("", ())
        if token.kind == "mark" and token.text == "(":
            return self._parenthesis()
        if token.kind == "word" and token.text not in _CONSTANTS:
            if token.text not in self._functions:
                raise self._wrong(f"function {token.text!r} not defined")
            return Function(token.text)
        return Constant(self._literal(token), token.text)

    def _parenthesis(self) -> Nested:
        begin = self._at
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self._wrong(f"more than {MAX_DEPTH} parentheses in parentheses")
        pipeline = self._pipeline()
        if not self._peek_mark(")"):
            raise self._wrong("unclosed left paren")
        self._take()
        self._depth -= 1
        text = "(" + " ".join(token.text for token in self._tokens[begin : self._at - 1]) + ")"
        return Nested(pipeline, self._fields(), text)

    def _fields(self) -> tuple[str, ...]:
        names = []
        while (token := self._peek()) is not None and token.kind == "field" and token.glued:
            names.append(self._take().text[1:])
        return tuple(names)

    def _literal(self, token: _Token) -> object:
        if token.kind == "text":
            return self._unquoted(token.text)
        if token.kind == "char":
            return ord(self._unquoted(token.text))
        if token.kind == "word":
            return _CONSTANTS[token.text]
        if token.kind != "number":
            raise self._wrong(f"unexpected {token.text!r} in operand")
        try:
            return int(token.text, 0) if not re.fullmatch(r"[+-]?0\d+", token.text) else int(token.text, 8)
        except ValueError:
            return self._float(token.text)

    def _float(self, text: str) -> float:
        try:
            return float(text)
        except ValueError as error:
            raise self._wrong(f"bad number syntax: {text!r}") from error

    def _unquoted(self, quoted: str) -> str:
        if quoted[0] == "`":
            return quoted[1:-1]

        def character(match: re.Match[str]) -> str:
            code = match[1] or match[2] or match[3]
            if code:
                return chr(min(int(code, 16), 0x10FFFF))
            if match[4]:
                return chr(int(match[4], 8))
            if match[5] not in _ESCAPES:
                raise self._wrong(f"the escape \\{match[5]} in {quoted} is none of Go's")
            return _ESCAPES[match[5]]

        return _ESCAPE.sub(character, quoted[1:-1])
