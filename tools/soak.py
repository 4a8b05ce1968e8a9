"""Kill a short training at random moments, and compare its result.

    python tools/soak.py [--kills 50] [--processes 1] [--seed 0] [--work-dir DIR]
        [--trainings all] [--minutes 60]

A tiny network is trained on generated photos without interruption: ccMIM, or all
methods, Mask R-CNN and UperNet in turn. The same training is then killed (SIGKILL) and
stopped (SIGTERM) again and again, in the middle of writing a checkpoint or of a
validation too, and resumed with ``tools/train.py --resume``. Weights, optimizer, losses
and learning rates must come out the same, bit for bit. Exit code 1 if not.
"""

import argparse
import contextlib
import json
import multiprocessing
import os
import random
import runpy
import shutil
import signal
import socket
import sys
import time
from collections import Counter
from collections.abc import Iterable
from multiprocessing.connection import wait
from pathlib import Path
from typing import Any

import torch
from mmengine.logging import HistoryBuffer, MMLogger

from ccmim.checkpoints import load_file, verify_checkpoint
from ccmim.checkpoints.resume import choose_resume
from ccmim.files import PART, Parser
from soaking.runs import INTERVAL, names, write_config

TRAIN = Path(__file__).resolve().with_name('train.py')
MADE = 'soak.txt'  # marks a folder of ours, which may be removed
PRELOADED = ['ccmim.engine.launch', 'ccmim.methods', 'ccmim.dense', 'mmdet', 'mmseg']
STOPPED = 143  # exit code after SIGTERM
SLOW = 0.05  # seconds that a write takes longer, so that many kills meet one


def main() -> None:
    """Run the torture and print what it did."""
    parser = Parser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--kills', type=int, default=50)
    parser.add_argument('--processes', type=int, choices=[1, 2], default=1)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument('--work-dir', type=Path, default=Path('work_dirs/soak'))
    parser.add_argument(
        '--trainings',
        nargs='+',
        choices=['all', *names()],
        default=['ccmim'],
        metavar='NAME',
        help=f'which take their turns: all, or some of {", ".join(names())}',
    )
    parser.add_argument(
        '--minutes', type=float, default=float('inf'), help='when to kill no more'
    )
    args = parser.parse_args()
    if any(args.work_dir.glob('*')) and not (args.work_dir / MADE).is_file():
        parser.error(f'{args.work_dir} holds other files: give another --work-dir')
    shutil.rmtree(args.work_dir, ignore_errors=True)
    args.work_dir.mkdir(parents=True)
    (args.work_dir / MADE).write_text('made by tools/soak.py, which may remove all\n')
    MMLogger.get_current_instance().setLevel('WARNING')

    folder = args.work_dir.resolve()
    chosen = names() if 'all' in args.trainings else args.trainings
    torture = Torture(chosen, folder, args.processes, args.seed, 60 * args.minutes)
    while torture.counts['kills'] < args.kills and torture.time_left() > 0:
        torture.one_round(args.kills)
    sys.exit(0 if torture.report() else 1)


class Training:
    """What is trained, and how it ends when it is left alone."""

    def __init__(self, name: str, folder: Path, processes: int) -> None:
        self.name, self.folder = name, folder
        self.config = write_config(name, folder, processes)
        straight = folder / f'{name}_straight'
        if not any(folder.glob('*_straight')):
            Run(self.config, folder / 'first', processes).wait(300)  # imports
        started = time.monotonic()
        if Run(self.config, straight, processes).wait(300) != {0}:
            sys.exit(f'error: the training itself fails, see {straight}/output.txt')
        self.seconds = time.monotonic() - started
        self.end = end_state(straight)
        print(f'{name}: the straight run took {self.seconds:.1f} s', flush=True)


class Run:
    """One start of tools/train.py, in one or two processes."""

    def __init__(self, config: Path, work_dir: Path, processes: int) -> None:
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        work_dir.mkdir(parents=True, exist_ok=True)
        self.started = time.time()
        context = multiprocessing.get_context('forkserver')
        context.set_forkserver_preload(PRELOADED)
        self.processes = [
            context.Process(
                target=_train, args=(config, work_dir, rank, processes, port)
            )
            for rank in range(processes)
        ]
        for process in self.processes:
            process.start()

    def wait(self, seconds: float) -> set[int] | None:
        """Exit codes, None while a process runs after so many seconds.

        As launchers do, ends the others when one has failed.
        """
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            codes = {process.exitcode for process in self.processes}
            if None not in codes:
                return codes
            if codes - {None, 0, STOPPED}:
                self.send(signal.SIGKILL, range(len(self.processes)))
            wait([p.sentinel for p in self.processes if p.is_alive()], 0.1)
        return None

    def send(self, number: int, ranks: Iterable[int]) -> None:
        """Send a signal to some of the processes."""
        for rank in ranks:
            # The fork server may have buried it before we hear that it ended.
            if self.processes[rank].is_alive():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(self.processes[rank].pid, number)


class Torture:
    """Rounds of kills and resumes, and what they showed."""

    def __init__(
        self, names: list[str], folder: Path, processes: int, seed: int, seconds: float
    ) -> None:
        self.names, self.folder, self.processes = names, folder, processes
        self.trainings: dict[str, Training] = {}
        self.random = random.Random(seed)
        self.counts: Counter[str] = Counter()
        self.kills: Counter[str] = Counter()
        self.most_lost = 0
        self.deadline = time.monotonic() + seconds

    def time_left(self) -> float:
        """Seconds in which to kill."""
        return self.deadline - time.monotonic()

    def one_round(self, kills: int) -> None:
        """Kill and resume the next training until it is done, or killed enough."""
        number = self.counts['rounds']
        name = self.names[number % len(self.names)]
        if name not in self.trainings:
            self.trainings[name] = Training(name, self.folder, self.processes)
        training = self.trainings[name]
        work_dir = training.folder / f'round{number}_{training.name}'
        while True:
            run = Run(training.config, work_dir, self.processes)
            spare = self.counts['kills'] >= kills or self.time_left() < 0
            codes = run.wait(300 if spare else self._moment(training, run, work_dir))
            if codes is None and not spare:
                self.kills[training.name] += 1
                self._kill(run, work_dir)
                continue
            if codes != {0}:
                sys.exit(f'error: exit codes {codes}, see {work_dir}/output.txt')
            same = end_state(work_dir) == training.end
            self.counts['rounds'] += 1
            self.counts['identical'] += same
            print(
                f'{self.counts["kills"]} kills, {self.counts["rounds"]} runs done '
                f'({training.name}): {"identical" if same else "NOT IDENTICAL"}',
                flush=True,
            )
            if same:
                shutil.rmtree(work_dir)
            return

    def _moment(self, training: Training, run: Run, work_dir: Path) -> float:
        """Seconds to wait for a kill: one of four may come before the first step."""
        early = self.random.random() < 0.25
        moment = self.random.uniform(0, 0.5 * training.seconds)
        if not early:
            # However busy the machine is, a run gets on.
            while last_step(work_dir, run.started) is None and run.wait(0.2) is None:
                pass
        return moment

    def _kill(self, run: Run, work_dir: Path) -> None:
        number = self.random.choice([signal.SIGKILL, signal.SIGTERM])
        run.send(number, [self.random.randrange(self.processes)])
        codes = run.wait(60)
        name = signal.Signals(number).name
        self.counts['kills'] += 1
        self.counts[name] += 1
        if codes is None:
            self.counts['hanging'] += 1
            run.send(signal.SIGKILL, range(self.processes))
            run.wait(60)
        self.counts['while writing'] += any(work_dir.glob(f'.*{PART}'))
        for file in work_dir.glob('*.pth'):
            self.counts['checkpoints'] += 1
            try:
                verify_checkpoint(file)
            except ValueError:
                self.counts['damaged'] += 1
        reached, saved = last_step(work_dir, run.started), saved_step(work_dir)
        self.counts['at the start'] += reached is None
        lost = max((reached or 0) - saved, 0)
        self.counts[f'lost {name}'] += lost
        self.most_lost = max(self.most_lost, lost)

    def report(self) -> bool:
        """Print the counts; whether nothing was lost."""
        n = self.counts
        print('kills of each:', ', '.join(f'{k} {v}' for k, v in self.kills.items()))
        print(
            f'kills: {n["kills"]} ({n["SIGKILL"]} SIGKILL, {n["SIGTERM"]} SIGTERM; '
            f'{n["at the start"]} before the first step, {n["while writing"]} while a '
            f'file was written), {n["hanging"]} left a process hanging\n'
            f'runs completed: {n["rounds"]}, identical to the straight run: '
            f'{n["identical"]}\n'
            f'steps done twice: {n["lost SIGKILL"]} after SIGKILL (at most '
            f'{self.most_lost} a kill, checkpoints every {INTERVAL}), '
            f'{n["lost SIGTERM"]} after SIGTERM\n'
            f'checkpoints lost: {n["damaged"]} of {n["checkpoints"]} found after kills'
        )
        lost = n['damaged'] + n['hanging'] + n['lost SIGTERM']
        return not lost and n['identical'] == n['rounds']


def end_state(work_dir: Path) -> Any:
    """What must be the same at the end, in a form that can be compared."""
    last = max(work_dir.glob('iter_*.pth'), key=lambda p: int(p.stem.split('_')[1]))
    checkpoint = load_file(last)
    scalars = checkpoint['message_hub']['log_scalars']
    history = {k: v for k, v in scalars.items() if 'loss' in k or k.endswith('lr')}
    parts = ('state_dict', 'optimizer', 'param_schedulers')
    return _plain([checkpoint['meta']['iter'], history, [checkpoint[p] for p in parts]])


def last_step(work_dir: Path, since: float) -> int | None:
    """The last step that was logged since a time, None if there was none."""
    steps = [
        json.loads(line)['step']
        for file in work_dir.glob('*/vis_data/scalars.json')
        if file.stat().st_mtime > since
        for line in file.read_text().splitlines()
        if line.endswith('}')  # the last one may be cut
    ]
    return max(steps, default=None)


def saved_step(work_dir: Path) -> int:
    """The step that the next start resumes from."""
    path = choose_resume(work_dir)
    return load_file(path)['meta']['iter'] if path else 0


def _plain(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return (str(value.dtype), tuple(value.shape), value.numpy().tobytes())
    if isinstance(value, HistoryBuffer):
        return value.data[0].tolist()
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _train(config: Path, work_dir: Path, rank: int, processes: int, port: int) -> None:
    with open(work_dir / 'output.txt', 'a') as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    sys.argv = [str(TRAIN), str(config), '--work-dir', str(work_dir), '--resume']
    if processes > 1:
        os.environ.update(
            RANK=str(rank),
            LOCAL_RANK=str(rank),
            WORLD_SIZE=str(processes),
            MASTER_ADDR='127.0.0.1',
            MASTER_PORT=str(port),
        )
        sys.argv += ['--launcher', 'pytorch']
    torch.set_num_threads(1)
    replace = os.replace
    os.replace = lambda *names: (time.sleep(SLOW), replace(*names))
    runpy.run_path(str(TRAIN), run_name='__main__')


if __name__ == '__main__':
    main()
