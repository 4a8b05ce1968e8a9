"""Image normalization that weights expect, from their metadata."""

import json
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

from ccmim.checkpoints.config_text import read_values

# By channel, in 0..255: ImageNet's.
MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
_MOST = 1e6
Channels: TypeAlias = tuple[float, float, float]


class Pixels(NamedTuple):
    """What is subtracted from pixels in 0..255, and what they are divided by then.

    Attributes:
        mean: Of red, green and blue; ImageNet's by default.
        std: Likewise.
    """

    mean: Channels = MEAN
    std: Channels = STD

    @classmethod
    def of(cls, declared: Mapping[str, Any]) -> 'Pixels':
        """Take them from what is declared of weights; ImageNet's where nothing is."""
        mean, std = declared.get('mean'), declared.get('std')
        if not _is_rgb(mean) or not _is_rgb(std) or min(std) <= 0:
            return cls()
        return cls(tuple(map(float, mean)), tuple(map(float, std)))

    def in_units(self) -> dict[str, list[float]]:
        """Return them for pixels in 0..1, as timm and transformers do."""
        return {
            name: [round(value / 255, 6) for value in values]
            for name, values in self._asdict().items()
        }

    def as_lists(self) -> dict[str, list[float]]:
        """Return them as a config has them."""
        return {name: list(values) for name, values in self._asdict().items()}

    def __str__(self) -> str:
        """Both for pixels in 0..1, short."""
        units = self.in_units().items()
        return ', '.join(f'{k} {" ".join(f"{v:.3g}" for v in vs)}' for k, vs in units)


def declared_pixels(
    config: Mapping[str, Any], folder: Path | None = None
) -> dict[str, Any]:
    """Find the normalization in what lies beside weights, as ``Pixels.of`` takes it.

    Args:
        config: Their ``config.json``: timm's says it.
        folder: Where ``preprocessor_config.json`` of transformers may lie.
    """
    cfg = config.get('pretrained_cfg')
    cfg = cfg if isinstance(cfg, Mapping) else config
    mean, std = cfg.get('mean'), cfg.get('std')
    if folder is not None:
        with suppress(OSError, ValueError, RecursionError):
            text = (folder / 'preprocessor_config.json').read_text(encoding='utf-8')
            if isinstance(beside := json.loads(text), dict):
                mean = beside.get('image_mean', mean)
                std = beside.get('image_std', std)
    if not _is_rgb(mean) or not _is_rgb(std):
        return {}
    return {
        name: [round(255 * value, 4) for value in values]
        for name, values in (('mean', mean), ('std', std))
    }


def pixels_of_run(content: Mapping[str, Any]) -> dict[str, Any]:
    """Find the normalization in the config that a checkpoint of a run holds."""
    meta = content.get('meta')
    text = meta.get('config_text') if isinstance(meta, Mapping) else None
    if not isinstance(text, str):
        return {}
    with suppress(ValueError, AttributeError, TypeError):
        model = read_values(text).get('model', {})
        settings = model.get('data_preprocessor') or {}
        if settings.get('mean') and settings.get('std'):
            return dict(mean=list(settings['mean']), std=list(settings['std']))
    return {}


def _is_rgb(values: Any) -> bool:
    return (
        isinstance(values, list | tuple)
        and len(values) == 3
        and all(
            isinstance(value, int | float) and abs(value) < _MOST for value in values
        )
    )
