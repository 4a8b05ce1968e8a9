"""Measure what a plan asks for, print the table and write the files."""

from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from benchmarks.flops import peak_rate, saved_bytes
from benchmarks.gate import check
from benchmarks.listing import list_rows
from benchmarks.machine import commit_of, machine_facts
from benchmarks.peers import PEERS
from benchmarks.plan import Plan
from benchmarks.published import Code, import_code
from benchmarks.report import format_table, write_files
from benchmarks.rows import Contender, exact_of, reference_of
from benchmarks.shims import one_process_group
from benchmarks.summary import summarize
from benchmarks.timing import measure

ROOT = Path(__file__).parents[2]


def run(plan: Plan) -> int:
    """Carry out a plan.

    Returns:
        Exit code: 1 if a peer does not compute what ours computes, else 0.

    Raises:
        ValueError: If the config changes or the images do not fit the rest.
    """
    facts: dict[str, Any] = dict(machine_facts(ROOT))
    print('\n'.join(f'{name}: {fact}' for name, fact in facts.items()))
    with ExitStack() as stack:
        if plan.peers:
            stack.enter_context(one_process_group())
        codes, passed = admit_peers(plan)
        facts['peers'] = {code.peer.folder: commit_of(code.folder) for code in codes}
        torch.backends.cudnn.benchmark = True  # as the pretraining configs set it
        rows = list(list_rows(plan, codes))
        taken = measure(rows, plan.rounds, plan.steps, plan.warmup, plan.device, _say)
        saved = {row.label: _saved(row) for row in rows if taken[row.label]}
    peaks = {name: peak_rate(name, plan.device) for name in plan.precisions}
    facts['peak_tflops'] = {name: rate / 1e12 for name, rate in peaks.items()}
    facts.update(rounds=plan.rounds, steps=plan.steps, warmup=plan.warmup)
    fitting = [label for label, rounds in taken.items() if rounds]
    table = []
    for row in rows:
        fits = row.label in fitting
        reference = reference_of(row.label, fitting) if fits else row.label
        exact = exact_of(row.label)
        table.append(
            summarize(
                row.label,
                taken[row.label],
                taken[reference],
                plan.steps,
                row.flops,
                peaks.get(row.label.precision),
                saved.get(row.label),
                taken.get(exact, ()),
            )
        )
    rates = ', '.join(f'{name} {rate / 1e12:.3g}' for name, rate in peaks.items())
    print(f'matrix product, 1e12 operations a second: {rates}')
    print(
        f'{plan.rounds} rounds over all rows, {plan.steps} steps each; "times" as fast '
        'as the first published row of the same level, size and batch, else the first'
    )
    if plan.options:
        print(
            '"to exact": against ccmim at the same precision, by CPU time on a CPU; '
            'masks2 learns from each image twice, 0.5 would be two plain steps'
        )
    print(f'\n{format_table(table)}')
    for label in (row.label for row in rows if not taken[row.label]):
        print(f'out of memory: {" ".join(map(str, label))}; try a smaller batch')
    if plan.out:
        seconds = [[each.seconds for each in taken[row.label]] for row in rows]
        write_files(plan.out, table, seconds, facts)
        print(f'\nWrote {plan.out}/benchmark.csv and benchmark.json')
    return 0 if passed else 1


def admit_peers(plan: Plan) -> tuple[list[Code], bool]:
    """Import the clones that are there and that compute what ours computes.

    Returns:
        The peers to be timed, and whether all that were found may be.
    """
    codes, passed = [], True
    asked = [peer for peer in PEERS if plan.peers and peer.method in plan.methods]
    for peer in asked:
        folder = plan.peers / peer.folder
        if not folder.is_dir():
            print(f'{peer.folder}: not in {plan.peers}, left out')
            continue
        try:
            code = import_code(peer, folder)
        except ImportError as error:
            missing = [pip for name, pip in peer.needs.items() if not find_spec(name)]
            how = f'; pip install {" ".join(missing)}' if missing else ''
            print(f'{peer.folder}: left out, its code cannot be imported: {error}{how}')
            continue
        equal, line = check(code)
        print(f'{line}, commit {commit_of(folder)}')
        passed = passed and equal
        if equal:
            codes.append(code)
    return codes, passed


def _say(line: str) -> None:
    print(line, flush=True)


def _saved(row: Contender) -> float | None:
    if row.loss is None:
        return None
    with row.feed() as batches:
        images = next(batches)
    return saved_bytes(lambda: row.loss(images), row.state()) / len(images)
