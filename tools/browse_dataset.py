"""Draw training images after augmentation.

Views of pretraining and classification; boxes and masks, or classes, of detection and
segmentation by mmdet's or mmseg's own visualizer.
"""

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS, VISUALIZERS, DefaultScope
from mmengine.utils import import_modules_from_strings
from PIL import Image

from ccmim.data import SampleKey
from ccmim.engine.config import read_config
from ccmim.engine.settings import StartHook, clear_errors
from ccmim.engine.settings.option_action import OptionAction
from ccmim.files import Parser, replacing, say

EXAMPLE = """example:
  python tools/browse_dataset.py mm_configs/detection/mask_rcnn_vitb_coco.py \\
      --output-dir seen --number 20"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='path of the config')
    parser.add_argument('--output-dir', '-o', type=Path, default=Path('browse'))
    parser.add_argument(
        '--phase', '-p', choices=['train', 'val', 'test'], default='train'
    )
    parser.add_argument(
        '--number', '--show-number', '-n', type=int, default=16, help='of pictures'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=OptionAction, help='changes: KEY=VALUE ...'
    )
    parser.add_argument('--debug', action='store_true', help='show tracebacks')
    args = parser.parse_args()
    if args.number < 1:
        parser.error(f'--number {args.number} must be positive')
    return args


def open_samples(cfg: Config, phase: str) -> tuple[Any, Callable[[Any], np.ndarray]]:
    """Open the data set of a phase, and choose how its samples are drawn.

    Raises:
        ValueError: If the config has no data for the phase.
    """
    loader = cfg.get(f'{phase}_dataloader') or {}
    if 'dataset' not in loader:
        raise ValueError(f'{cfg.filename} has no {phase}_dataloader.dataset')
    import_modules_from_strings(**cfg.get('custom_imports') or dict(imports=[]))
    data = DATASETS.build(loader.dataset)
    if cfg.get('default_scope') not in ('mmdet', 'mmseg'):
        return data, lambda sample: views_of(sample['inputs'])
    visualizer = VISUALIZERS.build({**cfg.visualizer, 'vis_backends': None})
    visualizer.dataset_meta = data.metainfo

    def draw(sample: Any) -> np.ndarray:
        image = sample['inputs'].permute(1, 2, 0).numpy()[..., ::-1]  # BGR to RGB
        truth = sample['data_samples'].numpy()
        if objects := truth.get('gt_instances'):
            # What augmentation works on, as what visualizers draw.
            objects.bboxes = getattr(objects.bboxes, 'tensor', objects.bboxes)
            if 'masks' in objects:
                objects.masks = objects.masks.to_ndarray().astype(bool)
        visualizer.add_datasample(
            '', np.ascontiguousarray(image), truth, draw_pred=False
        )
        return visualizer.get_image()

    return data, draw


def views_of(inputs: Any) -> np.ndarray:
    """Turn the images of a sample, uint8 (3, H, W), into a picture (H, W, 3)."""
    return inputs.permute(1, 2, 0).numpy()


def main() -> None:
    """Draw the first samples of a pass."""
    args = parse_args()
    with clear_errors(StartHook(), args.debug):
        cfg = read_config(args.config, None, args.cfg_options)
        seed = (cfg.get('randomness') or {}).get('seed') or 0
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope')):
            data, draw = open_samples(cfg, args.phase)
            keyed = cfg.get('default_scope') not in ('mmdet', 'mmseg')
            args.output_dir.mkdir(parents=True, exist_ok=True)
            count = min(args.number, len(data))
            for i in range(count):
                # Spread over the data, which often begin with one class or folder.
                index = i * len(data) // count
                sample = data[SampleKey(seed, 0, index) if keyed else index]
                file = args.output_dir / f'{args.phase}_{index:06d}.png'
                with replacing(file) as part:
                    Image.fromarray(draw(sample)).save(part)
    say(f'{count} of {len(data):,} samples drawn to {args.output_dir}')


if __name__ == '__main__':
    main()
