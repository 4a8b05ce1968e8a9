"""``ccmim embed``: save features of photos, find neighbors and near-duplicates."""

import csv
import io
from argparse import Namespace
from pathlib import Path

from ccmim.api.embedding import embed
from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.probing import weights_from_args
from ccmim.apps.cli.quiet import no_messages
from ccmim.data import open_source
from ccmim.data.bad_files import BAD_FILES, by_kind
from ccmim.data.image import require_rgb
from ccmim.evaluation.embeddings import Embeddings, check_format
from ccmim.files import say, write_file
from ccmim.labels.report import number_of

_SHOWN = 10  # pairs and neighbors in the terminal


def run(args: Namespace) -> int:
    """Write the features; 1 if some photos cannot be read."""
    of_patches = args.pool == 'patches'
    check_format(args.out, of_patches)
    if of_patches and (args.duplicates or args.nearest):
        raise Mistake(
            'features of patches have no neighbors here', 'leave out --pool patches'
        )
    if not 0 < args.least <= 1:
        raise Mistake(
            f'--least {args.least} is out of range', 'give more than 0, up to 1'
        )
    if args.out.exists() and not args.overwrite:
        raise Mistake(
            f'{args.out} is there already',
            '--overwrite replaces it, --out FILE goes elsewhere',
        )
    weights = weights_from_args(args.weights, args)
    require_rgb(weights.architecture.in_chans, args.weights)
    say(f'Looking at   {", ".join(args.data)}')
    named = _named(args)
    with no_messages():
        embeddings = embed(
            args.weights,
            [*args.data, *named],
            args.pool,
            args.image_size,
            args.batch_size,
            args.device,
            True,
            args.part,
            args.num_heads,
            args.img_size,
        )
    args.out.parent.mkdir(parents=True, exist_ok=True)
    files = embeddings.save(args.out)
    shape = ' x '.join(f'{size:,}' for size in embeddings.features.shape)
    say(f'{shape} features: {", ".join(map(str, files))}')
    if args.duplicates:
        _write_duplicates(embeddings, args)
    for photo in args.nearest:
        _show_nearest(embeddings, photo)
    if embeddings.left_out:
        listed = args.out.with_name(f'{args.out.stem}_{BAD_FILES}')
        lines = [f'{name}\t{reason}\n' for name, reason in embeddings.left_out.items()]
        write_file(listed, ''.join(lines))
        photos = number_of(len(lines), 'photo', 'photos')
        say(f'left out {photos} ({by_kind(embeddings.left_out.values())}): {listed}')
    return int(bool(embeddings.left_out))


def _named(args: Namespace) -> list[str]:
    """List the photos of --nearest that are not among the data."""
    source = open_source(args.data)
    known = {source.name(i) for i in range(len(source))} if args.nearest else set()
    return [photo for photo in args.nearest if _path(photo) not in known]


def _path(photo: str) -> str:
    return str(Path(photo).expanduser().absolute())


def _show_nearest(embeddings: Embeddings, photo: str) -> None:
    if _path(photo) not in embeddings.names:
        say(f'{photo} cannot be read')
        return
    say(f'Nearest to {photo} (similarity without what all photos share)')
    number = embeddings.names.index(_path(photo))
    for name, alike in embeddings.nearest(number, _SHOWN):
        say(f'  {alike:5.2f}  {name}')


def _write_duplicates(embeddings: Embeddings, args: Namespace) -> None:
    pairs = embeddings.duplicates(args.least)
    text = io.StringIO()
    rows = [(*pair[:2], f'{pair[2]:.4f}') for pair in pairs]
    csv.writer(text, lineterminator='\n').writerows([('one', 'other', 'alike'), *rows])
    file = args.out.with_name(f'{args.out.stem}_duplicates.csv')
    write_file(file, text.getvalue())
    say(
        f'{number_of(len(pairs), "pair", "pairs")} of near-duplicates '
        f'(similarity of {args.least} or more): {file}'
    )
    for one, other, alike in pairs[:_SHOWN]:
        say(f'  {alike:5.2f}  {one}  {other}')
