"""What the stages of a comparison run, and where that leaves its result."""

import hashlib
import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from mmengine.config import Config

from ccmim.api.catalogue import home
from ccmim.checkpoints.sources import find_weights


def train_command(config: str, work: Path, options: Sequence[str]) -> list[object]:
    """Write the command that trains, or resumes what it began."""
    command = ['tools/train.py', config, '--work-dir', work, '--resume']
    return [*command, '--cfg-options', *options]


@cache
def read_cached(config: str) -> Config:
    """Read a config once."""
    return Config.fromfile(config)


@cache
def content_of_file(source: str) -> str:
    """Name the content of a config or of weights, see ``content_of``."""
    if source.endswith('.py'):
        return content_of(read_cached(source))
    path, _ = find_weights(source)
    files = sorted(path.iterdir()) if path.is_dir() else [path]
    return ' '.join(content_of(file) for file in files if file.is_file())


def probe_command(config: str) -> list[object]:
    """Write the command that measures frozen features, but for what it measures."""
    if 'decode_head' in read_cached(config).model:
        return ['tools/patch_knn.py']
    # Not --k last: it would take what comes after it for another number.
    return ['tools/knn.py', '--k', 20, '--linear', '--pool', 'both']


def last_checkpoint(config: str, options: Sequence[str]) -> str:
    """Name the checkpoint at the end of a run."""
    length = read_cached(config).train_cfg.to_dict()
    for option in options:
        key, _, value = option.partition('=')
        if key.startswith('train_cfg.max_'):
            length[key.removeprefix('train_cfg.')] = int(value)
    if 'max_epochs' in length:
        return f'epoch_{length["max_epochs"]}.pth'
    return f'iter_{length["max_iters"]}.pth'


def content_of(source: Config | Path) -> str:
    """Name a content so that another has another name.

    Args:
        source: A config, identified by its values, wherever the checkout lies; or
            another file, by its size and the time when it was written.

    Returns:
        Some characters.
    """
    if isinstance(source, Path):
        status = source.stat()
        return f'{status.st_size} {status.st_mtime_ns}'
    text = json.dumps(source.to_dict(), sort_keys=True, default=repr)
    text = text.replace(f'{home()}/', '')
    return hashlib.sha256(text.encode()).hexdigest()[:16]
