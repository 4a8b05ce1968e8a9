"""From our names to a file in any layout that can hold the network."""

from pathlib import Path

from ccmim.checkpoints.layouts.read import Weights
from ccmim.checkpoints.layouts.registry import LAYOUTS
from ccmim.checkpoints.layouts.target import check_target, write_target


def write_weights(
    weights: Weights, path: str | Path, layout: str, overwrite: bool = False
) -> list[str]:
    """Write a backbone in a layout, and read it back in thought.

    Args:
        weights: What ``read_weights`` gives.
        path: File; a folder for the layout 'hf'.
        layout: Name in ``LAYOUTS`` of one that can be written.
        overwrite: Whether a file that is there may be replaced.

    Returns:
        Lines that report what was written.

    Raises:
        ValueError: If the layout cannot hold the network, or the path is taken or ends
            otherwise than its layout.
        WriteError: If it cannot be written.
    """
    path, (_, read, write, holds, build) = Path(path).expanduser(), LAYOUTS[layout]
    if write is None:
        raise ValueError(f'the layout {layout} is read, not written')
    check_target(path, layout, overwrite)
    if lacking := sorted(weights.architecture.parts() - set(holds)):
        raise ValueError(f'the layout {layout} cannot hold: {", ".join(lacking)}')
    tensors = write(weights.state)
    back = read(tensors)
    same = back.keys() == weights.state.keys() and all(
        back[name].equal(value) for name, value in weights.state.items()
    )
    if not same:
        raise ValueError(f'the layout {layout} does not read back as it was')
    checksum = write_target(tensors, weights.architecture, path, layout)
    there = (
        build(weights.architecture) if build else f"ViTModel.from_pretrained('{path}')"
    )
    return [
        f'Wrote {path}: {len(tensors)} tensors, layout {layout}; read back: 0 missing, '
        '0 unexpected, 0 changed',
        f'  sha256 of the tensors: {checksum}',
        f'Build it there: {there}',
    ]
