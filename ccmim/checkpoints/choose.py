"""Take one network out of what a file holds: among wrappers, teachers and averages."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from ccmim.checkpoints.layouts import Tensors

# Words of a key that name a wrapper and no network.
_NEUTRAL = ('state_dict', 'model', 'module', 'network', 'weights', '_forward_module')
_WRAPPED = re.compile(
    r'(?:^|(?<=\.))(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module)\.'
)
# What the name of the patch embedding ends with, in any layout.
_PATCHES = re.compile(
    r'(?P<prefix>(?:.*\.)?)(?:patch_embed\.(?:proj|projection)\.weight|'
    r'embeddings\.patch_embeddings?\.(?:projection\.)?weight)'
)
_TRAINED = 'trained'  # beside an averaged network
_EMA = re.compile(
    r'(^|\.)(ema|model_ema|ema_model|ema_state_dict|state_dict_ema)(\.|$)'
)
# Which of several networks is the one that papers transfer; the first that is there.
_PREFERRED = ('', 'backbone', 'teacher.backbone', 'teacher', 'target_encoder')
_PREFERRED += ('base_encoder', '_backbone', 'student.backbone', 'student', 'encoder')
_NOT_WEIGHTS = ('optimizer', 'optim', 'scheduler', 'scaler', 'message_hub', 'loops')


@dataclass
class Source:
    """Tensors of one network by its names, and what else its file says."""

    tensors: Tensors
    left_out: dict[str, str] = field(default_factory=dict)  # other entries, and why
    layout: str | None = None  # where the file says it
    declared: dict[str, Any] = field(default_factory=dict)  # of the architecture
    notes: list[str] = field(default_factory=list)
    total: int = 0  # tensors in the file
    label: str = ''  # of the network, where there are several parts


def choose_network(content: Mapping[str, Any], part: str, path: Path) -> Source:
    """Take one network out of a file.

    Args:
        content: Of the file.
        part: Which network of several, '' for the one that papers transfer; 'ema' for
            the averaged one.
        path: The file, for messages.

    Raises:
        ValueError: If there is no such part, or several and none was chosen.
    """
    content = _name_averaged(content)
    flat = {_WRAPPED.sub('', k): v for k, v in _flatten(content)}
    if not flat:
        raise ValueError(f'{path} holds no tensors: give a file of weights')
    prefixes = {}
    for name in flat:
        if match := _PATCHES.fullmatch(name):
            prefixes.setdefault(_label(match['prefix']), match['prefix'])
        elif name.endswith('conv1.weight'):  # OpenAI's CLIP
            prefix = name.removesuffix('conv1.weight')
            if f'{prefix}class_embedding' in flat:
                prefixes.setdefault(_label(prefix), prefix)
    label, note = _pick(list(prefixes), part, path, flat)
    prefix = prefixes.get(label, _common_prefix(flat))
    inside = {
        k.removeprefix(prefix): v for k, v in flat.items() if k.startswith(prefix)
    }
    what = 'the backbone' if label in ('', 'backbone') else label
    outside = [_label(k) for k in flat if not k.startswith(prefix)]
    left_out = dict.fromkeys(outside, f'not of {what}')
    rest = [str(k) for k, v in content.items() if not _holds_tensors(v)]
    left_out = dict.fromkeys(rest, 'of the run') | left_out
    notes = [note] if note else []
    declared = dict(_noted(content)).get(prefix, {})
    return Source(inside, left_out, None, declared, notes, len(flat), label)


def _name_averaged(content: Mapping[str, Any]) -> Mapping[str, Any]:
    """Call what mmengine's EMAHook saves by what it is.

    It swaps the two networks when it saves: ``state_dict`` is the averaged one, and
    ``ema_state_dict`` the one in training, under the names of the average.
    """
    swapped = content.get('ema_state_dict')
    if not isinstance(swapped, Mapping) or 'steps' not in swapped:
        return content
    rest = {k: v for k, v in content.items() if k != 'ema_state_dict'}
    return rest | {_TRAINED: swapped}


def _is_trained(label: str) -> bool:
    return label.partition('.')[0] == _TRAINED


def _pick(
    labels: list[str], part: str, path: Path, flat: Mapping[str, Tensor]
) -> tuple[str, str]:
    if part:
        fitting = [x for x in labels if x == part or x.startswith(f'{part}.')]
        if part == 'ema':
            fitting = [x for x in labels if _EMA.search(x)]
            if not fitting and any(_is_trained(x) for x in labels):
                fitting = [x for x in labels if not _is_trained(x)]
        if not fitting:
            names = labels or sorted({name.partition('.')[0] for name in flat})
            shown = ', '.join(name or 'the network itself' for name in names)
            raise ValueError(f'{path} has no part {part}: it is of {shown}')
        return min(fitting, key=len), ''
    if len(labels) < 2:
        return (labels[0] if labels else ''), ''
    plain = [x for x in labels if not _EMA.search(x)] or labels
    best = next((x for x in _PREFERRED if x in plain), None)
    if best is None and len(plain) == 1:
        best = plain[0]
    if best is None:
        raise ValueError(
            f'{path} holds several networks: choose by part: {", ".join(labels)}'
        )
    others = ', '.join(x or 'the network itself' for x in labels if x != best)
    return best, f'{best or "the network itself"} was read; there are also: {others}'


def _label(prefix: str) -> str:
    words = [w for w in prefix.strip('.').split('.') if w and w not in _NEUTRAL]
    return '.'.join(words)


def _common_prefix(flat: Mapping[str, Tensor]) -> str:
    # Of wrappers alone, where no patch embedding says where the network is.
    words = next(iter(flat)).split('.')
    prefix = ''
    for word in words[:-1]:
        if word not in _NEUTRAL or not all(k.startswith(prefix + word) for k in flat):
            break
        prefix += f'{word}.'
    return prefix


def _flatten(
    content: Mapping[Any, Any], start: str = ''
) -> Iterator[tuple[str, Tensor]]:
    for key, value in content.items():
        if not isinstance(key, str) or (not start and key.startswith(_NOT_WEIGHTS)):
            continue
        if isinstance(value, Tensor):
            yield f'{start}{key}', value
        elif isinstance(value, Mapping):
            yield from _flatten(value, f'{start}{key}.')


def _noted(
    content: Mapping[Any, Any], start: str = ''
) -> Iterator[tuple[str, dict[str, Any]]]:
    # What networks of ours note beside their weights, by the prefix of their keys.
    for module, noted in (getattr(content, '_metadata', None) or {}).items():
        if isinstance(noted, Mapping) and isinstance(noted.get('architecture'), dict):
            prefix = _WRAPPED.sub('', f'{start}{module}.' if module else start)
            yield prefix, noted['architecture']
    for key, value in content.items():
        if isinstance(key, str) and isinstance(value, Mapping):
            yield from _noted(value, f'{start}{key}.')


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(True for _ in _flatten(value))
    return isinstance(value, Tensor)
