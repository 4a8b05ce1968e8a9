"""Count the parameters and floating-point operations of a config's model.

Nothing is computed and no weights are read, so that any size fits any machine. A
multiplication and an addition are two operations; OpenMMLab counts them as one.
"""

import argparse
from typing import Any

from mmengine.config import Config

from ccmim.engine.config import read_config
from ccmim.engine.settings import StartHook, clear_errors
from ccmim.engine.settings.option_action import OptionAction
from ccmim.evaluation.flops import (
    build_shapes,
    forward_flops,
    training_flops,
)
from ccmim.files import Parser, say
from ccmim.methods import PretrainMethod

EXAMPLE = """example:
  python tools/get_flops.py mm_configs/pretrain/ccmim_vitb.py
  python tools/get_flops.py mm_configs/detection/mask_rcnn_vitb_coco.py \\
      --shape 800 1280"""


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('config', help='path of the config')
    parser.add_argument(
        '--shape',
        type=int,
        nargs='+',
        metavar='SIDE',
        help='height and width in pixels, or one side (default: those of the config)',
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=OptionAction, help='changes: KEY=VALUE ...'
    )
    parser.add_argument('--debug', action='store_true', help='show tracebacks')
    args = parser.parse_args()
    if args.shape and (len(args.shape) > 2 or min(args.shape) < 1):
        parser.error('--shape takes one side or height and width, in pixels')
    return args


def image_size(cfg: Config, backbone: Any) -> tuple[int, int]:
    """Return the height and width of the images that a config is for."""
    for step in cfg.get('test_pipeline') or ():
        if cfg.get('default_scope') == 'mmdet' and 'scale' in step:
            width, height = step['scale']
            return height, width
    height, width = (side * backbone.patch_size for side in backbone.grid)
    return height, width


def main() -> None:
    """Count and print."""
    args = parse_args()
    with clear_errors(StartHook(), args.debug):
        cfg = read_config(args.config, None, args.cfg_options)
        model = build_shapes(cfg)
        backbone = model.backbone
        height, width = (
            (args.shape * 2)[:2] if args.shape else image_size(cfg, backbone)
        )
        parts = forward_flops(model, height, width)
        rows = {f'forward: {name}': value for name, value in parts.items()}
        if len(parts) > 1:
            rows['forward: all'] = sum(parts.values())
        if isinstance(model, PretrainMethod):
            tall = height * model.num_views
            rows['training step'] = training_flops(model, tall, width)
    say(f'{args.config}, {height} x {width} pixels')
    for name, count in rows.items():
        print(f'{name:<24}{count / 1e9:12.2f} GF an image')
    for name, part in dict(model=model, backbone=backbone).items():
        count = sum(p.numel() for p in part.parameters())
        trained = sum(p.numel() for p in part.parameters() if p.requires_grad)
        text = f'{"parameters: " + name:<24}{count / 1e6:12.2f} M'
        print(f'{text}, {trained / 1e6:.2f} M trained')


if __name__ == '__main__':
    main()
