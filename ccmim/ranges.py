"""Ranges of arguments: stated in the annotations of a constructor, checked by pydantic.

``depth: Count`` says all: the registries wrap the constructors of what is registered in
them, so that ``depth=0`` ends in one line wherever it comes from. Nothing is converted:
True is no number and '3' is none either; lists and tuples are the same.
"""

import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache, wraps
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin

from annotated_types import Ge, Gt, Le, Len, Lt, MinLen, MultipleOf
from typing_extensions import NotRequired, get_type_hints, is_typeddict

from ccmim.renamed import new_arguments

Count = Annotated[int, Ge(1)]
Index = Annotated[int, Ge(0)]
Positive = Annotated[float, Gt(0)]
NonNegative = Annotated[float, Ge(0)]
Ratio = Annotated[float, Ge(0), Le(1)]
PositiveRatio = Annotated[float, Gt(0), Le(1)]
RatioBelowOne = Annotated[float, Ge(0), Lt(1)]
InnerRatio = Annotated[float, Gt(0), Lt(1)]
HeightWidth = Annotated[Sequence[Count], Len(2, 2)]
Sides = Count | HeightWidth  # of a square, or of anything
Channels = Annotated[Sequence[NonNegative], MinLen(1)]  # a mean of pixels
Spreads = Annotated[Sequence[Positive], MinLen(1)]  # a standard deviation of pixels
Moment = Index | RatioBelowOne  # in epochs, or as a fraction of the run
Path = str | os.PathLike
Part = dict[str, Any]
Parts = Part | Sequence[Part]


class ArgsOf(NamedTuple):
    """Marks ``**kwargs``, or a dict, as the arguments of something else."""

    kind: Callable[..., Any]


class Arguments(NamedTuple):
    """What a class takes: annotations by name, and whether it takes other names too."""

    hints: Mapping[str, Any]
    open: bool


_TAKE_NOTHING = ('object', 'Module')  # though their signatures say any


@cache
def arguments_of(kind: Callable[..., Any]) -> Arguments:
    """List the arguments of a class, with those that it passes on, or of a function."""
    hints: dict[str, Any] = {}
    owners = inspect.getmro(kind) if inspect.isclass(kind) else [kind]
    for owner in owners:
        if inspect.isclass(owner) and '__init__' not in vars(owner):
            continue
        function = owner.__init__ if inspect.isclass(owner) else owner
        try:
            parameters = inspect.signature(function).parameters
        except (TypeError, ValueError):  # written in C
            return Arguments(hints, True)
        # What other packages state is not what they take.
        stated = _stated(function) if is_ours(owner) else {}
        more: Any = None
        for name, parameter in list(parameters.items()):
            hint = stated.get(name, Any)
            if parameter.kind == parameter.VAR_KEYWORD:
                more = hint
            elif parameter.kind != parameter.VAR_POSITIONAL and name != 'self':
                hints.setdefault(name, hint)
        if more is None or owner.__name__ in _TAKE_NOTHING:
            return Arguments(hints, False)
        if passed := _passed(more):
            others = arguments_of(passed)
            return Arguments({**others.hints, **hints}, others.open)
        if not is_ours(owner):
            break
    return Arguments(hints, True)


def checked(kind: type) -> type:
    """Let a class check the arguments of its own constructor against its annotations.

    Args:
        kind: The class; changed in place.

    Returns:
        The class.
    """
    init = kind.__init__
    names = list(inspect.signature(init).parameters)[1:]

    @wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807
        hints = arguments_of(kind).hints
        kwargs = new_arguments(kind.__name__, kwargs)
        for name, value in [*zip(names, args, strict=False), *kwargs.items()]:
            if hints.get(name, Any) is not Any:
                check_value(value, hints[name], f'{kind.__name__}: {name}')
        init(self, *args, **kwargs)

    kind.__init__ = __init__
    return kind


def in_ranges(function: Callable[..., Any]) -> Callable[..., Any]:
    """Let a function check its numbers and names against its annotations.

    Args:
        function: The function; of a generator, it checks when it is called.

    Returns:
        The function that checks.
    """
    names = list(inspect.signature(function).parameters)

    @cache
    def limited() -> Mapping[str, Any]:
        hints = arguments_of(function).hints.items()
        return {
            name: hint for name, hint in hints if any(map(_limited, _options(hint)))
        }

    @wraps(function)
    def checking(*args: Any, **kwargs: Any) -> Any:
        given = {**dict(zip(names, args, strict=False)), **kwargs}
        for name in given.keys() & limited().keys():
            check_value(given[name], limited()[name], name)
        return function(*args, **kwargs)

    return checking


def _limited(hint: Any) -> bool:
    return get_origin(hint) in (Annotated, Literal)


def in_epochs(moment: int | float, epochs: int) -> int:
    """Count a moment of a run in epochs.

    Args:
        moment: Whole numbers are epochs already. Others are fractions of the run: after
            its first epoch and before its last, unless it is 0.
        epochs: Of the run.
    """
    if isinstance(moment, int):
        return moment
    return min(max(1, round(moment * epochs)), epochs - 1) if moment else 0


def is_ours(kind: Any) -> bool:
    """Return whether a class or a function belongs to this package."""
    return getattr(kind, '__module__', '').partition('.')[0] == 'ccmim'


@cache
def _stated(function: Callable[..., Any]) -> dict[str, Any]:
    return get_type_hints(function, include_extras=True)


def check_value(value: Any, hint: Any, path: str) -> None:
    """Compare a value with an annotation.

    Args:
        value: What was given.
        hint: The annotation.
        path: Where, for the message.

    Raises:
        ValueError: Naming the place, the value and the range.
    """
    if isinstance(value, Mapping):
        for form in _options(hint):
            if passed := _passed(form):
                return check_keys(value, arguments_of(passed), path)
            if is_typeddict(form):
                hints = _keys(form)
                check_keys(value, Arguments(hints, False), path)
                if lost := sorted(form.__required_keys__ - value.keys()):
                    raise ValueError(f'{path} lacks {", ".join(lost)}')
                return None
    if not _fits(_adapter(hint), value):
        given = repr(value)
        given = given if len(given) < 100 else f'{given[:97]}...'
        raise ValueError(f'{path}={given} must be {describe(hint)}')
    return None


@cache
def _keys(form: Any) -> dict[str, Any]:
    hints = get_type_hints(form, include_extras=True).items()
    return {k: get_args(v)[0] if get_origin(v) is NotRequired else v for k, v in hints}


def check_keys(given: Mapping[str, Any], known: Arguments, path: str) -> None:
    """Compare the keys and values of a dict with the arguments that it stands for.

    Raises:
        ValueError: Naming the first key that is unknown or out of range.
    """
    for name, value in given.items():
        if name in known.hints:
            check_value(value, known.hints[name], f'{path}.{name}')
        elif not known.open:
            names = ', '.join(sorted(known.hints))
            raise ValueError(f'unknown key {path}.{name}: use one of {names}')


def describe(hint: Any) -> str:
    """Describe in words what an annotation allows."""
    forms = list(_options(hint))
    if str in forms:
        forms = [form for form in forms if form is not os.PathLike]
    return ' or '.join(dict.fromkeys(map(_words, forms)))


def _words(hint: Any) -> str:
    limits: tuple[Any, ...] = ()
    if get_origin(hint) is Annotated:
        hint, *limits = get_args(hint)
    origin = get_origin(hint) or hint
    if is_typeddict(hint):
        return f'a dict of {", ".join(_keys(hint))}'
    if origin is Literal:
        return ' or '.join(map(repr, get_args(hint)))
    if origin in (int, float):
        whole = origin is int or any(isinstance(x, MultipleOf) for x in limits)
        kind = 'a whole number' if whole else 'a number'
        return ' '.join([kind, *_bounds(limits)])
    if isinstance(origin, type) and issubclass(origin, Sequence) and origin is not str:
        each = describe(get_args(hint)[0]) if get_args(hint) else ''
        number = next((f'{x.min_length} ' for x in limits if _fixed(x)), '')
        return f'a list of {number}({each})' if each else 'a list'
    plain = {bool: 'True or False', str: 'a text', NoneType: 'None', dict: 'a dict'}
    return plain.get(origin, getattr(origin, '__name__', str(origin)))


def _fixed(limit: Any) -> bool:
    return isinstance(limit, Len) and limit.min_length == limit.max_length


def _bounds(limits: Sequence[Any]) -> Iterator[str]:
    low = next((x for x in limits if isinstance(x, Ge | Gt)), None)
    high = next((x for x in limits if isinstance(x, Le | Lt)), None)
    if isinstance(low, Ge):
        yield f'from {low.ge}' + ('' if high else ' on')
    elif low:
        yield f'above {low.gt}'
    if high and isinstance(low, Gt):
        yield 'and'
    if isinstance(high, Le):
        yield f'up to {high.le}'
    elif high:
        yield f'below {high.lt}'


def _options(hint: Any) -> Iterator[Any]:
    """The members of a union, of unions in it too; the hint itself if it is none."""
    if get_origin(hint) in (Union, UnionType):
        for member in get_args(hint):
            yield from _options(member)
    else:
        yield hint


def _passed(hint: Any) -> Callable[..., Any] | None:
    notes = get_args(hint)[1:] if get_origin(hint) is Annotated else ()
    return next((note.kind for note in notes if isinstance(note, ArgsOf)), None)


@cache
def _adapter(hint: Any) -> Any:
    # Imported by the first part that is built: `import ccmim` stays light.
    from pydantic import ConfigDict, TypeAdapter

    strict = ConfigDict(strict=True, allow_inf_nan=False, arbitrary_types_allowed=True)
    # The keys of a dict were compared before.
    return TypeAdapter(dict if is_typeddict(hint) else hint, config=strict)


def _fits(adapter: Any, value: Any) -> bool:
    from pydantic import ValidationError

    try:
        # Of subclasses, such as torch.Size, it would build another.
        adapter.validate_python(tuple(value) if isinstance(value, tuple) else value)
    except ValidationError:
        return False
    return True
