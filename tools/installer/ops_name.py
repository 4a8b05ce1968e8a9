"""Prints the name of the mmcv build that fits this Python, torch and GPU.

python tools/installer/ops_name.py REQUIREMENT [MODULE ...]

The modules are imported as well: a broken one ends in an error instead of a name.
"""

import importlib
import platform
import re
import subprocess
import sys
from pathlib import Path


def nvcc_release(home: str | None) -> str:
    """CUDA release of the compiler in a toolkit's folder, or an empty string."""
    nvcc = Path(home or '/nonexistent', 'bin', 'nvcc')
    if not nvcc.exists():
        return ''
    said = subprocess.run([nvcc, '--version'], capture_output=True, text=True).stdout
    found = re.search(r'release (\d+\.\d+)', said)
    return found[1] if found else ''


def ops_kind(release: str, cuda: str | None, chips: set[tuple[int, int]]) -> str:
    """For what the ops are built: `cpu`, or CUDA with its release and chips.

    Args:
        release: CUDA release of nvcc, empty without nvcc.
        cuda: CUDA release that torch was built for.
        chips: Compute capabilities of the GPUs, empty without a GPU.
    """
    if not chips or not release or not cuda:
        return 'cpu'
    if release.split('.')[0] != cuda.split('.')[0]:
        return 'cpu'
    return f'cuda{release}-sm' + '_'.join(f'{a}{b}' for a, b in sorted(chips))


def build_name(requirement: str, torch_version: str, kind: str) -> str:
    """Name that carries all that decides whether a built wheel fits.

    Args:
        requirement: Pinned mmcv, `name==version`.
        torch_version: With its local part, such as `2.11.0+cu130`.
        kind: What `ops_kind` says.
    """
    return '-'.join(
        [
            requirement.replace('==', '-'),
            f'torch{torch_version}',
            f'cp{sys.version_info[0]}{sys.version_info[1]}',
            platform.machine(),
            kind,
        ]
    )


def main() -> None:
    """Prints the name, and on the error stream why a GPU goes unused."""
    import torch

    for module in sys.argv[2:]:
        importlib.import_module(module)
    release, chips = '', set()
    if torch.cuda.is_available():
        from torch.utils.cpp_extension import CUDA_HOME

        release = nvcc_release(CUDA_HOME)
        gpus = range(torch.cuda.device_count())
        chips = {torch.cuda.get_device_capability(gpu) for gpu in gpus}
    kind = ops_kind(release, torch.version.cuda, chips)
    if chips and kind == 'cpu':
        print(
            f'a GPU is there, but nvcc is {release or "missing"} and torch wants CUDA '
            f'{torch.version.cuda}: mmcv gets CPU ops only; for Mask R-CNN on the GPU '
            'install that CUDA toolkit and run this again',
            file=sys.stderr,
        )
    print(build_name(sys.argv[1], torch.__version__, kind))


if __name__ == '__main__':
    main()
