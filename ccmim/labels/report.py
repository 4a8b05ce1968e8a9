"""Results of checking one split."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from unicodedata import category

from PIL import Image

from ccmim.data.bad_files import most_bad
from ccmim.files import one_line

Color = tuple[int, int, int]  # red, green, blue, 0 to 255

_SHOWN = 4  # names of a long list
_LONG = 200  # letters of a name
_RARE = 1e-3
_SHARE = 0.01  # of the images may be damaged, as in pretraining
_INDENT = '  '
_CLASSES, _RAREST = 12, 5  # how many are listed at most, else how many of the rarest


class Picture(NamedTuple):
    """A picture for the contact sheet.

    Attributes:
        title: What stands below it.
        draw: Makes it, when the sheet is drawn.
    """

    title: str
    draw: Callable[[], Image.Image]


@dataclass
class Report:
    """What was found in one data set.

    Attributes:
        title: Split and type of the data set.
        unit: What is counted for each class.
        images: Number of images.
        problems: What is wrong, one line each.
        notes: What is worth knowing, one line each.
        counts: Number of ``unit`` by class, in the order of the classes.
        pictures: The first images with their annotations.
        legend: Colors in the pictures that nothing else explains.
        source: The file or folder of the labels, for messages.
        files: Paths of the images, by which splits are compared.
        names: Names of the classes or categories in the data.
    """

    title: str
    unit: str = 'objects'
    images: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    legend: dict[str, Color] = field(default_factory=dict)
    source: str = ''
    files: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)
    _heeded: dict[str, list[object]] = field(default_factory=dict)

    def name_classes(self, names: Iterable[str]) -> None:
        """Note the names of the classes, which are shown in logs, tables and pages."""
        self.names = list(names)
        odd = [n for n in self.names if any(category(c) == 'Cc' for c in str(n))]
        what = 'names of classes with line breaks or other control characters'
        self.problem(f'{what} (rename them)', odd)

    def problem(self, what: str, names: Sequence[object] | None = None) -> None:
        """Add something wrong; with a list, how often and the first names, if any."""
        _add(self.problems, what, names)

    def note(self, what: str, names: Sequence[object] | None = None) -> None:
        """Add something worth knowing, as ``problem`` does."""
        _add(self.notes, what, names)

    def fault(self, what: str, names: Sequence[object], total: int) -> None:
        """Add a problem; or a note, if it is one of a thousand entries or fewer.

        COCO itself has two boxes without height among 860,001.
        """
        add = self.note if len(names) <= total * _RARE else self.problem
        add(what, names)

    def damaged(
        self, names: Sequence[object], total: int, is_replaced: bool | None = None
    ) -> None:
        """Add images that cannot be read: a note where they are few and replaced.

        Args:
            names: Of the images, with what is wrong.
            total: Count of all images.
            is_replaced: Whether a run shows others in their place, as it does in
                training.
        """
        if is_replaced is None:
            is_replaced = self.title.startswith('train')
        if is_replaced and len(names) <= most_bad(total, _SHARE):
            self.note('damaged images, in whose place training shows others', names)
        else:
            self.problem('damaged images (copy them again, or leave them out)', names)

    def heed(self, what: str, name: object) -> None:
        """Add an entry to a note that counts them."""
        names = self._heeded.setdefault(what, [])
        names.append(name)
        line = f'{what}: '
        self.notes[:] = [note for note in self.notes if not note.startswith(line)]
        self.note(what, names)

    def error(self) -> str:
        """Describe in one line what is wrong, for a run that does not start."""
        more = len(self.problems) - 1
        first = self.problems[0]
        source = '' if self.source and self.source in first else f'{self.source}: '
        end = f' (and {more} more: ccmim check lists all)' if more else ''
        return f'{source}{first}{end}'

    def text(self) -> str:
        """Write all down in a few lines: what is wrong comes first."""
        lines = [f'{self.title}: {number_of(self.images, "image", "images")}']
        body = [f'{_INDENT}PROBLEM: {problem}' for problem in self.problems]
        body += [f'{_INDENT}note: {note}' for note in self.notes]
        if self.counts:
            total = sum(self.counts.values())
            more = '' if self.unit == 'images' else f', {total:,} {self.unit}'
            lines[0] += f'{more} of {number_of(len(self.counts), "class", "classes")}'
            rows = list(self.counts.items())
            if len(rows) > _CLASSES:
                rows = sorted(rows, key=lambda pair: pair[1])[:_RAREST]
                lines.append(f'{_INDENT}the {_RAREST} rarest:')
            lines += [
                f'{_INDENT}{shown(name):<24} {count:>12,}  {count / max(1, total):6.1%}'
                for name, count in rows
            ]
        return '\n'.join([lines[0], *body, *lines[1:]])


def number_of(count: int, one: str, many: str) -> str:
    """Write a count with its noun: '1 class', '2,000 classes'."""
    return f'{count:,} {one if count == 1 else many}'


def some(names: Sequence[object]) -> str:
    """List the first of many names."""
    more = ', ...' if len(names) > _SHOWN else ''
    return ', '.join(map(shown, names[:_SHOWN])) + more


def shown(name: object) -> str:
    """Make what a file says fit for a line of a message: short, nothing but letters."""
    text = str(name)
    text = text if len(text) <= _LONG else f'{text[: _LONG - 4]} ...'
    return one_line(text)


def _add(lines: list[str], what: str, names: Sequence[object] | None) -> None:
    if names is None:
        lines.append(one_line(what))
    elif names:
        lines.append(f'{one_line(what)}: {len(names):,} ({some(names)})')
