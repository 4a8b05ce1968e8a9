"""``ccmim check``: find damaged images and wrong annotations."""

from argparse import Namespace
from pathlib import Path

from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.tools import run_tool
from ccmim.data import open_source
from ccmim.files import one_line, say
from ccmim.labels import write_sheet
from ccmim.labels.judge import judge
from ccmim.labels.layouts import (
    Classes,
    Instances,
    Labeled,
    NoLabelsError,
    describe,
    find_labels,
)

_PICTURES = 12  # of a split


def run(args: Namespace) -> int:
    """Check; 1 if something is wrong."""
    configs = [word for word in args.data if word.endswith('.py')]
    if configs and len(args.data) > 1:
        raise Mistake('a config is checked alone', f'ccmim check {configs[0]}')
    if configs:
        picture = ['--out', args.picture] if args.picture else []
        return run_tool('check_dataset', [configs[0], *picture], args.debug)
    if missing := [word for word in args.data if not Path(word).expanduser().exists()]:
        open_source(missing)  # raises, unless it is a pattern of some
    labeled, wrong = None, 0
    folder = Path(args.data[0]).expanduser()
    if len(args.data) == 1 and folder.is_dir():
        try:
            labeled = find_labels(folder)
        except NoLabelsError:
            pass  # photos
        except ValueError as error:
            print(f'PROBLEM: its labels are not taken: {one_line(str(error))}')
            return 1
    if labeled is not None:
        wrong = _check(labeled, args.picture)
    elif args.picture:
        raise Mistake('--picture draws annotations, and there are none', 'leave it out')
    words = _images_of(labeled) if labeled else [*args.data]
    for option, value in (('--out', args.out), ('--workers', args.workers)):
        words += [option, str(value)] if value else []
    try:
        code = run_tool('check_images', words, args.debug)
    except (ValueError, OSError) as error:
        if not wrong:
            raise
        print(f'PROBLEM: {one_line(str(error))}')
    if labeled is None:
        return code
    # Last, as it is what the exit code says of them.
    where = ' (listed above)' if wrong else ''
    print(f'problems found in the labels: {wrong or "none"}{where}')
    return 1 if wrong else code


def _check(data: Labeled, picture: str | None) -> int:
    """Print what is found in the labels, and count what is wrong."""
    say(f'{data.root.name}: {describe(data)}')
    reports = judge(data, _PICTURES if picture else 0)
    for report in reports:
        print(report.text())
    pictures = [one for report in reports for one in report.pictures]
    if picture and pictures:
        write_sheet(pictures, Path(picture), reports[0].legend)
        say(f'drawn to {picture}')
    return sum(len(report.problems) for report in reports)


def _images_of(data: Labeled) -> list[str]:
    if isinstance(data, Classes):
        folders = [data.train, data.test]
    else:
        number = 1 if isinstance(data, Instances) else 0
        folders = [part[number] for part in (data.train, data.test) if part]
    return [str(folder) for folder in dict.fromkeys(folders) if folder]
