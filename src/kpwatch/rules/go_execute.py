"""Templates made into text, within bounds. Pure.

What Go does (text/template/exec.go) with values as `go_print` has them. A rule's template is somebody's program:
it has `MAX_STEPS` steps, `MAX_DEPTH` blocks and templates within each other, and `MAX_CHARACTERS` of output, as has any
text that it makes on the way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kpwatch.rules.go_parse import TemplateError
from kpwatch.rules.go_print import AnyMap, Map, Moment, Struct, text_of, type_name
from kpwatch.rules.go_tree import Block, Constant, Function, Include, Leave, Nested, Path, Printed, Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from kpwatch.rules.go_tree import Command, Node, Operand, Pipeline, Template

    Functions = Mapping[str, Callable[..., Any]]

MAX_STEPS = 100_000
MAX_DEPTH = 100
MAX_CHARACTERS = 1 << 18


class _Left(Exception):
    """`break` or `continue`."""


class _Break(_Left):
    pass


class _Continue(_Left):
    pass


_LEAVES: dict[str, type[_Left]] = {"break": _Break, "continue": _Continue}


def execute(template: Template, data: object, functions: Functions, variables: Mapping[str, Any]) -> str:
    """The text; raises TemplateError."""
    run = _Execution(template, functions)
    run.walk(template.body, data, [("$", data), *variables.items()])
    return "".join(run.output)


def is_true(value: Any) -> bool:
    """Go's truth: not the zero value, not empty. NaN is true."""
    return True if isinstance(value, Struct | Moment) else bool(value)


class _Execution:
    def __init__(self, template: Template, functions: Functions) -> None:
        self.output: list[str] = []
        self._template = template
        self._functions = functions
        self._steps = 0
        self._depth = 0
        self._characters = 0

    def walk(self, nodes: Iterable[Node], dot: Any, variables: list[tuple[str, Any]]) -> None:
        """Execute nodes; variables that they declare are gone afterwards."""
        kept = len(variables)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise TemplateError(f"exceeded maximum template depth ({MAX_DEPTH})")
        for node in nodes:
            self._step()
            match node:
                case Words(text):
                    self._write(text)
                case Printed(pipeline):
                    value = self._pipeline(pipeline, dot, variables)
                    if not pipeline.names:
                        self._write(text_of(value))
                case Block():
                    self._block(node, dot, variables)
                case Include(name, pipeline):
                    self._include(name, pipeline, dot, variables)
                case Leave(kind):
                    raise _LEAVES[kind]
        del variables[kept:]
        self._depth -= 1

    def _step(self) -> None:
        self._steps += 1
        if self._steps > MAX_STEPS:
            raise TemplateError(f"the template takes more than {MAX_STEPS} steps")

    def _write(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > MAX_CHARACTERS:
            raise TemplateError(f"the text is longer than {MAX_CHARACTERS} characters")
        self.output.append(text)

    def _block(self, block: Block, dot: Any, variables: list[tuple[str, Any]]) -> None:
        kept = len(variables)
        value = self._pipeline(block.pipeline, dot, variables, declares=block.kind != "range")
        if block.kind == "range":
            self._range(block, value, dot, variables)
        elif is_true(value):
            self.walk(block.body, value if block.kind == "with" else dot, variables)
        else:
            self.walk(block.otherwise, dot, variables)
        del variables[kept:]

    def _range(self, block: Block, value: Any, dot: Any, variables: list[tuple[str, Any]]) -> None:
        items = _items(value)
        if not items:
            self.walk(block.otherwise, dot, variables)
        names = block.pipeline.names
        kept, depth = len(variables), self._depth
        for key, item in items:
            values = (item,) if len(names) == 1 else (key, item)
            for name, one in zip(names, values, strict=False):
                if block.pipeline.assigns:
                    _assign(variables, name, one)
                else:
                    variables.append((name, one))
            try:
                self.walk(block.body, item, variables)
            except _Continue:
                pass
            except _Break:
                break
            finally:
                self._depth = depth
                del variables[kept:]

    def _include(self, name: str, pipeline: Pipeline | None, dot: Any, variables: list[tuple[str, Any]]) -> None:
        body = self._template.defined.get(name)
        if body is None:
            raise TemplateError(f'template "{name}" not defined')
        data = None if pipeline is None else self._pipeline(pipeline, dot, variables)
        self.walk(body, data, [("$", data)])

    def _pipeline(
        self, pipeline: Pipeline, dot: Any, variables: list[tuple[str, Any]], *, declares: bool = True
    ) -> Any:
        value: Any = None
        for number, command in enumerate(pipeline.commands):
            value = self._command(command, (value,) if number else (), dot, variables)
        if declares:
            for name in pipeline.names:
                if pipeline.assigns:
                    _assign(variables, name, value)
                else:
                    variables.append((name, value))
        return value

    def _command(self, command: Command, last: tuple[Any, ...], dot: Any, variables: list[tuple[str, Any]]) -> Any:
        self._step()
        if not command.function:
            if isinstance(command.arguments[0], Constant) and command.arguments[0].value is None:
                raise TemplateError("nil is not a command")
            return self._operand(command.arguments[0], dot, variables)
        if command.function in ("and", "or"):
            return self._logic(command, last, dot, variables)
        arguments = [self._operand(one, dot, variables) for one in command.arguments]
        return self._called(command.function, (*arguments, *last), command.text)

    def _logic(self, command: Command, last: tuple[Any, ...], dot: Any, variables: list[tuple[str, Any]]) -> Any:
        """`and` and `or` evaluate no more than they need."""
        wanted = command.function == "or"
        value: Any = None
        for argument in command.arguments:
            value = self._operand(argument, dot, variables)
            if is_true(value) is wanted:
                return value
        if not command.arguments and not last:
            raise TemplateError(f"wrong number of args for {command.function}: want at least 1 got 0")
        return last[0] if last else value

    def _called(self, name: str, arguments: tuple[Any, ...], shown: str) -> Any:
        try:
            value = self._functions[name](*arguments)
        except TemplateError as error:
            raise TemplateError(f"<{shown}>: error calling {name}: {error}") from error
        except TypeError as error:
            raise TemplateError(f"<{shown}>: wrong number of args for {name}: got {len(arguments)}") from error
        if isinstance(value, str) and len(value) > MAX_CHARACTERS:
            raise TemplateError(f"<{shown}>: the text is longer than {MAX_CHARACTERS} characters")
        return value

    def _operand(self, operand: Operand, dot: Any, variables: list[tuple[str, Any]]) -> Any:
        match operand:
            case Constant(value, _):
                return value
            case Path(start, fields):
                found = dot if not start else next(value for name, value in reversed(variables) if name == start)
                return _field(found, fields, operand.text)
            case Nested(pipeline, fields, text):
                self._step()
                return _field(self._pipeline(pipeline, dot, variables), fields, text)
            case Function(name):
                self._step()
                return self._called(name, (), name)


def _assign(variables: list[tuple[str, Any]], name: str, value: Any) -> None:
    for place in range(len(variables) - 1, -1, -1):
        if variables[place][0] == name:
            variables[place] = (name, value)
            return


def _items(value: Any) -> list[tuple[Any, Any]]:
    match value:
        case Map() | AnyMap():
            return [(key, value[key]) for key in sorted(value)]
        case list():
            return list(enumerate(value))
        case None:
            return []
    raise TemplateError(f"range can't iterate over {text_of(value)}")


def _field(value: Any, fields: tuple[str, ...], text: str) -> Any:
    for name in fields:
        match value:
            case Map():
                value = value.get(name, "")
            case AnyMap():
                value = value.get(name)
            case Struct() if name in value:
                value = value[name]
            case None:
                raise TemplateError(f"<{text}>: nil data; no entry for key {name!r}")
            case _:
                raise TemplateError(f"<{text}>: can't evaluate field {name} in type {type_name(value)}")
    return value
