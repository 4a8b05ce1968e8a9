"""``ccmim export``: pretrained weights for another library."""

from argparse import Namespace
from pathlib import Path

from ccmim.checkpoints.layouts import Weights, read_weights, write_weights
from ccmim.cli.mistakes import Mistake

_TOLERANCE = 1e-4  # largest difference of a feature from PyTorch's
_ENDINGS = {'hf': '_hf', 'onnx': '.onnx', 'safetensors': '.safetensors'}


def run(args: Namespace) -> int:
    """Write the file; 1 if an ONNX graph computes something else than PyTorch."""
    if args.size and args.to != 'onnx':
        raise Mistake(
            '--size is for --to onnx, which fixes the size of the images',
            'leave it out',
        )
    weights = read_weights(args.checkpoint, num_heads=args.num_heads)
    out = args.out or _default_out(Path(args.checkpoint), args.to)
    if out.exists() and not args.overwrite:
        raise Mistake(
            f'{out} is there already',
            '--overwrite replaces it, --out FILE goes elsewhere',
        )
    if args.to == 'onnx':
        return _to_onnx(weights, out, args)
    written = write_weights(weights, out, args.to, args.overwrite)
    print(*weights.report, *written, sep='\n')
    return 0


def _default_out(checkpoint: Path, layout: str) -> Path:
    ending = _ENDINGS.get(layout, f'_{layout}.pth')
    return checkpoint.with_name(f'{checkpoint.stem}{ending}')


def _to_onnx(weights: Weights, out: Path, args: Namespace) -> int:
    from ccmim.export import MissingLibrary, compare_with_onnx, export_onnx
    from ccmim.export.onnx import Features

    if out.suffix != '.onnx':
        raise Mistake(f'{out} is no name for an ONNX graph', 'let --out end in .onnx')
    features = Features(weights, args.size)
    try:
        size = export_onnx(features, out)
    except MissingLibrary as error:
        raise Mistake(
            str(error).partition(':')[0], 'pip install onnx onnxscript onnxruntime'
        ) from error
    height, width = features.size
    print(
        *weights.report,
        f'Wrote {out}: {size / 1e6:.1f} MB, images (batch, 3, {height}, {width}) -> '
        'class_token, feature_map',
        sep='\n',
    )
    try:
        difference = compare_with_onnx(features, out)
    except MissingLibrary:
        print('Not compared with PyTorch: pip install onnxruntime')
        return 0
    good = difference <= _TOLERANCE
    print(f'Largest difference from PyTorch: {difference:.1e} '
          f'({"at most" if good else "ABOVE"} {_TOLERANCE:.0e})')  # fmt: skip
    return int(not good)
