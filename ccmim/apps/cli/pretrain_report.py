"""What ``ccmim pretrain`` prints: settings, their cost, and what comes next."""

import shlex
from pathlib import Path

from mmengine.config import Config

from ccmim.apps.cli.choose import Machine, Settings
from ccmim.apps.cli.estimate import Estimate
from ccmim.apps.cli.survey import Survey
from ccmim.apps.report.html import write_report
from ccmim.checkpoints import read_weights, write_weights
from ccmim.files import say
from ccmim.progress import duration

_MEMORY = {'cuda': 'GPU memory', 'cpu': 'memory'}


def print_settings(
    cfg: Config, settings: Settings, machine: Machine, cost: Estimate, survey: Survey
) -> None:
    """Print the machine, the settings and what they cost."""
    batch, epochs = cfg.train_dataloader.batch_size, cfg.train_cfg.max_epochs
    steps = epochs * (survey.num_good // batch)
    seconds = cost.seconds(steps, batch, machine, settings.workers)
    letter = settings.size[0].upper() if settings.size != 'tiny' else 'Ti'
    vit = f'ViT-{letter}/{settings.patch_size} at {settings.image_size} px'
    lines = [
        f'Machine      {machine.name}, {machine.gigabytes:.0f} GB memory, '
        f'{machine.cores} cores',
        f'Settings     {settings.method}, {vit}, batch {batch}, {settings.workers} '
        f'loader process{"es" * (settings.workers > 1)}',
        f'             {epochs} epochs = {steps:,} steps',
        f'Estimate     about {duration(seconds)}: {cost.step:.2g} s per step, '
        f'{1000 * cost.image:.0f} ms to load an image',
        f'             {_memory(cost, machine)}'
        f'{4 * cost.checkpoint / 1e9:.2g} GB of disk space',
        f'             timed over {_over(cost.steps)}; slower if other programs run',
    ]
    say(*lines)


def _memory(cost: Estimate, machine: Machine) -> str:
    if not cost.steps:  # a few images hold less than a batch
        return ''
    return f'{cost.gigabytes:.1f} GB of {_MEMORY[machine.device]}, '


def _over(steps: int) -> str:
    return f'{steps} steps' if steps else 'a few images, as a step is slow here'


def finish(out: Path, checkpoint: Path) -> None:
    """Write backbone and report of a run, and print what can be done with them."""
    backbone = out / 'backbone.safetensors'
    write_weights(read_weights(checkpoint), backbone, 'safetensors', overwrite=True)
    page = out / 'report.html'
    write_report(page, out.name, runs=[out])
    say(
        '',
        'Done.',
        f'  checkpoint   {relative(checkpoint)}',
        f'  backbone     {relative(backbone)}',
        f'  report       {relative(page)}',
        '',
        'Next:',
        f'  {shell_command("ccmim transfer", checkpoint, "--data")} LABELED_FOLDER',
        f'  {shell_command("ccmim export", checkpoint, "--to")} timm',
        f'  in Python: ccmim.get_model({relative(backbone)!r})',
    )


def shell_command(start: str, *words: object) -> str:
    """Write a command, with paths from the current folder."""
    return f'{start} {shlex.join(map(relative, words))}'


def relative(word: object) -> str:
    """Write a path from the current folder, if it is in it."""
    return str(word).removeprefix(f'{Path.cwd()}/')
