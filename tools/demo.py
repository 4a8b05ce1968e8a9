"""Draw the predictions of a detector or segmentor.

Boxes and masks, or classes, are drawn by mmdet's or mmseg's own visualizer.
"""

import argparse
from pathlib import Path

from mmengine.device import get_device
from PIL import Image

from ccmim.dense.predictions import draw_predictions
from ccmim.engine.config import read_config
from ccmim.engine.settings import StartHook, clear_errors
from ccmim.engine.settings.option_action import OptionAction
from ccmim.files import Parser, replacing, say

EXAMPLE = """example:
  python tools/demo.py photo.jpg mm_configs/detection/mask_rcnn_vitb_coco.py \\
      work_dirs/mask_rcnn_vitb_coco/iter_184375.pth --out seen.png
  python tools/demo.py photos/ CONFIG CHECKPOINT --out seen/"""
KINDS = {'.jpg', '.jpeg', '.png', '.bmp', '.tif', '.tiff', '.webp'}


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = Parser(
        description=__doc__,
        epilog=EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('image', nargs='+', help='images, and folders of them')
    parser.add_argument('config', help='path of a detection or segmentation config')
    parser.add_argument('checkpoint', help='file written by tools/train.py')
    parser.add_argument(
        '--out', type=Path, help='file for one image, else folder (default: demo/)'
    )
    parser.add_argument('--device', default=get_device(), help='such as cpu or cuda:0')
    parser.add_argument(
        '--score-thr', type=float, default=0.3, help='least score of detections'
    )
    parser.add_argument(
        '--cfg-options', nargs='+', action=OptionAction, help='changes: KEY=VALUE ...'
    )
    parser.add_argument('--debug', action='store_true', help='show tracebacks')
    return parser.parse_args()


def find_images(names: list[str]) -> list[Path]:
    """List the images that files and folders stand for.

    Raises:
        FileNotFoundError: If one of them does not exist.
        ValueError: If a folder has no image.
    """
    images: list[Path] = []
    for path in map(Path, names):
        if path.is_dir():
            files = sorted(p for p in path.iterdir() if p.suffix.lower() in KINDS)
            if not files:
                raise ValueError(f'folder {path} has no images ({", ".join(KINDS)})')
            images += files
        elif path.is_file():
            images.append(path)
        else:
            raise FileNotFoundError(f'image {path} does not exist')
    return images


def output_files(out: Path | None, images: list[Path]) -> list[Path]:
    """Choose a file for each picture.

    Raises:
        ValueError: If several pictures would be written to one file, or one over an
            image.
    """
    out = out or Path('demo')
    if out.suffix.lower() in KINDS:
        if len(images) > 1:
            raise ValueError(
                f'--out {out} is one file for {len(images)} images: give a folder'
            )
        files = [out]
    else:
        names = [image.with_suffix('.png').name for image in images]
        if len(set(names)) < len(names):  # of several folders
            names = [f'{i}_{name}' for i, name in enumerate(names)]
        files = [out / name for name in names]
    inputs = {image.resolve() for image in images}
    if lost := [file for file in files if file.resolve() in inputs]:
        raise ValueError(f'{lost[0]} is one of the given images: choose another --out')
    return files


def main() -> None:
    """Draw image after image."""
    args = parse_args()
    with clear_errors(StartHook(), args.debug):
        images = find_images(args.image)
        files = output_files(args.out, images)
        cfg = read_config(args.config, None, args.cfg_options)
        weights = dict(seen=args.checkpoint)
        drawn = draw_predictions(
            cfg, weights, [str(p) for p in images], args.device, args.score_thr
        )
        for picture, file in zip(drawn['seen'], files, strict=True):
            file.parent.mkdir(parents=True, exist_ok=True)
            with replacing(file) as part:
                Image.fromarray(picture).save(part)
            say(f'drawn to {file}')


if __name__ == '__main__':
    main()
