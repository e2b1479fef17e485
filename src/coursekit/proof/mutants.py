"""Make mutants of a reference solution: its text with one small mistake each, under a stable name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import libcst as cst
from libcst.metadata import MetadataWrapper, ParentNodeProvider, PositionProvider

from coursekit.build.regions import BEGIN, END, SHOWS
from coursekit.proof.operators import OPERATION, alternatives, number, parenthesised

WIDTH = 64
_CONTEXT = 20
_LEAVES = (
    cst.Name,
    cst.Integer,
    cst.Float,
    cst.SimpleString,
    cst.BaseCompOp,
    cst.BaseAugOp,
    cst.Slice,
    cst.Tuple,
)
_HEAD = ((cst.Attribute, "value"), (cst.Subscript, "value"), (cst.Call, "func"))
_OPERAND = (
    cst.BinaryOperation,
    cst.UnaryOperation,
    cst.BooleanOperation,
    cst.Comparison,
    cst.ComparisonTarget,
)


@dataclass(frozen=True)
class Mutant:
    """One mutant.

    Args: name: such as `line 3: a * b -> a / b`; lines are counted within the solution, so that
    a longer docstring changes no name. line: in the cell, from 1. text: the whole cell.
    """

    name: str
    line: int
    text: str


def region(text: str) -> dict[int, int]:
    """Find the lines between the solution markers.

    Returns: line in the cell -> line of the solution, both from 1.
    """
    inside = False
    found: dict[int, int] = {}
    for place, line in enumerate(text.splitlines(), 1):
        if BEGIN in line:
            inside = True
        elif SHOWS in line or END in line:
            inside = False
        elif inside:
            found[place] = len(found) + 1
    return found


def mutants(text: str) -> list[Mutant]:
    """Make every mutant of an answer cell. Docstrings, annotations and what is raised are left alone.

    Args: text: the cell with its solution markers.
    Returns: mutants in the order of their lines; no two mean the same, none means what the reference means.
    """
    wrapper = MetadataWrapper(cst.parse_module(text))
    collector = _Collector(region(text))
    wrapper.visit(collector)
    seen = {_meaning(text)}
    names: dict[str, int] = {}
    found: list[Mutant] = []
    for line, before, after in sorted(collector.found, key=lambda item: item[0]):
        mutated = wrapper.module.deep_replace(before, _fitting(before, after, collector.parents(before)))
        assert isinstance(mutated, cst.Module)
        meaning = _meaning(mutated.code)
        if meaning is None or meaning in seen:
            continue
        seen.add(meaning)
        name = f"line {collector.lines[line]}: {_arrow(*collector.shown(before, after))}"
        names[name] = names.get(name, 0) + 1
        found.append(Mutant(name if names[name] == 1 else f"{name} ({names[name]})", line, mutated.code))
    return found


def _meaning(text: str) -> str | None:
    try:
        return ast.dump(ast.parse(text))
    except SyntaxError:
        return None


def _fitting(before: Any, after: Any, parent: cst.CSTNode | None) -> Any:
    """Put the replacement in parentheses where its neighbours would otherwise take it apart."""
    child = next((name for kind, name in _HEAD if isinstance(parent, kind)), None)
    tight = isinstance(parent, _OPERAND) or (child is not None and getattr(parent, child) is before)
    inside = isinstance(after, OPERATION) and (tight or bool(getattr(before, "lpar", None)))
    return parenthesised(after) if inside else after


def _arrow(before: str, after: str) -> str:
    """`before -> after` on one line; of long texts, the part that differs and a little around it."""
    before, after = " ".join(before.split()), " ".join(after.split())
    start, limit = 0, min(len(before), len(after))
    while start < limit and before[start] == after[start]:
        start += 1
    end = 0
    while end < limit - start and before[-1 - end] == after[-1 - end]:
        end += 1
    return f"{_cut(before, start, end)} -> {_cut(after, start, end)}"


def _cut(text: str, start: int, end: int) -> str:
    if len(text) <= WIDTH:
        return text
    first, last = max(0, start - _CONTEXT), min(len(text), len(text) - end + _CONTEXT)
    middle = text[first:last]
    if len(middle) > WIDTH:
        middle = f"{middle[: WIDTH // 2]}…{middle[-WIDTH // 2 :]}"
    return f"{'…' if first else ''}{middle}{'…' if last < len(text) else ''}"


class _Collector(cst.CSTVisitor):
    """Walks a cell and collects (line, node, replacement) inside its solution."""

    METADATA_DEPENDENCIES = (PositionProvider, ParentNodeProvider)

    def __init__(self, lines: dict[int, int]) -> None:
        super().__init__()
        self.lines = lines
        self.found: list[tuple[int, cst.CSTNode, cst.CSTNode]] = []
        self.parent: dict[cst.CSTNode, cst.CSTNode | None] = {}

    def parents(self, node: cst.CSTNode) -> cst.CSTNode | None:
        return self.parent.get(node)

    def on_visit(self, node: cst.CSTNode) -> bool:
        parent = self.get_metadata(ParentNodeProvider, node, None)
        self.parent[node] = parent
        if isinstance(node, (cst.Annotation, cst.Decorator)) or _is_docstring(node):
            return False
        line = self.get_metadata(PositionProvider, node).start.line
        if line in self.lines:
            self.found += [(line, before, after) for before, after in alternatives(node, parent, self._local(node))]
        return not isinstance(node, cst.Raise)

    def on_leave(self, original_node: cst.CSTNode) -> None:
        for child in original_node.children:
            self.parent.setdefault(child, original_node)

    def _local(self, node: cst.CSTNode) -> list[str]:
        """Names of the function around a return, parameters first."""
        if not isinstance(node, cst.Return):
            return []
        around: cst.CSTNode | None = node
        while around is not None and not isinstance(around, cst.FunctionDef):
            around = self.parent.get(around)
        return [] if around is None else [name for name in dict.fromkeys(_bound(around)) if name != "self"]

    def shown(self, before: cst.CSTNode, after: cst.CSTNode) -> tuple[str, str]:
        """The texts that name a swap: a leaf is shown inside the expression or statement around it."""
        anchor = before
        while isinstance(anchor, _LEAVES) or number(anchor) is not None or not isinstance(anchor, _SHOWN):
            above = self.parent.get(anchor)
            if above is None:
                break
            anchor = above
        if isinstance(before, cst.With):
            return _header(before), "pass"
        changed = after if anchor is before else anchor.deep_replace(before, after)
        assert isinstance(changed, cst.CSTNode)
        return _header(anchor), _header(changed)


_SHOWN = (cst.BaseExpression, cst.BaseSmallStatement, cst.BaseCompoundStatement)


def _header(node: cst.CSTNode) -> str:
    """A node's text without outer parentheses; of a block, its first line."""
    if isinstance(node, OPERATION) and node.lpar:
        node = node.with_changes(lpar=[], rpar=[])
    text = cst.Module([]).code_for_node(node).strip()
    if isinstance(node, cst.BaseCompoundStatement):
        return next(line for line in text.splitlines() if not line.lstrip().startswith("#")).strip()
    return text


def _is_docstring(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.Expr) and isinstance(node.value, (cst.SimpleString, cst.ConcatenatedString))


def _bound(function: cst.FunctionDef) -> Iterator[str]:
    for parameter in (
        *function.params.posonly_params,
        *function.params.params,
        *function.params.kwonly_params,
    ):
        yield parameter.name.value
    finder = _Targets()
    function.body.visit(finder)
    yield from finder.names


class _Targets(cst.CSTVisitor):
    """Names that a function assigns."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def visit_AssignTarget(self, node: cst.AssignTarget) -> None:
        elements = (
            [element.value for element in node.target.elements]
            if isinstance(node.target, (cst.Tuple, cst.List))
            else [node.target]
        )
        self.names += [element.value for element in elements if isinstance(element, cst.Name)]
