"""Whatever stands in an annotation file, the answer is a report or one line."""

import copy
import json
import random

import pytest

from ccmim.labels import LabelError
from ccmim.labels.judge import judge
from ccmim.labels.layouts import find_labels
from tests.labels.sets import HEIGHT, WIDTH, Objects
from tests.labels.test_odd_sets import packed, runs

ODD = [
    *(None, True, -1, 0, 1.5, 10**30, -(10**30), float('inf'), float('nan')),
    *('', 'x', '7', 'a' * 5000, '../../../etc/passwd', '\0', '\ud800', 'a\n\x1b[31mb'),
    *([], [[]], {}, [1], [None], dict(a=1), [[float('nan')] * 6], [[1e308] * 6]),
    dict(size=[HEIGHT, WIDTH], counts=[-1]),
    dict(size=[HEIGHT, WIDTH], counts='~~~~~'),
    dict(size=[HEIGHT, WIDTH], counts=[10**19]),
    dict(size=[10**9, 10**9], counts=[10**18]),
    dict(counts=''),
]


def _paths(node, start=()):
    for key in node if isinstance(node, dict) else range(len(node)):
        yield (*start, key)
        if isinstance(node[key], dict | list):
            yield from _paths(node[key], (*start, key))


def _harm(content, paths, rng):
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        *way, last = rng.choice(paths)
        node = content
        try:
            for key in way:
                node = node[key]
            if rng.random() < 0.15:
                del node[last]
            else:
                node[last] = copy.deepcopy(rng.choice(ODD))
        except (KeyError, IndexError, TypeError):
            continue  # what was there is gone


@pytest.mark.downstream
@pytest.mark.parametrize(
    'count', [150, pytest.param(3000, marks=pytest.mark.slow)], ids=['short', 'long']
)
def test_no_annotation_file_ends_in_a_traceback(count, tmp_path):
    pytest.importorskip('pycocotools')
    made, rng = Objects(tmp_path / 'set'), random.Random(count)
    made.train['annotations'][1]['segmentation'] = runs(Objects.BOXES[1])
    made.train['annotations'][2]['segmentation'] = packed(Objects.BOXES[2])
    made.write()
    sound, paths = json.dumps(made.train), list(_paths(made.train))
    named = 0
    for _ in range(count):
        content = json.loads(sound)
        _harm(content, paths, rng)
        text = json.dumps(content)
        if rng.random() < 0.03:
            text = text[: rng.randrange(len(text))]
        made.file().write_text(text)
        try:
            errors = [r.error() for r in judge(find_labels(made.root)) if r.problems]
        except LabelError as error:
            errors = [str(error)]
        named += bool(errors)
        assert all(error.isprintable() and len(error) < 1500 for error in errors), text
    assert count * 0.8 < named < count
