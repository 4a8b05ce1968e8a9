"""Published EoMT weights: those of transformers and of the authors."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ccmim.checkpoints.finite import refuse_nonfinite
from ccmim.checkpoints.layouts import Tensors
from ccmim.checkpoints.load import load_backbone
from ccmim.checkpoints.safe_load import load_file
from ccmim.checkpoints.sources import find_weights, open_source

# Their names by ours, of the authors and of transformers.
_NAMES = {
    'query.weight': ('q.weight', 'query.weight'),
    'class_head': ('class_head', 'class_predictor'),
    'mask_head.0': ('mask_head.0', 'mask_head.fc1'),
    'mask_head.2': ('mask_head.2', 'mask_head.fc2'),
    'mask_head.4': ('mask_head.4', 'mask_head.fc3'),
}
_OURS = {theirs: ours for ours, names in _NAMES.items() for theirs in names}
_UPSCALE = re.compile(r'upscale(?:_block\.block)?\.(\d+)\.(conv1|conv2|norm|layern)')
_WRAPPERS = re.compile(r'^network\.|(?<![^.])_orig_mod\.')
_DELTA = 'encoder.backbone.patch_embed.patch_embeddings.weight'


def load_eomt(backbone: nn.Module, head: nn.Module, file: str | Path) -> None:
    """Load a published EoMT into a backbone and a head of ours.

    Args:
        backbone: A ``VisionTransformer``.
        head: An ``EoMTHead``.
        file: File, folder or ``hf:OWNER/NAME``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no EoMT, or of another backbone or head.
    """
    state = read_eomt_head(file)
    own = head.state_dict()
    if lost := sorted(own.keys() - state.keys()):
        what = 'no EoMT' if len(lost) == len(own) else "another EoMT's head"
        raise ValueError(f'{file} is of {what}: it lacks {lost[0]} of the head')
    for name, value in own.items():
        if value.shape != state[name].shape:
            raise ValueError(
                f"{file} is of another EoMT's head: {name} has shape "
                f'{tuple(state[name].shape)}, this one wants {tuple(value.shape)}: set '
                'num_queries, the number of classes and patch_size to those of the file'
            )
    refuse_nonfinite(state, file)
    load_backbone(backbone, file)
    head.load_state_dict({name: state[name] for name in own})


def is_eomt(content: Mapping[str, Any]) -> bool:
    """Whether a file that was read is a published EoMT, by its names."""
    inner = content.get('state_dict', content)
    names = {_WRAPPERS.sub('', name) for name in inner if isinstance(name, str)}
    return bool(names & {*_NAMES['query.weight'], _DELTA})


def read_eomt_head(file: str | Path) -> Tensors:
    """Read the tensors of a head by our names; none if the file holds something else.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds the difference to other weights.
    """
    path, _ = find_weights(file)
    content = open_source(file).tensors if path.is_dir() else load_file(path)
    inner: Mapping[str, Any] = content.get('state_dict', content)
    named = {_WRAPPERS.sub('', k): v for k, v in inner.items()}
    if _DELTA in named:
        raise ValueError(
            f"{file} holds what EoMT's training added to DINOv3's weights: add the "
            'two, or take the file that transformers reads'
        )
    head: Tensors = {}
    for name, value in named.items():
        if isinstance(value, Tensor) and (ours := _rename(name)):
            head[ours] = value
    return head if 'query.weight' in head else {}


def _rename(name: str) -> str | None:
    if name in _OURS:
        return _OURS[name]
    module, _, parameter = name.rpartition('.')
    if module in _OURS:
        return f'{_OURS[module]}.{parameter}'
    if match := _UPSCALE.match(name):
        part = 'norm' if match[2] == 'layern' else match[2]
        return f'upscale.{match[1]}.{part}.{parameter}'
    return None
