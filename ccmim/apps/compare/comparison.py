"""Every arm on every task with every seed, as chains of stages."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from pathlib import Path

from ccmim.apps.compare.gains import Samples
from ccmim.apps.compare.scores import METRICS, Score, in_percent
from ccmim.apps.compare.stage_commands import (
    content_of_file,
    last_checkpoint,
    probe_command,
    read_cached,
    train_command,
)
from ccmim.apps.compare.stages import Stage
from ccmim.checkpoints.sources import find_weights
from ccmim.evaluation.resampling import read_samples

_IMAGES = 'images.npz'  # what each tested image adds, beside the metrics


@dataclass(frozen=True)
class Arm:
    """One way to begin, one row of the table.

    Attributes:
        name: What the table calls it.
        source: Nothing for random weights, a pretraining config to be run with each
            seed, or weights that serve all seeds: a file, a folder, ``timm:NAME`` or
            ``hf:OWNER/NAME``.
        options: ``KEY=VALUE`` changes of its pretraining config alone.
        teacher: Arm before it whose weights of the same seed become its
            ``model.teacher.checkpoint``; empty if it needs none.

    Raises:
        ValueError: If the source is neither.
    """

    name: str
    source: str = ''
    options: Sequence[str] = ()
    teacher: str = ''

    def __post_init__(self) -> None:
        """Check the source."""
        if not self.source:
            return
        try:
            find_weights(self.source)  # a config is a file, too
        except OSError:
            raise ValueError(
                f'{self.name}={self.source}: give a pretraining config (.py) or '
                'weights (a file, a folder, timm:NAME or hf:OWNER/NAME) that exist'
            ) from None

    @property
    def is_pretrained_here(self) -> bool:
        """Whether the source is a config."""
        return self.source.endswith('.py')


@dataclass(frozen=True)
class Comparison:
    """What is compared.

    Attributes:
        arms: The rows; differences are to the first.
        tasks: Configs to fine-tune and test, by name; those of tools/knn.py, which
            have no ``train_cfg``, are measured on frozen features.
        seeds: Seeds; seed s of an arm's pretraining goes with seed s of each task.
        out: Folder for everything.
        pretrain_options: ``KEY=VALUE`` changes of all pretraining configs.
        options: ``KEY=VALUE`` changes of all tasks.

    Raises:
        ValueError: If there is nothing to compare, a config does not exist or names
            are not unique.
    """

    arms: Sequence[Arm]
    tasks: dict[str, str]
    seeds: Sequence[int]
    out: Path
    pretrain_options: Sequence[str] = field(default_factory=tuple)
    options: Sequence[str] = field(default_factory=tuple)

    def __post_init__(self) -> None:
        """Check that all can be run."""
        names = [arm.name for arm in self.arms]
        for given, of in ((names, 'arms'), (list(self.seeds), 'seeds')):
            if twice := [one for one in given if given.count(one) > 1]:
                raise ValueError(f'{of}: {twice[0]} is given twice, leave one out')
        for given, of in (
            (names, 'arms'),
            (self.tasks, 'tasks'),
            (self.seeds, 'seeds'),
        ):
            if not given:
                raise ValueError(f'{of} is empty: a comparison needs at least one')
        for config in self.tasks.values():
            if not Path(config).is_file():
                raise ValueError(f'config {config} does not exist')

        for i, arm in enumerate(self.arms):
            if arm.teacher and arm.teacher not in names[:i]:
                raise ValueError(
                    f'{arm.name} learns from {arm.teacher}: compare that arm too, '
                    'before it'
                )

    def chains(self, skip: Collection[tuple[str, int]] = ()) -> list[list[Stage]]:
        """List all stages: a pretraining, its transfers, and those it is needed for.

        Args:
            skip: Pairs of arm and seed to leave out.

        Returns:
            The chains of a seed before those of the next, so that a table with one
            seed is there early.
        """
        chains = []
        for seed in self.seeds:
            chain_of: dict[str, list[Stage]] = {}
            for arm in self.arms:
                if arm.teacher:  # behind its teacher, wherever that is
                    chain = chain_of[arm.teacher]
                else:
                    chain = []
                    chains.append(chain)
                chain_of[arm.name] = chain
                students = {a.name for a in self.arms if a.teacher == arm.name}
                is_asked = (arm.name, seed) not in skip
                is_needed = any((name, seed) not in skip for name in students)
                if arm.is_pretrained_here and (is_asked or is_needed):
                    chain.append(self._pretraining(arm, seed))
                for task in self.tasks if is_asked else ():
                    chain += self._transfer(arm, task, seed)
        return [chain for chain in chains if chain]

    def chains_apart(self) -> list[list[Stage]]:
        """List all stages so that the tasks of an arm can run side by side.

        Returns:
            The pretrainings, then a chain for each task of each arm, which waits for
            its pretraining.
        """
        chains = self.pretrainings()
        for seed in self.seeds:
            for arm in self.arms:
                after = ()
                if arm.is_pretrained_here:
                    after = (self._pretraining(arm, seed),)
                for task in self.tasks:
                    first, *others = self._transfer(arm, task, seed)
                    chains.append([replace(first, after=after), *others])
        return chains

    def pretraining_folder(self, arm: Arm, seed: int) -> Path:
        """Return the work dir of an arm's pretraining."""
        return self.out / f'{arm.name}_seed{seed}' / 'pretraining'

    def pretrainings(self) -> list[list[Stage]]:
        """List the chains to run first."""
        return [
            [self._pretraining(arm, seed)]
            for arm in self.arms
            if arm.is_pretrained_here
            for seed in self.seeds
        ]

    def transfers(self) -> list[list[Stage]]:
        """List the chains to run then, of all arms whose weights are there."""
        return [
            self._transfer(arm, task, seed)
            for seed in self.seeds  # so that a table with one seed is there early
            for task in self.tasks
            for arm in self.arms
            if not arm.is_pretrained_here or self._weights(arm, seed).is_file()
        ]

    def scores(self) -> list[Score]:
        """Read the results that are there."""
        scores = []
        for arm in self.arms:
            for task in self.tasks:
                for seed in self.seeds:
                    *_, test = self._transfer(arm, task, seed)
                    if not test.result.is_file():
                        continue
                    metrics = json.loads(test.result.read_text())
                    # A probe has a line for each set of weights, here one.
                    metrics = metrics.get(
                        'checkpoint' if arm.source else 'random', metrics
                    )
                    scores += [
                        Score(arm.name, task, seed, name, in_percent(key, metrics[key]))
                        for key, (name, _) in METRICS.items()
                        if key in metrics
                    ]
        return scores

    def samples(self) -> Samples:
        """Read what each tested image has added, of the runs that left it."""
        samples = {}
        for arm in self.arms:
            for task in self.tasks:
                for seed in self.seeds:
                    *_, test = self._transfer(arm, task, seed)
                    file = test.result.with_name(_IMAGES)
                    if test.result.is_file() and file.is_file():
                        for key, sample in read_samples(file).items():
                            # A probe names its weights first.
                            key = key.rpartition(' ')[2]
                            if key in METRICS:
                                name, _ = METRICS[key]
                                samples[arm.name, task, seed, name] = sample
        return samples

    def trained(self) -> list[tuple[str, str, int, Path]]:
        """List arm, task, seed and checkpoint of what is fine-tuned."""
        checkpoints = []
        for arm, task, seed in product(self.arms, self.tasks, self.seeds):
            first, *rest = self._transfer(arm, task, seed)
            if rest:  # a test
                checkpoints.append((arm.name, task, seed, first.result))
        return checkpoints

    def _weights(self, arm: Arm, seed: int) -> Path:
        if arm.is_pretrained_here:
            return self._pretraining(arm, seed).result
        return Path(arm.source)

    def _pretraining(self, arm: Arm, seed: int) -> Stage:
        work = self.pretraining_folder(arm, seed)
        changes = [*self.pretrain_options, *arm.options]
        if arm.teacher:
            teacher = next(a for a in self.arms if a.name == arm.teacher)
            weights = self._weights(teacher, seed)
            changes.append(f'model.teacher.checkpoint={weights}')
        return Stage(
            f'{arm.name}, seed {seed}: pretraining',
            train_command(arm.source, work, [f'randomness.seed={seed}', *changes]),
            work / last_checkpoint(arm.source, changes),
            content=self._origin(arm),
        )

    def _transfer(self, arm: Arm, task: str, seed: int) -> list[Stage]:
        config, work = self.tasks[task], self.out / f'{arm.name}_seed{seed}' / task
        options = [f'randomness.seed={seed}', *self.options]
        weights = [self._weights(arm, seed)] if arm.source else []
        name = f'{arm.name}, seed {seed}: {task}'
        metrics = work / 'metrics.json'
        changes = [*self.pretrain_options, *arm.options]
        depends = ' '.join(changes) if arm.is_pretrained_here else ''
        content = f'{self._origin(arm)} {content_of_file(config)}'
        images = ['--per-image', work / _IMAGES]
        if 'train_cfg' not in read_cached(config):
            probe = [*probe_command(config), *weights, '--config', config]
            probe += ['--out', metrics]
            command = [*probe, *images, '--cfg-options', *options]
            return [Stage(name, command, metrics, depends, content)]
        options += [f'model.backbone.init_cfg.checkpoint={file}' for file in weights]
        result = work / last_checkpoint(config, self.options)
        test = ['tools/test.py', config, result, '--work-dir', work, '--out', metrics]
        test += images
        if self.options:
            test += ['--cfg-options', *self.options]
        return [
            Stage(name, train_command(config, work, options), result, depends, content),
            Stage(f'{name}: test', test, metrics, depends, content),
        ]

    def _origin(self, arm: Arm) -> str:
        """Return the content that an arm's weights come from, with its teacher's."""
        teachers = [self._origin(a) for a in self.arms if a.name == arm.teacher]
        return ' '.join([content_of_file(arm.source) if arm.source else '', *teachers])
