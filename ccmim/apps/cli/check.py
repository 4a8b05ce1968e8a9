"""``ccmim check``: damaged images and wrong annotations, before they cost time."""

from argparse import Namespace
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from ccmim.apps.cli.labelled import Classes, Instances, Labelled, find_labels
from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.tasks import Tasks
from ccmim.apps.cli.tools import run_tool
from ccmim.apps.cli.transfer import describe
from ccmim.checkpoints.layouts import Architecture
from ccmim.data import open_source

# Any backbone will do: only the data of the config are looked at.
_ANY = Architecture(192, 12, 3, 768, 224, 16, pos_embed='sincos')


def run(args: Namespace) -> int:
    """Check; 1 if something is wrong."""
    configs = [word for word in args.data if word.endswith('.py')]
    if configs and len(args.data) > 1:
        raise Mistake('a config is checked alone', f'ccmim check {configs[0]}')
    if configs:
        return _check_config(configs[0], args)
    wrong, labelled = 0, None
    if missing := [word for word in args.data if not Path(word).expanduser().exists()]:
        open_source(missing)  # tells, unless it is a pattern of some
    if len(args.data) == 1:
        with suppress(Mistake):  # no labels, or none that are known
            labelled = find_labels(Path(args.data[0]).expanduser())
    if labelled is not None:
        print(f'{labelled.root.name}: {describe(labelled)}')
        if args.picture or not isinstance(labelled, Classes):
            with TemporaryDirectory() as folder:
                config = _config_of(labelled, Path(folder))
                wrong = _check_config(str(config), args)
    elif args.picture:
        raise Mistake('--picture draws annotations, and there are none', 'leave it out')
    words = _images_of(labelled) if labelled else [*args.data]
    for option, value in (('--out', args.out), ('--workers', args.workers)):
        words += [option, str(value)] if value else []
    return max(wrong, run_tool('check_images', words, args.debug))


def _images_of(data: Labelled) -> list[str]:
    if isinstance(data, Classes):
        folders = [data.train, data.test]
    else:
        folders = [data.train[0], data.test and data.test[0]]
        if isinstance(data, Instances):
            folders = [data.train[1], data.test and data.test[1]]
    return [str(folder) for folder in dict.fromkeys(folders) if folder]


def _config_of(data: Labelled, folder: Path) -> Path:
    tasks = Tasks(_ANY, folder)
    if isinstance(data, Classes):
        return tasks.probe(data, 'check')
    write = tasks.mask_rcnn if isinstance(data, Instances) else tasks.upernet
    return write(data, 'check')


def _check_config(config: str, args: Namespace) -> int:
    picture = ['--out', args.picture] if args.picture else []
    return run_tool('check_dataset', [config, *picture], args.debug)
