"""Random changes of files and of nested values."""

import copy
import random
from collections.abc import Iterator
from typing import Any

ODD = (
    *(None, True, False, -1, 0, 1, 1.5, 10**30, -(10**30), float('inf'), float('nan')),
    *('', 'x', '7', 'a' * 5000, '../../../etc/passwd', '\0', '\ud800', 'a\n\x1b[31mb'),
    *([], [[]], {}, [1], [None], dict(a=1), [[float('nan')] * 6], [[1e308] * 6]),
    *(dict(size=[30, 40], counts=[-1]), dict(size=[30, 40], counts='~~~~~')),
    *(dict(size=[30, 40], counts=[10**19]), dict(counts='')),
    dict(size=[10**9, 10**9], counts=[10**18]),
)


def changed_bytes(draw: random.Random, content: bytes) -> bytes:
    """Flip, cut, double, insert or move some bytes."""
    text = bytearray(content)
    for _ in range(draw.choice([1, 1, 2, 4, 16])):
        at, length = draw.randrange(len(text) or 1), draw.choice([1, 1, 2, 8, 64])
        match draw.randrange(5):
            case 0 if text:
                text[at] ^= 1 << draw.randrange(8)
            case 1:
                del text[at : at + length]
            case 2:
                text[at:at] = text[at : at + length]
            case 3:
                text[at:at] = bytes(draw.randrange(256) for _ in range(length))
            case 4:
                to = draw.randrange(len(text) or 1)
                text[to : to + length] = text[at : at + length]
    return bytes(text)


def harmed(draw: random.Random, content: Any) -> Any:
    """Put odd values in some places of nested dicts and lists, or take some away."""
    changed = copy.deepcopy(content)
    paths = list(_paths(changed))
    for _ in range(draw.choice([1, 1, 1, 2, 3])):
        *way, last = draw.choice(paths)
        node = changed
        try:
            for key in way:
                node = node[key]
            if draw.random() < 0.15:
                del node[last]
            else:
                node[last] = copy.deepcopy(draw.choice(ODD))
        except (KeyError, IndexError, TypeError):
            continue  # what was there is gone
    return changed


def _paths(node: Any, start: tuple = ()) -> Iterator[tuple]:
    for key in node if isinstance(node, dict) else range(len(node)):
        yield (*start, key)
        if isinstance(node[key], dict | list):
            yield from _paths(node[key], (*start, key))
