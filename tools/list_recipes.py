"""List the recipe of each full-size config, its results, and its differences.

    python tools/list_recipes.py            # prints docs/recipes.md
    python tools/list_recipes.py --write    # writes it

Everything is in mm_configs/recipes.yml, which the tests compare with the built configs.
"""

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
TABLE = ROOT / 'mm_configs/recipes.yml'
PAGE = ROOT / 'docs/recipes.md'
FOLDERS = ('pretrain', 'classification', 'detection', 'segmentation', 'panoptic')
VALUES = ('train', 'data', 'hooks', 'model')
HEAD = """# Recipes

The published recipe that each full-size config follows, its published results, and
every point in which we depart from it. Generated from `mm_configs/recipes.yml` by
`python tools/list_recipes.py --write`; tests compare its values with the built model,
the optimizer's parameter groups, the learning rate curve and the pipelines. Results are
those of the sources, with their weights; we have not run any recipe at full length.
"""


def read_table(path: Path = TABLE) -> dict[str, Any]:
    """Read the table: ``sources``, ``everywhere`` and ``recipes`` by config.

    An entry that is ``like`` another one has its values but for what it says itself
    (a part of another ``type`` is replaced as a whole), its source, and its departures
    besides its own, but not its figures.
    """
    table = yaml.safe_load(path.read_text('utf-8'))
    entries = table['recipes']

    def resolve(name: str) -> dict[str, Any]:
        entry = {'figures': [], 'departs': [], **entries[name]}
        if 'like' not in entry:
            return entry
        base = resolve(entry['like'])
        for key in VALUES:
            own = entry.get(key)
            entry[key] = _merge(base.get(key), own) if own else base.get(key)
        entry['inherited'] = base.get('inherited', []) + base['departs']
        return {'source': base['source'], **entry}

    table['recipes'] = {name: resolve(name) for name in entries}
    return table


def figure(entry: Mapping[str, Any]) -> str:
    """Write a figure as docstrings have it: ``83.8 top-1 fine-tuned``."""
    return f'{entry["value"]} {entry["of"]}'


def page(table: Mapping[str, Any]) -> str:
    """Write the table as Markdown."""
    lines = [HEAD, '## Sources', '', '| source | commit |', '|---|---|']
    lines += [
        f'| {_link(name, table["sources"])} | {source.get("commit", "")} |'
        for name, source in table['sources'].items()
    ]
    lines += ['', '## Common to all', '']
    lines += [f'- {part["what"]}: {part["why"]}.' for part in table['everywhere']]
    for folder in FOLDERS:
        lines += ['', f'## {folder.capitalize()}', '']
        for name, entry in table['recipes'].items():
            if name.startswith(folder):
                lines += _describe(name, entry, table['sources'])
    return '\n'.join(lines).rstrip() + '\n'


def _describe(
    name: str, entry: Mapping[str, Any], sources: Mapping[str, Any]
) -> Iterator[str]:
    leaf = name.split('/')[1]
    if 'like' in entry:
        of = entry['like'].split('/')[1]
        yield f'- `{leaf}`: as `{of}`, but {entry["but"]}.'
    else:
        where = _link(entry['source'], sources)
        file = f', `{entry["file"]}`' if entry.get('file') else ''
        yield f'- `{leaf}`: {entry["title"]} ({where}{file}).'
    for part in entry['figures']:
        note = f': {part["note"]}' if 'note' in part else ''
        source = part.get('source', entry['source'])
        yield f'    - Published: {figure(part)} ({source}, {part["file"]}{note}).'
    if 'cost' in entry:
        yield f'    - Published cost: {entry["cost"]}.'
    for part in entry['departs']:
        yield f'    - Departs: {part["what"]} ({part["why"]}).'


def _link(name: str, sources: Mapping[str, Any]) -> str:
    return f'[{name}]({sources[name]["url"]})'


def _merge(base: Any, own: Any) -> Any:
    if not (isinstance(base, Mapping) and isinstance(own, Mapping)):
        return own
    if own.get('type', base.get('type')) != base.get('type'):
        return own
    return {**base, **{k: _merge(base.get(k), v) for k, v in own.items()}}


def main() -> None:
    """Print the page, or write it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--write', action='store_true', help=f'write {PAGE.name}')
    text = page(read_table())
    if parser.parse_args().write:
        PAGE.write_text(text, 'utf-8')
    else:
        print(text, end='')


if __name__ == '__main__':
    main()
