"""Print what is installed, run the detection operators, and say how to fix problems.

python tools/check_env.py            everything; exit code 1 if a need is not met
python tools/check_env.py --unmet    only the pinned requirements to install
"""

import argparse
import importlib
import platform
import sys
from collections.abc import Callable, Iterable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
INSTALL = 'run: bash tools/install.sh'
# Wheels of the original projects serve the same imports under these names.
ORIGINALS = {
    'onedl-mmengine': ('mmengine',),
    'onedl-mmcv': ('mmcv', 'mmcv-lite'),
    'onedl-mmdetection': ('mmdet',),
    'onedl-mmsegmentation': ('mmsegmentation',),
}
# Always in the report; the other pins only when they are not as tested.
SHOWN = {
    *('torch', 'torchvision', 'timm', 'numpy', 'opencv-python', 'pycocotools'),
    *ORIGINALS,
}
MODULES = (
    # First, as it explains a torchvision that does not load.
    *('ccmim', 'torch', 'torchvision', 'timm', 'cv2', 'pycocotools.mask'),
    *('mmengine', 'mmcv', 'mmdet', 'mmseg'),
)


class Finding(NamedTuple):
    """One line of the report: what was looked at, how it is, and what to do."""

    level: str  # 'ok', 'note' (works, but is not what was tested) or 'wrong'
    subject: str
    text: str
    remedy: str = ''

    def __str__(self) -> str:
        """The line as printed; the remedy stands below it."""
        mark = {'ok': '  ', 'note': '? ', 'wrong': 'X '}[self.level]
        line = f'{mark}{self.subject:<22} {self.text}'
        return f'{line}\n{"":25}-> {self.remedy}' if self.remedy else line


def read_pins(files: Iterable[Path]) -> dict[str, str]:
    """Versions pinned for this Python, by distribution name.

    Args:
        files: Requirement files of `name==version` lines with optional markers.
    """
    from packaging.requirements import Requirement

    pins = {}
    for file in files:
        for line in file.read_text(encoding='utf-8').splitlines():
            text = line.partition('#')[0].strip()
            if not text:
                continue
            requirement = Requirement(text)
            if requirement.marker is None or requirement.marker.evaluate():
                pins[requirement.name] = str(requirement.specifier).removeprefix('==')
    return pins


def read_bounds() -> dict[str, str]:
    """Version bounds that ccmim states in pyproject.toml, by distribution name.

    Raises:
        PackageNotFoundError: If ccmim itself is not installed.
    """
    from packaging.requirements import Requirement

    requirements = map(Requirement, metadata.requires('ccmim') or [])
    return {
        requirement.name: str(requirement.specifier) for requirement in requirements
    }


def installed_version(name: str) -> str | None:
    """Version of an installed distribution, or None."""
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def check_python(version: tuple[int, int]) -> Finding:
    """Whether this Python is one that the wheels exist for."""
    text = '.'.join(map(str, version))
    if (3, 10) <= version <= (3, 13):
        return Finding('ok', 'python', f'{text} ({sys.executable})')
    return Finding(
        'wrong',
        'python',
        f'{text} is not supported',
        'install Python 3.10, 3.11, 3.12 or 3.13, remove .venv and run: '
        'bash tools/install.sh',
    )


def check_version(
    name: str,
    tested: str,
    bounds: str,
    version_of: Callable[[str], str | None] = installed_version,
) -> Finding:
    """How an installed version stands to the tested one and to the bounds.

    Args:
        name: Distribution name as in the requirement files.
        tested: Version that was tested.
        bounds: Specifier such as `>=2.4,<3`, or an empty string.
        version_of: Looks a version up by distribution name.
    """
    from packaging.specifiers import SpecifierSet

    version = version_of(name)
    if version is None:
        for original in ORIGINALS.get(name, ()):
            if other := version_of(original):
                text = f'{original} {other} instead of {name} {tested}'
                return Finding('note', name, text)
        return Finding('wrong', name, f'missing (tested: {tested})', INSTALL)
    # A local part such as +cu130 says how it was built, not which version it is.
    if version.partition('+')[0] == tested:
        return Finding('ok', name, version)
    if not SpecifierSet(bounds).contains(version, prereleases=True):
        return Finding('wrong', name, f'{version} is not {bounds}', INSTALL)
    return Finding('note', name, f'{version} (tested: {tested})')


def check_import(
    name: str, load: Callable[[str], Any] = importlib.import_module
) -> Finding:
    """Whether a module can be imported, and the usual remedy when it cannot."""
    try:
        load(name)
    except Exception as error:  # a broken wheel raises anything at import
        reason, remedy = _explain(error)
        if 'libGL' in reason or 'libgthread' in reason:
            remedy = 'apt-get install libgl1 libglib2.0-0'
        return Finding('wrong', f'import {name}', reason, remedy)
    return Finding('ok', f'import {name}', 'works')


def check_nms(nms: Callable[..., Any], device: str) -> Finding:
    """Whether non-maximum suppression keeps the boxes that it must keep."""
    import torch

    # The first two overlap by 81 of 119 square pixels: above 0.5, one of them goes.
    boxes = torch.tensor([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30]])
    scores = torch.tensor([0.8, 0.9, 0.7])
    try:
        _, kept = nms(boxes.float().to(device), scores.to(device), iou_threshold=0.5)
    except Exception as error:  # a missing kernel is a RuntimeError, others exist
        return _op_failed('nms', device, error)
    if kept.tolist() != [1, 2]:
        return Finding(
            'wrong', f'nms on {device}', f'kept {kept.tolist()}, not [1, 2]', INSTALL
        )
    return Finding('ok', f'nms on {device}', 'right')


def check_roi_align(roi_align: Callable[..., Any], device: str) -> Finding:
    """Whether RoIAlign of a 4x4 ramp to 2x2 gives the means of its quarters."""
    import torch

    ramp = torch.arange(16.0).reshape(1, 1, 4, 4)
    roi = torch.tensor([[0.0, 0, 0, 4, 4]])
    # Samples of aligned bins fall on the pixel centers, so a bin is a plain mean.
    expected = [2.5, 4.5, 10.5, 12.5]
    try:
        inputs = ramp.to(device), roi.to(device)
        pooled = roi_align(*inputs, (2, 2), 1.0, 2, 'avg', True).flatten().cpu()
    except Exception as error:  # a missing kernel is a RuntimeError, others exist
        return _op_failed('RoIAlign', device, error)
    if not torch.allclose(pooled, torch.tensor(expected), atol=1e-5):
        return Finding(
            'wrong',
            f'RoIAlign on {device}',
            f'gave {pooled.tolist()}, not {expected}',
            INSTALL,
        )
    return Finding('ok', f'RoIAlign on {device}', 'right')


def _explain(error: Exception) -> tuple[str, str]:
    """What went wrong, and the remedy."""
    if type(error).__name__ == 'InstallError':
        reason, _, remedy = str(error).rpartition(': ')
        return reason, remedy
    return (str(error).strip().splitlines() or [type(error).__name__])[0], INSTALL


def _op_failed(op: str, device: str, error: Exception) -> Finding:
    reason, remedy = _explain(error)
    if device == 'cpu':
        return Finding('wrong', f'{op} on cpu', reason, remedy)
    # The rest of ccmim runs on the GPU all the same, so this is not fatal.
    return Finding(
        'note',
        f'{op} on {device}',
        reason,
        'Mask R-CNN cannot train on this GPU: install torch and torchvision for its '
        "CUDA, and set CCMIM_OPS=torchvision if mmcv's operators are compiled",
    )


def check_torch() -> list[Finding]:
    """Which GPUs torch sees and with which CUDA, and mmcv's ops on CPU and GPU."""
    import torch

    built = f'torch is built for CUDA {torch.version.cuda or "(none)"}'
    if not torch.cuda.is_available():
        text = f'none, everything runs on the CPU; {built}'
        return [Finding('ok', 'GPU', text), *check_ops(['cpu'])]
    gpus = [
        Finding('ok', f'GPU {index}', f'{torch.cuda.get_device_name(index)}; {built}')
        for index in range(torch.cuda.device_count())
    ]
    return gpus + check_ops(['cpu', 'cuda'])


def check_ops(devices: Iterable[str]) -> list[Finding]:
    """Whose operators mmcv has, and what nms and RoIAlign give on every device."""
    try:
        import ccmim  # noqa: F401, I001  first: finds them in torchvision

        _ext = importlib.import_module('mmcv._ext')
        from mmcv.ops import get_compiler_version, nms, roi_align
    except Exception as error:  # InstallError, or what a broken wheel raises
        return [Finding('wrong', 'mmcv.ops', *_explain(error))]
    served = _ext.__file__.endswith('.py')
    text = get_compiler_version().partition(', ')[2] if served else 'compiled'
    return [Finding('ok', 'mmcv.ops', text)] + [
        check(op, device)
        for device in devices
        for check, op in ((check_nms, nms), (check_roi_align, roi_align))
    ]


def unmet(
    pins: Mapping[str, str],
    bounds: Mapping[str, str],
    version_of: Callable[[str], str | None] = installed_version,
) -> list[str]:
    """Requirements that are missing here or outside their bounds, pinned."""
    wrong = {
        name: tested
        for name, tested in pins.items()
        if check_version(name, tested, bounds.get(name, ''), version_of).level
        == 'wrong'
    }
    if 'torch' in pins and 'torch' not in wrong:
        # torch stays, so torchvision has to go with it: 0.15 with 2.0, and so on.
        fitting = f'0.{int(version_of("torch").split(".")[1]) + 15}.'
        if not (version_of('torchvision') or '').startswith(fitting):
            wrong['torchvision'] = f'{fitting}*'
    return [f'{name}=={version}' for name, version in wrong.items()]


def look(pins: Mapping[str, str], bounds: Mapping[str, str]) -> list[Finding]:
    """The whole report, in the order in which it is read."""
    findings = [check_python(sys.version_info[:2])]
    for name, tested in pins.items():
        finding = check_version(name, tested, bounds.get(name, ''))
        if name in SHOWN or finding.level != 'ok':
            findings.append(finding)
    imports = [check_import(name) for name in MODULES]
    findings += [finding for finding in imports if finding.level != 'ok']
    if 'import torch' not in [finding.subject for finding in findings]:
        findings += check_torch()
    return findings


def main() -> int:
    """Prints the report; 1 when something that is needed is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--tests', action='store_true', help='tests and docs too')
    parser.add_argument('--unmet', action='store_true', help='print pins to install')
    parser.add_argument('--ops', metavar='DEVICE', help='run the operators there only')
    args = parser.parse_args()
    if args.ops:
        findings = check_ops([args.ops])
        print(*findings, sep='\n')
        return int(any(finding.level != 'ok' for finding in findings))
    files = ['runtime', 'dense', *['tests', 'docs'] * args.tests]
    try:
        pins = read_pins(ROOT / 'requirements' / f'{name}.txt' for name in files)
        bounds = read_bounds()
    except (ModuleNotFoundError, metadata.PackageNotFoundError) as error:
        print(Finding('wrong', 'ccmim', f'is not installed ({error})', INSTALL))
        return 1
    if args.unmet:
        for requirement in unmet(pins, bounds):
            print(requirement)
        return 0
    findings = look(pins, bounds)
    print(f'{platform.platform()}, {platform.processor() or platform.machine()}')
    print(*findings, sep='\n')
    wrong = sum(finding.level == 'wrong' for finding in findings)
    print(f'{wrong} wrong' if wrong else 'everything that is needed works')
    return int(bool(wrong))


if __name__ == '__main__':
    sys.exit(main())
