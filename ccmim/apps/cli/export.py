"""``ccmim export``: convert pretrained weights for another library."""

from argparse import Namespace
from importlib.util import find_spec
from pathlib import Path

from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.tools import run_tool
from ccmim.checkpoints.sources import name_of_weights

_ENDINGS = {'hf': '_hf', 'onnx': '.onnx', 'safetensors': '.safetensors'}


def run(args: Namespace) -> int:
    """Write the file; 1 if an ONNX graph computes something else than PyTorch."""
    if args.size and args.to != 'onnx':
        raise Mistake(
            '--size is for --to onnx, and fixes the size of the images',
            'leave it out',
        )
    if (args.fp16 or args.whole) and args.to != 'onnx':
        raise Mistake('--fp16 and --whole are for --to onnx', 'leave them out')
    out = args.out or _default_out(Path(args.checkpoint), args.to)
    if out.exists() and not args.overwrite:
        raise Mistake(
            f'{out} is there already',
            '--overwrite replaces it, --out FILE goes elsewhere',
        )
    words = [args.checkpoint, out, *['--overwrite'] * args.overwrite]
    words += ['--num-heads', args.num_heads] if args.num_heads else []
    words += ['--part', args.part] if args.part else []
    if size := args.img_size:
        words += ['--img-size', *(size if isinstance(size, list) else [size])]
    if args.to != 'onnx':
        return run_tool('convert_checkpoint', [*words, '--to', args.to], args.debug)
    words += ['--size', *args.size] if args.size else []
    words += ['--fp16'] * args.fp16 + ['--whole'] * args.whole
    can_compare = find_spec('onnxruntime') is not None
    code = run_tool('export_onnx', words + ['--check'] * can_compare, args.debug)
    if not can_compare:
        print('Not compared with PyTorch: pip install onnxruntime')
    return code


def _default_out(checkpoint: Path, layout: str) -> Path:
    ending = _ENDINGS.get(layout, f'_{layout}.pth')
    folder = checkpoint.parent if checkpoint.exists() else Path()
    return folder / f'{name_of_weights(checkpoint)}{ending}'
