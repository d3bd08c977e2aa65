"""The parameters that a notebook declares in its tagged cell, and values checked against them."""

import ast
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from types import MappingProxyType, NoneType
from typing import Any, Literal, Optional, Union, get_args, get_origin

from nbformat import NotebookNode

from depthclip_core.errors import DepthClipError, first_line, unknown_name

TAG = "parameters"
INJECTED = "injected-parameters"
NAMED = {type_.__name__: type_ for type_ in (str, int, float, bool, list, dict)}
# What values of a wrong kind raise: numbers beyond floats, and lists in lists without end, as well.
UNFIT = (TypeError, ValueError, OverflowError, RecursionError)
NAMED |= {"Any": Any, "Optional": Optional, "Union": Union, "Literal": Literal, "Sequence": list}


@dataclass(frozen=True)
class Parameter:
    """One declared parameter.

    kind: a type, which may be a union or a list; None if the annotation is not known here.
    declared: the annotation as text. default: its value, or its source if it is not a literal.
    """

    name: str
    kind: Any
    declared: str
    default: Any

    def from_value(self, value: object) -> object:
        """Return the value as plain Python; `DepthClipError` if it is not of the declared type.

        An int may stand for a float, a tuple or an array for a list, a path for a str.
        """
        return self._checked(_accept, value)

    def from_text(self, text: str) -> object:
        """Parse a value: true or false, a number, None, a list as JSON or separated by commas."""
        return self._checked(_read, text)

    def values_from_text(self, text: str) -> list:
        """Parse several values of this parameter, separated by commas or as a JSON list."""
        if text.lstrip().startswith("["):
            try:
                values = json.loads(text)
            except (ValueError, RecursionError) as error:
                why = f"{text!r} is not valid JSON: {first_line(error)}"
                raise DepthClipError(f"values of {self.name!r}: {why}") from None
            return [self.from_value(value) for value in values]
        parts = [part.strip() for part in text.split(",")]
        if _is_list(self.kind) and not set(parts) <= set(_choices(self.kind)):
            raise DepthClipError(
                f"parameter {self.name!r} is {self.declared}: give its values as JSON, "
                f"[[...], [...]]; got {text!r}"
            )
        return [self.from_text(part) for part in parts]

    def _checked(self, read: Callable, value: object) -> object:
        if self.kind is None:
            raise DepthClipError(
                f"parameter {self.name!r} has the type {self.declared}, which cannot be set here"
            )
        with suppress(*UNFIT):
            return read(value, self.kind)
        if (choices := _choices(self.kind)) and isinstance(value, str) and "," not in value:
            raise unknown_name(f"value of parameter {self.name!r}:", value, choices)
        wanted = f"{', '.join(choices)}, or a list" if choices else self.declared
        raise DepthClipError(f"parameter {self.name!r} is {wanted}, got {value!r}")


def declared_parameters(
    notebook: NotebookNode, name: str, types: Mapping[str, Any] = MappingProxyType({})
) -> dict[str, Parameter]:
    """The parameters in the one cell of a notebook that is tagged `parameters`, in order.

    name: of the notebook, for errors. types: what annotations may name beside Python's own types.
    papermill's own inspection misses unions and lines whose comment contains a `=`.
    """
    cells = tagged(notebook, TAG)
    if len(cells) != 1:
        raise DepthClipError(
            f"{name} has {len(cells) or 'no'} cell{'s'[: len(cells) > 1]} tagged `{TAG}`: "
            "tag exactly one"
        )
    try:
        return {one.name: one for one in _assignments(cells[0].source, NAMED | dict(types))}
    except SyntaxError as error:
        raise DepthClipError(
            f"{name}: cannot parse the cell tagged `{TAG}`: {error.msg}, line {error.lineno}"
        ) from None


def values_of_run(notebook: NotebookNode) -> dict[str, Any]:
    """The parameters that a notebook ran with: its defaults, overridden by what was injected."""
    cells = [*tagged(notebook, TAG)[:1], *tagged(notebook, INJECTED)]
    return {p.name: p.default for cell in cells for p in _assignments(cell.source, NAMED)}


def tagged(notebook: NotebookNode, tag: str) -> list[NotebookNode]:
    cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    return [cell for cell in cells if tag in cell.metadata.get("tags", [])]


def _assignments(source: str, types: Mapping[str, Any]) -> Iterator[Parameter]:
    """The `name: type = value` lines of a cell."""
    for line in ast.parse(source).body:
        match line:
            case ast.AnnAssign(ast.Name(name), node, ast.expr() as value):
                pass
            case ast.Assign([ast.Name(name)], value):
                node = None
            case _:
                continue
        try:
            default = ast.literal_eval(value)
            kind = Any if default is None else type(default)
        except ValueError:
            default, kind = ast.unparse(value), Any
        if node:
            yield Parameter(name, _kind(node, types), ast.unparse(node), default)
        else:  # no annotation: use the type of the default
            yield Parameter(name, kind, kind.__name__, default)


def _kind(node: ast.expr, types: Mapping[str, Any]) -> Any:
    """The type that an annotation names, without running it; None if it is not known here."""
    match node:
        case ast.Constant(value=None):
            return NoneType
        case ast.Constant(value=str() as text):
            return _kind(ast.parse(text, mode="eval").body, types)
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return types.get(name)
        case ast.BinOp(left=left, op=ast.BitOr(), right=right):
            kinds = _kind(left, types), _kind(right, types)
            return None if None in kinds else Union[kinds]  # noqa: UP007
        case ast.Subscript(value=outer, slice=inner):
            origin = _kind(outer, types)
            nodes = inner.elts if isinstance(inner, ast.Tuple) else [inner]
            if origin is Literal:
                return Literal[tuple(ast.literal_eval(node) for node in nodes)]
            kinds = tuple(_kind(node, types) for node in nodes)
            return None if origin is None or None in kinds else origin[kinds]
    return None


def _accept(value: Any, kind: Any) -> Any:
    """Return the value as plain Python of this kind; TypeError or ValueError if it is not one."""
    if isinstance(value, os.PathLike):
        value = os.fspath(value)
    elif hasattr(value, "tolist"):  # from NumPy or torch
        value = value.tolist()
    origin, inside = get_origin(kind) or kind, get_args(kind)
    if origin is Any:
        json.dumps(value, allow_nan=False)
        return value
    if origin is Union:
        options = sorted(inside, key=lambda option: option is not type(value))
        return _first(_accept, value, options)
    if origin is Literal and any(type(value) is type(one) and value == one for one in inside):
        return value
    if origin is list and isinstance(value, list | tuple):
        return [_accept(item, inside[0] if inside else Any) for item in value]
    if origin is dict and isinstance(value, Mapping):
        keys, values = inside or (Any, Any)
        return {_accept(k, keys): _accept(v, values) for k, v in value.items()}
    if origin is float and type(value) in (int, float) and math.isfinite(value):
        return float(value)
    if origin in (str, int, bool, NoneType) and type(value) is origin:
        return value
    raise TypeError(f"{value!r} is not {kind}")


def _read(text: str, kind: Any) -> Any:
    """Parse text as a value of this kind; TypeError or ValueError if it is not one."""
    origin, inside = get_origin(kind) or kind, get_args(kind)
    as_json = text.lstrip().startswith("[")
    if origin is str:
        return text
    if origin is Union:
        if (
            _choices(kind) and "," not in text and not as_json
        ):  # a misspelt choice is no list of one
            inside = [option for option in inside if not _is_list(option)]
        options = sorted(inside, key=lambda option: option is str)  # any text is a str
        return _first(_read, text, options)
    if origin is Literal and (chosen := [choice for choice in inside if str(choice) == text]):
        return chosen[0]
    if origin is list and not as_json:
        item = inside[0] if inside else Any
        return [_read(part.strip(), item) for part in text.split(",")] if text.strip() else []
    if origin in (list, dict):
        return _accept(json.loads(text), kind)
    if origin is Any:
        try:
            return _accept(json.loads(text), Any)
        except json.JSONDecodeError:
            return text
    if origin is bool and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if origin is int and re.fullmatch(r"[+-]?[0-9]+", text):
        return int(text)
    if origin is float and "_" not in text and text.isascii():
        return _accept(float(text), float)
    if origin is NoneType and text in ("None", "null"):
        return None
    raise ValueError(f"{text!r} is not {kind}")


def _first(read: Callable, value: object, kinds: Iterable[Any]) -> Any:
    """Read the value as the first of these kinds that it is."""
    for kind in kinds:
        with suppress(*UNFIT):
            return read(value, kind)
    raise ValueError(f"{value!r} is none of {kinds}")


def _options(kind: Any) -> tuple:
    return get_args(kind) if get_origin(kind) is Union else (kind,)


def _choices(kind: Any) -> tuple:
    """The values that a kind names, alone or beside other types."""
    literals = [option for option in _options(kind) if get_origin(option) is Literal]
    return sum(map(get_args, literals), ())


def _is_list(kind: Any) -> bool:
    return any(list in (option, get_origin(option)) for option in _options(kind))
