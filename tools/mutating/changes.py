"""Changes of a source text, each in one place."""

import ast
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from typing import NamedTuple

SWAPS = {
    **{ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt},
    **{ast.Eq: ast.NotEq, ast.NotEq: ast.Eq, ast.Is: ast.IsNot, ast.IsNot: ast.Is},
    **{ast.In: ast.NotIn, ast.NotIn: ast.In, ast.And: ast.Or, ast.Or: ast.And},
    **{ast.Add: ast.Sub, ast.Sub: ast.Add, ast.Mult: ast.Div, ast.Div: ast.Mult},
    **{ast.FloorDiv: ast.Mult, ast.Pow: ast.Mult, ast.Mod: ast.Mult},
}
NAMES = {
    **{'min': 'max', 'max': 'min', 'mean': 'sum', 'argmax': 'argmin', 'ones': 'zeros'},
    **{'amin': 'amax', 'amax': 'amin', 'floor': 'ceil', 'ceil': 'floor'},
}
# What is left out, and what only a reader sees.
DROPPED = ('detach', 'float', 'double')
DECLARED = ('annotation', 'returns', 'decorator_list')
READ = ('info', 'warning', 'debug', 'print', 'print_log', 'say', 'warn')
TEXTS = ('__repr__', 'extra_repr')
_NO_ARGUMENTS = ast.arguments([], [], None, [], [], None, [])
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


class Mutant(NamedTuple):
    """One change of a text: its number, where and what it is, and in which function.

    The function is named by the line of its code, 0 outside of all.
    """

    number: int
    line: int
    what: str
    function: int


def mutants(text: str) -> list[Mutant]:
    """All changes of a source text, in the order of its tree."""
    changes, counts = [], Counter()
    for number, (node, function, what, _) in enumerate(_sites(ast.parse(text))):
        counts[node.lineno, what] += 1
        count = counts[node.lineno, what]
        name = what if count == 1 else f'{what} ({count})'
        changes.append(Mutant(number, node.lineno, name, function))
    return changes


def changed(text: str, mutant: Mutant) -> ast.Module:
    """The tree of a text that has the change."""
    tree = ast.parse(text)
    *_, change = next(itertools.islice(_sites(tree), mutant.number, None))
    change()
    return ast.fix_missing_locations(tree)


Site = tuple[ast.AST, int, str, Callable[[], None]]


def _sites(tree: ast.AST) -> Iterator[Site]:
    """Places that can be changed: a node, its function, what is done, and its doing."""
    for node, function in _computed(tree, 0):
        for what, change in _changes(node):
            yield node, function, what, change


def _changes(node: ast.AST) -> Iterator[tuple[str, Callable[[], None]]]:
    if isinstance(node, ast.Compare):
        for i, op in enumerate(node.ops):
            yield _swap(op, lambda new, i=i: node.ops.__setitem__(i, new))
    elif isinstance(node, ast.BinOp | ast.AugAssign | ast.BoolOp):
        if type(node.op) in SWAPS:
            yield _swap(node.op, lambda new: setattr(node, 'op', new))
    elif isinstance(node, ast.Constant) and isinstance(node.value, bool | int | float):
        new = not node.value if isinstance(node.value, bool) else node.value + 1
        yield f'{node.value} -> {new}', _setter(node, 'value', new)
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield 'call left out', _setter(node, 'value', ast.Constant(None))
    elif isinstance(node, ast.Attribute | ast.Name):
        field = 'attr' if isinstance(node, ast.Attribute) else 'id'
        name = getattr(node, field)
        if name in NAMES and (field == 'attr' or name in ('min', 'max')):
            yield f'{name} -> {NAMES[name]}', _setter(node, field, NAMES[name])
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        yield 'minus left out', _setter(node, 'op', ast.UAdd())
    elif isinstance(node, ast.Call) and not (node.args or node.keywords):
        dropped = getattr(node.func, 'attr', '')
        if dropped in DROPPED:
            itself = ast.Lambda(_NO_ARGUMENTS, node.func.value)
            yield f'{dropped} left out', _setter(node, 'func', itself)
    if isinstance(node, ast.If | ast.IfExp | ast.While):
        new = ast.UnaryOp(ast.Not(), node.test)
        yield 'condition negated', _setter(node, 'test', new)


def _computed(node: ast.AST, function: int) -> Iterator[tuple[ast.AST, int]]:
    """What is computed below a node: no declarations, and no texts for a reader."""
    outer = function
    if isinstance(node, FUNCTIONS):
        if node.name in TEXTS:
            return
        function = min(n.lineno for n in (node, *node.decorator_list))
    yield node, function
    for name, value in ast.iter_fields(node):
        if name in DECLARED or isinstance(node, ast.Raise):
            continue
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and not _is_read(child):
                yield from _computed(child, outer if name == 'args' else function)


def _is_read(node: ast.AST) -> bool:
    if isinstance(node, ast.keyword):  # of zip: what must hold anyway
        return node.arg == 'strict'
    if isinstance(node, ast.Subscript):  # a type that has a name
        return getattr(node.value, 'id', '') in ('Annotated', 'Literal')
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        func = node.value.func
        return getattr(func, 'attr', getattr(func, 'id', '')) in READ
    return False


def _swap(op: ast.AST, put: Callable) -> tuple[str, Callable[[], None]]:
    new = SWAPS[type(op)]
    return f'{type(op).__name__} -> {new.__name__}', lambda: put(new())


def _setter(node: ast.AST, name: str, value: object) -> Callable[[], None]:
    return lambda: setattr(node, name, value)
