"""The small mistakes that a mutant makes: for one node of a solution's syntax tree, what could stand there.

The set follows mutmut and cosmic-ray (operators, comparisons, constants, dropped lines, dropped arguments).
It adds what goes wrong with tensors: swapped factors, a lost dim, `sum` for `mean`, `sub_` for `sub`, a lost `.T`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import libcst as cst

Swap: TypeAlias = tuple[cst.CSTNode, cst.CSTNode]  # what stands there, what stands there instead

# fmt: off
MODULES = {
    "torch", "math", "F", "nn", "np", "numpy", "functional", "linalg", "itertools", "functools", "operator",
}
COMMUTATIVE = {  # functions whose arguments may change places
    "transpose", "swapaxes", "swapdims", "maximum", "minimum", "max", "min", "add", "mul", "multiply", "dot",
    "equal", "allclose", "isclose", "logaddexp", "hypot", "logical_and", "logical_or",
}
_PAIRS = (
    ("sum", "mean"), ("max", "min"), ("amax", "amin"), ("argmax", "argmin"), ("maximum", "minimum"),
    ("any", "all"), ("zeros", "ones"), ("zeros_like", "ones_like"), ("triu", "tril"),
    ("sin", "cos"), ("floor", "ceil"),
)
# fmt: on
NAMES = {a: b for pair in _PAIRS for a, b in (pair, pair[::-1])}
OPERATION = (
    cst.BinaryOperation,
    cst.UnaryOperation,
    cst.BooleanOperation,
    cst.Comparison,
    cst.IfExp,
    cst.Lambda,
    cst.NamedExpr,
)
_BINARY: dict[type[cst.CSTNode], type[cst.BaseBinaryOp]] = {
    cst.Add: cst.Subtract,
    cst.Subtract: cst.Add,
    cst.Multiply: cst.Divide,
    cst.Divide: cst.Multiply,
    cst.FloorDivide: cst.Divide,
    cst.Modulo: cst.Multiply,
    cst.Power: cst.Multiply,
    cst.BitAnd: cst.BitOr,
    cst.BitOr: cst.BitAnd,
    cst.BitXor: cst.BitAnd,
    cst.LeftShift: cst.RightShift,
    cst.RightShift: cst.LeftShift,
}
_AUGMENTED: dict[type[cst.CSTNode], type[cst.BaseAugOp]] = {
    cst.AddAssign: cst.SubtractAssign,
    cst.SubtractAssign: cst.AddAssign,
    cst.MultiplyAssign: cst.DivideAssign,
    cst.DivideAssign: cst.MultiplyAssign,
    cst.FloorDivideAssign: cst.MultiplyAssign,
}
_COMPARED: dict[type[cst.CSTNode], tuple[type[cst.BaseCompOp], ...]] = {
    cst.LessThan: (cst.LessThanEqual, cst.GreaterThanEqual),
    cst.LessThanEqual: (cst.LessThan, cst.GreaterThan),
    cst.GreaterThan: (cst.GreaterThanEqual, cst.LessThanEqual),
    cst.GreaterThanEqual: (cst.GreaterThan, cst.LessThan),
    cst.Equal: (cst.NotEqual,),
    cst.NotEqual: (cst.Equal,),
    cst.In: (cst.NotIn,),
    cst.NotIn: (cst.In,),
    cst.Is: (cst.IsNot,),
    cst.IsNot: (cst.Is,),
}


def parenthesised(node: Any) -> Any:
    """Put an operation in parentheses unless it stands in some."""
    if isinstance(node, OPERATION) and not node.lpar:
        return node.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
    return node


def plain(node: cst.CSTNode) -> str:
    """A node's own text."""
    return cst.Module([]).code_for_node(node)


def number(node: cst.CSTNode) -> int | float | None:
    """The value of a literal with its sign, else None."""
    if isinstance(node, (cst.Integer, cst.Float)):
        return node.evaluated_value
    if isinstance(node, cst.UnaryOperation) and isinstance(node.operator, cst.Minus):
        inner = number(node.expression)
        return None if inner is None else -inner
    return None


def alternatives(node: cst.CSTNode, parent: cst.CSTNode | None, local: Sequence[str]) -> Iterator[Swap]:
    """Give all swaps at one node. local: the names that its function has, in order."""
    value = number(node)
    if value is not None:
        if not (isinstance(parent, cst.UnaryOperation) and number(parent) is not None):
            yield from ((node, cst.parse_expression(repr(other))) for other in _numbers(value, parent))
    elif isinstance(node, cst.BinaryOperation):
        yield from _binary(node)
    elif isinstance(node, cst.AugAssign):
        yield from _augmented(node)
    elif isinstance(node, cst.ComparisonTarget):
        yield from ((node.operator, _spaced(other, node.operator)) for other in _COMPARED.get(type(node.operator), ()))
    elif isinstance(node, cst.BooleanOperation):
        other = cst.Or if isinstance(node.operator, cst.And) else cst.And
        yield (
            node,
            node.with_changes(
                operator=_spaced(other, node.operator),
                left=parenthesised(node.left),
                right=parenthesised(node.right),
            ),
        )
        yield from ((node, part) for part in (node.left, node.right))
    elif isinstance(node, cst.UnaryOperation):
        yield node, node.expression
    elif isinstance(node, cst.Name) and node.value in ("True", "False"):
        yield node, cst.Name("False" if node.value == "True" else "True")
    elif isinstance(node, cst.SimpleString):
        yield from _text(node)
    elif isinstance(node, (cst.If, cst.While, cst.IfExp, cst.CompIf)):
        if not isinstance(node.test, (cst.Comparison, cst.UnaryOperation)):
            yield node.test, cst.UnaryOperation(cst.Not(), parenthesised(node.test))
    elif isinstance(node, cst.With):
        yield node, cst.If(cst.Name("True"), node.body)
    elif isinstance(node, cst.Call):
        yield from _call(node)
    elif isinstance(node, cst.Subscript):
        yield from _subscript(node, parent)
    elif isinstance(node, cst.Attribute) and node.attr.value in ("T", "mT", "H", "mH"):
        yield node, node.value
    elif isinstance(node, (cst.Break, cst.Continue)):
        yield node, cst.Continue() if isinstance(node, cst.Break) else cst.Break()
    elif isinstance(node, cst.Return):
        yield from _return(node, local)
    if isinstance(node, cst.BaseSmallStatement) and not isinstance(
        node, (cst.Pass, cst.Import, cst.ImportFrom, cst.Global, cst.Nonlocal)
    ):
        yield node, cst.Pass()


def _spaced(operator: Any, like: Any) -> Any:
    return operator(whitespace_before=like.whitespace_before, whitespace_after=like.whitespace_after)


def _numbers(value: int | float, parent: cst.CSTNode | None) -> list[int | float]:
    """One more; one less for a whole number above zero; the other sign for a float and for an operand.

    Elsewhere the sign is left alone: a dim of -1 and the last dim's number are one and the same.
    """
    others: list[int | float] = [value + 1]
    if isinstance(value, int) and value > 0:
        others.append(value - 1)
    if value != 0 and (isinstance(value, float) or isinstance(parent, cst.BinaryOperation)):
        others.append(-value)
    return others


def _binary(node: cst.BinaryOperation) -> Iterator[Swap]:
    left, right = parenthesised(node.left), parenthesised(node.right)
    if isinstance(node.operator, cst.MatrixMultiply):
        yield node, node.with_changes(left=right, right=left)
        return
    if (other := _BINARY.get(type(node.operator))) is not None:
        yield node, node.with_changes(left=left, operator=_spaced(other, node.operator), right=right)
    yield node, node.left
    if isinstance(node.operator, (cst.Add, cst.Multiply)):
        yield node, node.right


def _augmented(node: cst.AugAssign) -> Iterator[Swap]:
    if (other := _AUGMENTED.get(type(node.operator))) is not None:
        yield node.operator, _spaced(other, node.operator)
    yield node, cst.Assign([cst.AssignTarget(node.target)], node.value)


def _text(node: cst.SimpleString) -> Iterator[Swap]:
    """Texts that steer an operation: an einsum's result transposed, a reduction exchanged."""
    value = node.evaluated_value
    if not isinstance(value, str):
        return
    head, arrow, tail = value.partition("->")
    if arrow and tail.strip() != tail.strip()[::-1]:
        yield node, cst.SimpleString(repr(head + arrow + tail[::-1]))
    elif value in ("sum", "mean"):
        yield node, cst.SimpleString(repr(NAMES[value]))


def _call(node: cst.Call) -> Iterator[Swap]:
    function, args = node.func, list(node.args)
    places = [index for index, arg in enumerate(args) if arg.keyword is None and not arg.star]
    name = (
        function.attr.value
        if isinstance(function, cst.Attribute)
        else function.value
        if isinstance(function, cst.Name)
        else ""
    )
    of_module = isinstance(function, cst.Attribute) and _root(function.value) in MODULES
    method = isinstance(function, cst.Attribute) and not of_module
    if name not in COMMUTATIVE:
        for a, b in zip(places, places[1:], strict=False):
            swapped = args.copy()
            swapped[a], swapped[b] = (
                args[a].with_changes(value=args[b].value),
                args[b].with_changes(value=args[a].value),
            )
            yield node, node.with_changes(args=swapped)
    for index, arg in enumerate(args):
        if arg.keyword is not None and plain(arg.value) not in ("True", "False"):
            yield node, _without(node, index)
    if places and len(places) >= (1 if method else 2):
        yield node, _without(node, places[-1])
    if isinstance(function, cst.Attribute):
        if method:
            yield node, function.value
        elif places:
            yield node, args[places[0]].value
        for other in {
            NAMES.get(name),
            name[:-1] if name.endswith("_") and not name.endswith("__") else None,
        } - {None}:
            yield node, node.with_changes(func=function.with_changes(attr=cst.Name(str(other))))
    elif name in NAMES:
        yield node, node.with_changes(func=cst.Name(NAMES[name]))


def _root(node: cst.CSTNode) -> str:
    while isinstance(node, cst.Attribute):
        node = node.value
    return node.value if isinstance(node, cst.Name) else ""


def _without(call: cst.Call, index: int) -> cst.Call:
    kept = [arg for place, arg in enumerate(call.args) if place != index]
    if kept:
        kept[-1] = kept[-1].with_changes(comma=cst.MaybeSentinel.DEFAULT)
    return call.with_changes(args=kept)


def _subscript(node: cst.Subscript, parent: cst.CSTNode | None) -> Iterator[Swap]:
    if not isinstance(parent, (cst.AssignTarget, cst.AugAssign, cst.Del, cst.Annotation)):
        yield node, node.value
    parts = list(node.slice)
    for index, part in enumerate(parts):
        if isinstance(part.slice, cst.Slice):
            for bound in ("lower", "upper", "step"):
                if getattr(part.slice, bound) is not None:
                    yield part.slice, part.slice.with_changes(**{bound: None})
        if index and plain(part.slice) != plain(parts[index - 1].slice):
            swapped = parts.copy()
            swapped[index - 1], swapped[index] = (
                parts[index - 1].with_changes(slice=part.slice),
                part.with_changes(slice=parts[index - 1].slice),
            )
            yield node, node.with_changes(slice=swapped)


def _return(node: cst.Return, local: Sequence[str]) -> Iterator[Swap]:
    """Another of the function's names, or the parts of a tuple exchanged."""
    value = node.value
    if isinstance(value, cst.Tuple):
        parts = list(value.elements)
        for index in range(1, len(parts)):
            swapped = parts.copy()
            swapped[index - 1], swapped[index] = (
                parts[index - 1].with_changes(value=parts[index].value),
                parts[index].with_changes(value=parts[index - 1].value),
            )
            yield value, value.with_changes(elements=swapped)
    elif value is not None:
        own = plain(value)
        others = [name for name in local if name != own]
        for name in others[-2:] if isinstance(value, cst.Name) else others[:1]:
            yield node, node.with_changes(value=cst.Name(name))
