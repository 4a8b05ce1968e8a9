"""Two tables of names that rename parameters both ways."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from torch import Tensor

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class Renaming:
    """How another project names what a ViT consists of.

    Args:
        blocks: Their name of the list of blocks, such as ``layers``.
        top: Their names outside the blocks by ours; whole names or modules.
        block: Their names inside a block by ours.
    """

    blocks: str
    top: Mapping[str, str]
    block: Mapping[str, str]

    def to_ours(self, state: Mapping[str, Tensor]) -> Tensors:
        """Rename what has a name of ours, leave the rest as it is."""
        top, block = _turned(self.top), _turned(self.block)
        return dict(_renamed(state, self.blocks, 'blocks', top, block))

    def to_theirs(self, state: Mapping[str, Tensor]) -> Tensors:
        """Rename what has a name of theirs, leave the rest as it is."""
        return dict(_renamed(state, 'blocks', self.blocks, self.top, self.block))


def _renamed(
    state: Mapping[str, Tensor],
    blocks: str,
    new_blocks: str,
    top: Mapping[str, str],
    block: Mapping[str, str],
) -> Iterator[tuple[str, Tensor]]:
    in_block = re.compile(rf'{re.escape(blocks)}\.(\d+)\.(.+)')
    for name, value in state.items():
        found = in_block.fullmatch(name)
        if found is None:
            yield _translate(name, top) or name, value
        elif inner := _translate(found[2], block):
            yield f'{new_blocks}.{found[1]}.{inner}', value
        else:
            yield name, value


def _translate(name: str, table: Mapping[str, str]) -> str | None:
    # A whole name, or a module and the name of its parameter.
    module, _, parameter = name.rpartition('.')
    if name in table:
        return table[name]
    return f'{table[module]}.{parameter}' if module in table else None


def _turned(table: Mapping[str, str]) -> dict[str, str]:
    return {theirs: ours for ours, theirs in table.items()}
