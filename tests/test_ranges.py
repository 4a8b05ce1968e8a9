"""Every registered class of ours says what it takes, and refuses the rest in a line."""

import inspect
import pkgutil
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from annotated_types import Ge, Gt, Le, Lt
from mmengine.config import ConfigDict
from mmengine.registry import Registry
from typing_extensions import is_typeddict

from ccmim import dense, ranges, registry
from ccmim.engine.hooks.probe import Knn
from ccmim.ranges import arguments_of, check_value, describe
from ccmim.vit.archs import Arch

# Imported by the configs that need them, as they import mmdet or mmseg.
DENSE = [module.name for module in pkgutil.iter_modules(dense.__path__)]
# Numbers without limits, and why.
FREE = {
    'CentralityScorer.block': 'counts from the end too; the network knows how far',
    'NormalizedAttentionScorer.block': 'as above',
    'GraphContrast.block': 'as above',
    'ClassAttentionScorer.blocks': 'as above',
}
HANDED_OVER = {'optimizer'}


def _classes():
    if all(map(find_spec, ('mmdet', 'mmseg'))):
        for name in DENSE:
            import_module(f'ccmim.dense.{name}')
    for found in vars(registry).values():
        if isinstance(found, Registry):
            found.import_from_location()
            yield from filter(ranges.is_ours, found.module_dict.values())


CLASSES = sorted(set(_classes()), key=lambda kind: kind.__name__)
ARGUMENTS = [
    (kind, name, hint)
    for kind in CLASSES
    for name, hint in arguments_of(kind).hints.items()
    if hint is not Any and '__init__' in vars(kind)
]


def _parts(hint):
    """The hint, the members of a union, and what its lists are of."""
    if get_origin(hint) is Annotated:
        yield hint
        inner = get_args(hint)[0]
        yield from (p for p in _parts(inner) if p is not inner)
        return
    yield hint
    if get_origin(hint) is not Literal:
        for member in get_args(hint):
            yield from _parts(member)


def _limits(hint):
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _outside(hint):
    """Values that a number, a name or a switch excludes."""
    kind = get_args(hint)[0] if get_origin(hint) is Annotated else hint
    if kind in (int, float):
        yield from (float('nan'), float('inf'), -float('inf'), True, '3', [], None)
        if kind is int:
            yield 1.5
        for limit in _limits(hint):
            yield from {
                Ge: lambda x: [x.ge - 1],
                Gt: lambda x: [x.gt, x.gt - 1],
                Le: lambda x: [x.le + 1],
                Lt: lambda x: [x.lt, x.lt + 1],
            }[type(limit)](limit)
    elif get_origin(kind) is Literal:
        yield from ('no such', 1, None, [])
    elif kind is bool:
        yield from (1, 0, 'True', None)
    elif kind is str:
        yield from (3, None, True)
    elif kind == ranges.Part:
        yield from (3, 'VisionTransformer', None, True)
    elif get_origin(kind) is Sequence:
        for member in _outside(get_args(kind)[0]):
            yield [member] * next((x.min_length for x in _limits(hint)), 1)
        yield from (3, 'ab', None, *([[]] if _limits(hint) else []))
    elif is_typeddict(kind):
        yield from (3, None, [])


def test_the_walk_meets_all_rooms():
    assert len(CLASSES) > (105 if find_spec('mmdet') else 75)
    assert len(ARGUMENTS) > 220


def test_every_argument_of_ours_says_what_it_takes():
    found = {
        name
        for kind in CLASSES
        for name, one in inspect.signature(kind).parameters.items()
        if '__init__' in vars(kind)
        and one.kind not in (one.VAR_KEYWORD, one.VAR_POSITIONAL)
        and arguments_of(kind).hints[name] is Any
    }
    assert found <= HANDED_OVER, 'state its range, see ccmim/ranges.py'


@pytest.mark.parametrize('kind', CLASSES, ids=lambda kind: kind.__name__)
def test_every_number_has_a_range(kind):
    for name, hint in arguments_of(kind).hints.items():
        for part in _parts(hint):
            bare = part in (int, float) and f'{kind.__name__}.{name}' not in FREE
            owner = f'{kind.__name__}.{name}: {hint}'
            assert not bare, f'{owner} needs a range, see ccmim/ranges.py'


@pytest.mark.parametrize(
    ('kind', 'name', 'hint'), ARGUMENTS, ids=lambda x: getattr(x, '__name__', str(x))
)
def test_values_outside_are_refused_in_one_line(kind, name, hint):
    allowed = list(ranges._options(hint))
    values = [value for option in allowed for value in _outside(option)]
    refused = 0
    for value in values:
        if any(ranges._fits(ranges._adapter(option), value) for option in allowed):
            continue  # by another member of the union
        with pytest.raises(ValueError, match=' must be ') as caught:
            kind(**{name: value})
        said = f'{kind.__name__}: {name}={value!r} must be '
        assert str(caught.value).startswith(said)
        assert '\n' not in str(caught.value)
        refused += 1
    assert refused or not values, hint


@pytest.mark.parametrize('kind', CLASSES, ids=lambda kind: kind.__name__)
def test_defaults_lie_inside(kind):
    for name, hint in arguments_of(kind).hints.items():
        for owner in kind.__mro__:
            parameter = inspect.signature(owner).parameters.get(name)
            if parameter and parameter.default is not parameter.empty:
                check_value(parameter.default, hint, name)
            if parameter:
                break


@pytest.mark.parametrize(
    ('hint', 'words', 'inside', 'outside'),
    [
        (ranges.Count, 'a whole number from 1 on', [1, 7], [0, 1.0]),
        (ranges.Ratio, 'a number from 0 up to 1', [0, 1, 0.5], [1.01, -0.1]),
        (ranges.InnerRatio, 'a number above 0 and below 1', [0.5], [0, 1]),
        (ranges.RatioBelowOne, 'a number from 0 below 1', [0], [1.0]),
        (ranges.Positive | None, 'a number above 0 or None', [None, 2], [0, '2']),
        (
            ranges.Sides,
            'a whole number from 1 on or a list of 2 (a whole number from 1 on)',
            [3, (3, 4), [3, 4]],
            [(3,), (3, 4, 5), '34', (3, 0), (3, 4.0)],
        ),
        (ranges.Part, 'a dict', [{}, ConfigDict(a=1)], [[], 'a']),
        (ranges.Path, 'a text', ['a'], [3]),
    ],
)
def test_ranges_in_words(hint, words, inside, outside):
    assert describe(hint) == words
    for value in inside:
        check_value(value, hint, 'key')
    for value in outside:
        with pytest.raises(ValueError, match=r'^key=.* must be '):
            check_value(value, hint, 'key')


def test_keys_that_may_be_absent_have_ranges_too():
    given = dict(train={}, test={}, k=0)
    with pytest.raises(ValueError, match='^knn.k=0 must be a whole number from 1 on$'):
        check_value(given, Knn, 'knn')


def test_dicts_have_all_their_keys_and_no_others():
    check_value(dict(embed_dim=32, depth=1, num_heads=2), Arch, 'arch')
    for given, message in (
        (dict(depth=1, num_heads=2), 'arch lacks embed_dim'),
        (dict(depth=0), 'arch.depth=0 must be a whole number from 1 on'),
        (dict(deph=1), 'unknown key arch.deph: use one of depth, embed_dim, num_heads'),
    ):
        with pytest.raises(ValueError, match=f'^{message}$'):
            check_value(given, Arch, 'arch')


def test_the_page_of_options_is_that_of_the_annotations(request):
    pytest.importorskip('mmdet')
    pytest.importorskip('mmseg')
    import print_options

    text = print_options.page([kind for _, kind in print_options.classes()])
    assert '| `mask_ratio` | a number above 0 and below 1 | `0.75` |' in text
    written = (request.config.rootpath / 'docs/options.md').read_text()
    assert written == text, 'python tools/print_options.py --out docs/options.md'
