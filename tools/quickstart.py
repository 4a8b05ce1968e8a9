"""The whole chain on toy scenes: pretrain, fine-tune twice, test, compare.

    bash tools/quickstart.sh [--fast] [--images PHOTOS] [--out DIR]

Every stage is a command of this project, printed before
it runs; a stage that is done is not done again, an interrupted one is resumed. The two
starts of a task are trained side by side.
"""

import argparse
import json
import os
import sys
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image

from ccmim.apps.compare import Stage, StageError, run_stages, shown
from ccmim.apps.demo.scenes import write_toy_scenes
from ccmim.apps.report.html import Figure, write_report
from ccmim.checkpoints import load_file
from ccmim.checkpoints.atomic import replacing
from ccmim.data.image import decode_image
from ccmim.data.sources import open_source
from ccmim.pictures import reconstruction_sheet
from ccmim.registry import MODELS

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / 'work_dirs' / 'quickstart'
TASKS = {'detection': 'mask_rcnn_toy', 'segmentation': 'upernet_toy'}
METRICS = {
    'box AP': ('detection', 'coco/bbox_mAP', 100),
    'mask AP': ('detection', 'coco/segm_mAP', 100),
    'mIoU': ('segmentation', 'mIoU', 1),
}
STARTS = {'ccmim': 'ccMIM-pretrained', 'scratch': 'from scratch'}


class Budget(NamedTuple):
    """How much is spent on each stage.

    Attributes:
        unlabelled: Scenes to pretrain on.
        train: Annotated scenes to fine-tune on.
        val: Annotated scenes to test on.
        epochs: Epochs of pretraining.
        detection: Steps of each fine-tuning of the detector.
        segmentation: Steps of each fine-tuning of the segmentor.
    """

    unlabelled: int
    train: int
    val: int
    epochs: int
    detection: int
    segmentation: int


# The schedules of mm_configs/demo are made for the full budget.
FULL = Budget(2000, train=300, val=100, epochs=30, detection=300, segmentation=200)
FAST = Budget(128, train=32, val=16, epochs=1, detection=6, segmentation=6)


def main() -> None:
    """Run all stages."""
    args = parse_args()
    budget = FAST if args.fast else FULL
    out = args.out or (OUT.with_name('quickstart_fast') if args.fast else OUT)
    out = out.absolute()
    started = time.time()
    print('Painting the toy scenes', flush=True)
    scenes = write_toy_scenes(
        out / 'scenes',
        budget.train,
        budget.val,
        num_unlabeled=budget.unlabelled,
    )
    os.environ['CCMIM_TOY'] = str(scenes)
    # The commands are started in the checkout, not where the user stands.
    photos = (args.images or scenes / 'unlabelled').absolute()

    weights, commands = pretrain(out, photos, budget)
    draw_masks(out, weights, photos)
    metrics = {}
    for task in TASKS:
        metrics[task], run = transfer(out, task, weights, photos, budget)
        commands += run
    results = {
        start: {
            name: factor * metrics[task][start][key]
            for name, (task, key, factor) in METRICS.items()
        }
        for start in STARTS
    }
    finish(out, results, commands, budget, photos, time.time() - started)


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--fast', action='store_true', help='a two-minute version')
    parser.add_argument('--images', type=Path, help='pretrain on these photos')
    parser.add_argument('--out', type=Path, help='where all goes')
    args = parser.parse_args()
    if args.images and not args.images.exists():
        parser.error(f'--images {args.images} does not exist')
    return args


def pretrain(out: Path, photos: Path, budget: Budget) -> tuple[Path, list[str]]:
    """Pretrain with ccMIM; the checkpoint and the command."""
    work = out / 'pretrain'
    weights = work / f'epoch_{budget.epochs}.pth'
    options = [
        f'train_dataloader.dataset.data={photos}',
        f'train_cfg.max_epochs={budget.epochs}',
    ]
    command = ['tools/train.py', 'mm_configs/demo/ccmim_toy.py', '--work-dir', work]
    command += ['--resume', '--cfg-options', *options]
    run_stages([[Stage('Pretraining', command, weights, str(photos))]], ROOT)
    return weights, [shown(command)]


def transfer(
    out: Path, task: str, weights: Path, photos: Path, budget: Budget
) -> tuple[dict[str, dict[str, float]], list[str]]:
    """Fine-tune and test one task from each start; metrics by start, and commands."""
    iters = getattr(budget, task)
    chains = []
    for start, title in STARTS.items():
        work, config = out / f'{task}_{start}', f'mm_configs/demo/{TASKS[task]}.py'
        options, depends = [f'train_cfg.max_iters={iters}'], str(budget)
        if start == 'ccmim':
            depends += f' {photos}'
            options.append(f'model.backbone.init_cfg.checkpoint={weights}')
        result, metrics = work / f'iter_{iters}.pth', work / 'metrics.json'
        train = ['tools/train.py', config, '--work-dir', work, '--resume']
        train += ['--cfg-options', *options]
        test = ['tools/test.py', config, result, '--work-dir', work, '--out', metrics]
        test += ['--show-dir', work / 'pictures']
        name = f'{task.capitalize()}, {title}'
        chains.append(
            [
                Stage(name, train, result, depends),
                Stage(f'{name}: test', test, metrics, depends),
            ]
        )
    run_stages(chains, ROOT)
    results = {
        start: json.loads(test.result.read_text())
        for start, (_, test) in zip(STARTS, chains, strict=True)
    }
    return results, [shown(stage.command) for chain in chains for stage in chain]


def draw_masks(out: Path, weights: Path, photos: Path) -> None:
    """Save what the pretrained method masks and reconstructs of four images."""
    cfg = Config.fromfile(ROOT / 'mm_configs/demo/ccmim_toy.py')
    with DefaultScope.overwrite_default_scope('ccmim'):
        method = MODELS.build(cfg.model)
    method.load_state_dict(load_file(weights)['state_dict'])
    source = open_source(str(photos))
    side = cfg.model.backbone.img_size
    picked = [
        np.asarray(decode_image(source.read(i)).resize((side, side), Image.BICUBIC))
        for i in range(min(4, len(source)))
    ]
    torch.manual_seed(0)
    images = torch.from_numpy(np.stack(picked)).permute(0, 3, 1, 2)
    with replacing(out / 'masks.png') as part:
        Image.fromarray(reconstruction_sheet(method, images)).save(part)


def finish(
    out: Path,
    results: dict[str, dict[str, float]],
    commands: list[str],
    budget: Budget,
    photos: Path,
    seconds: float,
) -> None:
    """Print the table and write the report."""
    table = [['', *METRICS]]
    for start, title in STARTS.items():
        table.append([title, *(f'{results[start][name]:.1f}' for name in METRICS)])
    gains = [results['ccmim'][name] - results['scratch'][name] for name in METRICS]
    table.append(['difference', *(f'{gain:+.1f}' for gain in gains)])
    better = [name for name, gain in zip(METRICS, gains, strict=True) if gain > 0]
    verdict = f'Pretraining helped on {", ".join(better) or "nothing"}. '
    notes = [
        # The six steps of --fast tell nothing.
        (verdict if budget == FULL else '')
        + 'One seed, minutes of training: this shows that the chain works, not what '
        'the method can do.',
        f'Pretrained for {budget.epochs} epochs on {photos}. Fine-tuned on '
        f'{budget.train} scenes for {budget.detection} steps (detection) and '
        f'{budget.segmentation} (segmentation), tested on {budget.val}.',
    ]
    figures = [
        Figure(
            out / 'masks.png',
            'Pretraining: image, importance, masked, reconstruction.',
        )
    ]
    for task in TASKS:
        for start, title in STARTS.items():
            found = sorted((out / f'{task}_{start}').glob('**/pictures/**/*.[jp][pn]g'))
            figures += [
                Figure(picture, f'{task.capitalize()}, {title}: truth, prediction.')
                for picture in found[:2]
            ]
    runs = [out / 'pretrain', *(out / f'{task}_{s}' for task in TASKS for s in STARTS)]
    write_report(
        out / 'report.html', 'ccMIM quickstart', table, notes, figures, commands, runs
    )
    print()
    for row in table:
        print(f'{row[0]:<18}' + ''.join(f'{cell:>10}' for cell in row[1:]))
    print(f'\n{notes[0]}\n\nTook {seconds / 60:.1f} minutes. Everything is in {out}:')
    print('  report.html                 table, pictures and curves in one file')
    print('  masks.png                   masks and reconstructions')
    print('  pretrain/, detection_*/, segmentation_*/   logs, weights, pictures/')


if __name__ == '__main__':
    try:
        main()
    except StageError as error:
        sys.exit(f'\n{error}')
    except KeyboardInterrupt:
        sys.exit('\nInterrupted. Run it again to resume.')
