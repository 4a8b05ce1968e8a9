"""Test a checkpoint: box and mask AP of a detector, mIoU of a segmentor.

    python tools/test.py CONFIG CHECKPOINT [--work-dir DIR] [--out FILE]
        [--show-dir DIR] [--tta] [--debug] [--cfg-options KEY=VALUE ...]

For several processes use tools/dist_test.sh or tools/slurm_test.sh. A mistake in what
was asked for ends with exit code 2.
"""

import argparse
import os
from typing import Any

import mmengine
from mmengine.config import Config
from mmengine.dist import is_main_process
from mmengine.evaluator import DumpResults
from mmengine.hooks import EMAHook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ccmim.checkpoints import load_file, refuse_nonfinite
from ccmim.checkpoints.eomt import load_eomt
from ccmim.dense.per_image import keep_samples
from ccmim.engine.config import read_config
from ccmim.engine.hooks.load_from import eomt_head
from ccmim.engine.launch import build_runner, start_processes
from ccmim.engine.settings import (
    StartHook,
    check_labels,
    clear_errors,
    config_parser,
    parse,
)
from ccmim.engine.signals.stop_hook import release_signals
from ccmim.evaluation.resampling import write_samples
from ccmim.evaluation.samples import Sample
from ccmim.files import say
from ccmim.labels.report import some


def parse_args() -> argparse.Namespace:
    """Read the command line."""
    parser = config_parser(__doc__, ('checkpoint', 'file written by tools/train.py'))
    parser.add_argument(
        '--out', help='FILE.json for the metrics, FILE.pkl for all predictions'
    )
    parser.add_argument(
        '--per-image',
        metavar='FILE.npz',
        help='what each image adds to AP, mIoU or PQ, by which `ccmim transfer` and '
        'tools/compare.py tell a difference from chance',
    )
    parser.add_argument('--show-dir', help='where pictures of predictions go')
    parser.add_argument(
        '--part',
        choices=('ema', 'trained'),
        default='ema',
        help='of a run with EMAHook: the averaged weights, as in validation, or the '
        'trained ones',
    )
    parser.add_argument('--tta', action='store_true', help='augment at test time')
    args = parse(parser)
    if args.out and not args.out.endswith(('.json', '.pkl', '.pickle')):
        parser.error('--out must end in .json (metrics) or .pkl (predictions)')
    if args.per_image and not args.per_image.endswith('.npz'):
        parser.error('--per-image must end in .npz')
    return args


def prepare(args: argparse.Namespace) -> Runner:
    """Build the test that the command line asks for."""
    cfg = read_config(args.config, args.work_dir, args.cfg_options)
    if not cfg.get('test_dataloader'):
        raise ValueError(
            f'{args.config} has nothing to test: pretraining is judged by the '
            'detection and segmentation configs'
        )
    cfg.load_from, cfg.resume = None, False
    if args.show_dir:
        _draw(cfg, args.show_dir)
    if args.tta:
        _augment(cfg, args.config)
    start_processes(cfg, args.launcher)
    check_labels(cfg, 'test')
    runner = build_runner(cfg, args.launcher)
    if args.out and not args.out.endswith('.json'):
        runner.test_evaluator.metrics.append(DumpResults(out_file_path=args.out))
    _load(runner, args.checkpoint, args.part)
    return runner


def _load(runner: Runner, file: str, part: str) -> None:
    # EMAHook would ask for its average, which is made when a run begins; the file has
    # it in place of the trained weights already.
    runner._hooks = [h for h in runner.hooks if not isinstance(h, EMAHook)]
    content = load_file(file)
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    if head := eomt_head(model, content):
        load_eomt(model.backbone, head, file)
        return
    _check_kind(runner, content, file)
    if part == 'ema':
        runner.load_checkpoint(file, strict=True)
        return
    average = content.get('ema_state_dict')
    if average is None:
        raise ValueError(
            f'--part trained: {file} is of no run with EMAHook, leave it out'
        )
    refuse_nonfinite(average, file)
    model.load_state_dict(
        {
            name.removeprefix('module.'): value
            for name, value in average.items()
            if name.startswith('module.')
        }
    )


def _check_kind(runner: Runner, content: dict[str, Any], file: str) -> None:
    """Refuse a checkpoint of another model, naming the difference."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    own, theirs = (
        {name.removeprefix('module.'): value for name, value in state.items()}
        for state in (model.state_dict(), content.get('state_dict', content))
    )
    kind = type(model).__name__
    if missing := sorted(own.keys() - theirs.keys()):
        rest = sorted(theirs.keys() - own.keys())
        has = f', and has {rest[0]}' if rest else ''
        raise ValueError(
            f'{file} is no checkpoint of this {kind}: it lacks {len(missing)} of '
            f'{len(own)} weights, such as {missing[0]}{has}. Weights of a pretraining '
            'run are fine-tuned first, as model.backbone.init_cfg.checkpoint'
        )
    meta = (content.get('meta') or {}).get('dataset_meta') or {}
    known = meta.get('classes') or ()
    named = f' (it was trained on {len(known)} classes: {some(known)})' if known else ''
    for name, value in own.items():
        if value.shape != theirs[name].shape:
            raise ValueError(
                f'{file} is of another {kind}: {name} has shape '
                f'{tuple(theirs[name].shape)}, this config wants {tuple(value.shape)}'
                f'{named}: test it with the config that it was trained with'
            )


def report(metrics: dict[str, Any], out: str | None) -> None:
    """Print the metrics, one a line, and write them if asked to."""
    if not is_main_process():
        return
    for name, value in metrics.items():
        print(f'{name:<24} {value:.4g}')
    if out and out.endswith('.json'):
        mmengine.dump({k: float(v) for k, v in metrics.items()}, out)
        say(f'metrics written to {out}')


def _draw(cfg: Config, folder: str) -> None:
    if 'visualization' not in cfg.default_hooks:
        raise ValueError('--show-dir needs default_hooks.visualization in the config')
    cfg.default_hooks.visualization.update(draw=True, interval=1)
    if cfg.default_hooks.visualization.type.endswith('DetVisualizationHook'):
        # mmdet joins this to the folder of the run, unless it is absolute.
        cfg.default_hooks.visualization.test_out_dir = os.path.abspath(folder)
    else:
        cfg.visualizer.save_dir = folder


def _augment(cfg: Config, name: str) -> None:
    if 'tta_model' not in cfg or 'tta_pipeline' not in cfg:
        raise ValueError(f'--tta needs tta_model and tta_pipeline in {name}')
    cfg.test_dataloader.dataset.pipeline = cfg.tta_pipeline
    cfg.model = dict(**cfg.tta_model, module=cfg.model)


def main() -> None:
    """Check all that can be checked, then test."""
    args = parse_args()
    release_signals()  # there is nothing to save
    start = StartHook()
    with clear_errors(start, args.debug):
        runner = prepare(args)
        runner.register_hook(start)
        samples: dict[str, Sample] = {}
        if args.per_image:
            for metric in runner.test_evaluator.metrics:
                keep_samples(metric, samples)
        report(runner.test(), args.out)
        if args.per_image and is_main_process():
            write_samples(samples, args.per_image)


if __name__ == '__main__':
    main()
