"""Find weights and read them, without executing code.

A file, a folder, ``timm:NAME`` or ``hf:OWNER/NAME``; from caches without a network.
"""

import argparse
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor

from ccmim.checkpoints.hugging_face import read_config
from ccmim.checkpoints.layouts import Tensors
from ccmim.checkpoints.normalization import pixels_of_run, said_of_pixels
from ccmim.checkpoints.safe_load import is_safetensors, is_zip, load_file
from ccmim.checkpoints.shards import SHARDS, files_of
from ccmim.checkpoints.verify import verify_archive
from ccmim.renamed import new_part

METADATA = 'ccmim'  # the key of what we say of a file in its metadata
NAMED = ('timm:', 'hf:')
SUFFIXES = ('.pth', '.pt', '.safetensors', '.ckpt', '.bin')
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
_FILES = ('model.safetensors', 'pytorch_model.bin', 'open_clip_pytorch_model.bin')
_PATTERNS = ['config.json', '*.safetensors', '*.safetensors.index.json', '*.bin']


@dataclass
class Source:
    """Tensors of one network by its names, and what else its file says."""

    tensors: Tensors
    left_out: dict[str, str] = field(default_factory=dict)  # other entries, and why
    layout: str | None = None  # where the file says it
    said: dict[str, Any] = field(default_factory=dict)  # of the architecture
    notes: list[str] = field(default_factory=list)
    total: int = 0  # tensors in the file
    label: str = ''  # of the network, where there are several parts


def open_source(weights: str | Path, part: str = '') -> Source:
    """Read the tensors of a network, and what is said of it.

    Args:
        weights: A file of ``torch.save``, a ``.safetensors`` file, a folder of
            transformers, timm or a hub with ``config.json`` beside the weights in one
            file or several; ``timm:NAME`` or ``hf:OWNER/NAME``.
        part: Which network of several; 'ema' for the averaged one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, holds code or no tensors, or has no such part.
    """
    path, said = find_weights(weights)
    if path.is_dir():
        files, config = _files_of(path)
        found = _said_by(config)
    else:
        files, config = [path], path.with_name('config.json')
        found = {}
        with suppress(ValueError, OSError):  # of something else
            found = _said_by(config)
    content: dict[str, Any] = {}
    metadata: dict[str, Any] = {}
    for file in files:
        more, metadata = _read(file)
        content = content | more if content else more  # which keeps what more notes
    source = _choose(content, new_part(part), path)
    if 'layout' in metadata and metadata.get('sha256') != digest(
        _flat_tensors(content)
    ):
        raise ValueError(
            f'{path} is damaged: its tensors are not those written: copy it again'
        )
    source.layout = metadata.get('layout')
    own = metadata.get('architecture') or source.said
    if path.is_dir():  # whose config.json comes first, and knows no resampling of ours
        source.said = own | {k: v for k, v in found.items() if k != 'pos_resample'}
        source.said.setdefault('pos_resample', found.get('pos_resample'))
    else:
        source.said = found | own
    source.said |= said
    source.said |= pixels_of_run(content) or metadata.get('pixels') or {}
    return source


def find_weights(weights: str | Path) -> tuple[Path, dict[str, Any]]:
    """Find the file or folder that a name stands for, and what the name says of it."""
    text = str(weights)
    if text.startswith('timm:'):
        import timm

        name = text.removeprefix('timm:')
        if not timm.is_model(name.partition('.')[0]):
            near = timm.list_models(f'*{name.partition(".")[0][:12]}*')[:3]
            meant = f': did you mean {", ".join(near)}?' if near else ''
            raise ValueError(f'{text}: timm has no such model{meant}')
        config = timm.get_pretrained_cfg(name, allow_unregistered=False)
        if config is None or not config.hf_hub_id:
            raise ValueError(f'{text}: timm has no weights of this name')
        said = read_config(dict(architecture=name.partition('.')[0]))
        said |= said_of_pixels(dict(mean=config.mean, std=config.std))
        return _snapshot(config.hf_hub_id, text), said
    if text.startswith('hf:'):
        return _snapshot(text.removeprefix('hf:'), text), {}
    path = Path(weights).expanduser()
    if path.suffix == SHARDS:
        path = path.with_suffix('.pth')  # which holds the rest
    if not path.exists():
        raise FileNotFoundError(
            f'checkpoint {path} does not exist (weights are a file, a folder, '
            'timm:NAME or hf:OWNER/NAME)'
        )
    return path, {}


def is_weights(text: str | Path) -> bool:
    """Return whether a word names weights rather than a model or a config."""
    path = Path(text).expanduser()
    return (
        str(text).startswith(NAMED)
        or path.suffix in SUFFIXES
        or path.is_dir()
        or (path.is_file() and path.suffix != '.py')  # caches name files by digests
    )


def digest(tensors: Mapping[str, Tensor]) -> str:
    """Compute the SHA-256 of names, types, shapes and values, in order of the names."""
    total = sha256()
    for name in sorted(tensors):
        value = tensors[name].detach().cpu().contiguous()
        total.update(f'{name} {value.dtype} {tuple(value.shape)}\n'.encode())
        total.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return total.hexdigest()


def _snapshot(repository: str, name: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError

    try:
        with suppress(OSError, ValueError):
            folder = Path(
                snapshot_download(
                    repository, local_files_only=True, allow_patterns=_PATTERNS
                )
            )
            if _holds_weights(folder):
                return folder
        return Path(snapshot_download(repository, allow_patterns=_PATTERNS))
    except HFValidationError:
        raise ValueError(f'{name}: write it as hf:OWNER/NAME') from None
    except Exception as error:  # whatever the network's libraries raise
        raise ValueError(
            f'{name} is in no cache (HF_HOME) and cannot be downloaded '
            f'({type(error).__name__}): connect, copy the cache from a machine that '
            'is, or give a file'
        ) from None


def _holds_weights(folder: Path) -> bool:
    return any(folder.glob('*.safetensors')) or any(folder.glob('*.bin'))


def _files_of(folder: Path) -> tuple[list[Path], Path]:
    config = folder / 'config.json'
    index = next(iter(sorted(folder.glob('*.index.json'))), None)
    if index is not None and not any((folder / name).is_file() for name in _FILES):
        try:
            names = sorted(set(json.loads(index.read_text())['weight_map'].values()))
        except (ValueError, KeyError, AttributeError):
            raise ValueError(
                f'{index} is damaged or no index of weights: copy it again'
            ) from None
        files = [folder / Path(name).name for name in names]
        for file in files:
            if not file.is_file():
                raise ValueError(
                    f'{folder} lacks {file.name}, which {index.name} names: copy all '
                    'of them'
                )
    else:
        files = [folder / name for name in _FILES if (folder / name).is_file()][:1]
        files = files or sorted(folder.glob('model*.safetensors'))
    if not config.is_file() or not files:
        raise ValueError(
            f'{folder} is no model folder of Hugging Face: it needs config.json and '
            'model.safetensors or pytorch_model.bin'
        )
    return files, config


def _said_by(config: Path) -> dict[str, Any]:
    try:
        content = json.loads(config.read_text(encoding='utf-8'))
        return read_config(content) | said_of_pixels(content, config.parent)
    except (ValueError, AttributeError, TypeError) as error:  # json's are ValueErrors
        raise ValueError(f'{config.parent}: {error}') from None


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """Read a file: its content, and what we said of it when we wrote it."""
    if is_safetensors(path):
        content: dict[str, Any] = load_file(path)
        with safe_open(path, 'pt') as file:
            text = (file.metadata() or {}).get(METADATA, '{}')
        return content, json.loads(text)
    # The published pretraining codes save their command line, which is plain data.
    with torch.serialization.safe_globals([argparse.Namespace]):
        content = load_file(path)
    if is_zip(path):
        for file in files_of(path):
            verify_archive(file)
    meta = content.get('meta')
    said = meta.get(METADATA) if isinstance(meta, dict) else None
    return content, said if isinstance(said, dict) else {}


def _choose(content: Mapping[str, Any], part: str, path: Path) -> Source:
    """Take one network out of a file."""
    content = _name_averaged(content)
    flat = {_WRAPPED.sub('', k): v for k, v in _flatten(content)}
    if not flat:
        raise ValueError(f'{path} holds no tensors: give a file of weights')
    prefixes = {}
    for name in flat:
        if found := _PATCHES.fullmatch(name):
            prefixes.setdefault(_label(found['prefix']), found['prefix'])
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
    said = dict(_noted(content)).get(prefix, {})
    return Source(inside, left_out, None, said, notes, len(flat), label)


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


def _flat_tensors(content: Mapping[str, Any]) -> Tensors:
    inner = content.get('state_dict', content)
    return {k: v for k, v in inner.items() if isinstance(v, Tensor)}


def _holds_tensors(value: Any) -> bool:
    if isinstance(value, Mapping):
        return any(True for _ in _flatten(value))
    return isinstance(value, Tensor)
