"""Which rows a plan asks for, in the order of the table."""

from collections import deque
from collections.abc import Iterator

from torch import Tensor

from benchmarks.inputs import Feed, from_files, from_memory, noise_batches
from benchmarks.ours import OurMethod
from benchmarks.plan import Plan
from benchmarks.published import Code, PublishedMethod
from benchmarks.rows import Contender, Label, reference_of


def list_rows(plan: Plan, codes: list[Code]) -> Iterator[Contender]:
    """Build everything that is measured, in the order of the table."""
    batches: dict[int, list[Tensor]] = {}
    for size in plan.sizes:
        ours = {
            name: OurMethod(name, size, plan.cfg_options, plan.device)
            for name in plan.rows_of_ours
        }
        published = [PublishedMethod(code, ours[code.peer.method]) for code in codes]
        side = next(iter(ours.values())).cfg.model.backbone.img_size
        for level in plan.levels:
            for batch_size in plan.batch_sizes:
                if level == 'files':
                    yield from _rows_of_files(plan, list(ours.values()), batch_size)
                    continue
                if batch_size not in batches:
                    batches[batch_size] = noise_batches(batch_size, side, plan.device)
                feed = from_memory(batches[batch_size])
                yield from _rows_of_memory(
                    plan, list(ours.values()), published, level, batch_size, feed
                )


def _rows_of_memory(
    plan: Plan,
    ours: list[OurMethod],
    published: list[PublishedMethod],
    level: str,
    batch_size: int,
    feed: Feed,
) -> Iterator[Contender]:
    rows = [
        method.row(level, precision, batch_size, feed)
        for method in ours
        for precision in plan.precisions
    ]
    theirs = plan.precisions if level == 'step' else ['shipped']
    rows += [
        method.row(level, precision, batch_size, feed)
        for method in published
        if level == 'step' or method.code.engine
        for precision in theirs
    ]
    yield from rows
    if plan.aa:
        reference = reference_of(rows[0].label, [row.label for row in rows])
        row = next(row for row in rows if row.label == reference)
        yield row._replace(label=reference._replace(code=f'{reference.code} A/A'))


def _rows_of_files(
    plan: Plan, ours: list[OurMethod], batch_size: int
) -> Iterator[Contender]:
    feed = from_files(ours[0].cfg, plan.images, batch_size, plan.workers)
    for method in ours:
        for precision in plan.precisions:
            yield method.row('files', precision, batch_size, feed)
    label = Label('files', ours[0].size, batch_size, 'ours', 'loader', '-')
    yield Contender(label, lambda batches: deque(batches, maxlen=0), feed)
