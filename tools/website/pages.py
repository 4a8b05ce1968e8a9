"""Generate pages of the site when mkdocs builds it.

mkdocs calls ``on_files`` and ``on_page_markdown``; see ``mkdocs.yml``.
"""

import ast
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
# Files of the checkout that are pages of the site as well.
PAGES = {
    'README.md': 'index.md',
    'CHANGELOG.md': 'changelog.md',
    'CONTRIBUTING.md': 'contributing.md',
}
# Packages whose modules are documented, in the order of the navigation.
PACKAGES = {
    'api': 'Python interface',
    'methods': 'Pretraining methods',
    'masking': 'Masking: scorers, samplers, schedules',
    'vit': 'The Vision Transformer',
    'heads': 'Decoders, projections and predictors',
    'losses': 'Losses and anchors',
    'teachers': 'Teachers and momentum encoders',
    'data': 'Unlabeled images',
    'labels': 'Labeled data',
    'classification': 'Classification',
    'dense': 'Detection and segmentation',
    'text': 'Captions and text encoder',
    'evaluation': 'Evaluation',
    'checkpoints': 'Reading and writing weights',
    'engine': 'Training runs',
}
# Names of configs are not broken at any letter, as code in a narrow column is.
STYLE = '.md-typeset td:first-child code { white-space: nowrap; }\n'
_LINK = re.compile(r'(?<=\]\()(?!\w+:)([^)#\s]+)')


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    texts = {new: (ROOT / old).read_text('utf-8') for old, new in PAGES.items()}
    texts['configs.md'] = configs_page()
    texts |= {f'api/{package}.md': api_page(package) for package in PACKAGES}
    texts['api/ranges.md'] = (
        '# Ranges\n\nValid values of arguments, as used in annotations.\n\n'
        '::: ccmim.ranges\n    options: {show_if_no_docstring: true}\n'
    )
    texts['style.css'] = STYLE
    for name, text in texts.items():
        files.append(File.generated(config, name, content=text))
    return files


def on_page_markdown(text: str, page: Any, **_: Any) -> str:
    """Rewrite links to pages of the site."""
    at_home = page.file.src_uri in PAGES.values()

    def moved(match: re.Match) -> str:
        path = match[1].removeprefix('../')
        if at_home or path != match[1] or path == 'README.md':
            path = PAGES.get(path, path.removeprefix('docs/'))
        return 'index.md' if path == 'README.md' else path

    return _LINK.sub(moved, text)


def api_page(package: str) -> str:
    """Write the page of a package: its modules, rendered by mkdocstrings."""
    folder = ROOT / 'ccmim' / package
    lines = [f'# ccmim.{package}', '', f'{PACKAGES[package]}.', '']
    for file in sorted(folder.rglob('*.py')):
        if file.name[0] == '_':
            continue
        module = '.'.join(file.relative_to(ROOT).with_suffix('').parts)
        lines += [f'::: {module}', '']
    return '\n'.join(lines)


def configs_page() -> str:
    """List every config: its description, source and published results."""
    lines = [
        '# Configs',
        '',
        'All configs of `mm_configs`, by folder. `ccmim.get_model(NAME)` builds the '
        'model, `tools/train.py` trains it. Results are those published by the source.',
        '',
    ]
    recipes = read_recipes(ROOT / 'mm_configs' / 'recipes.yml')
    for folder in sorted((ROOT / 'mm_configs').glob('[!_]*/')):
        known = any(name.startswith(f'{folder.name}/') for name in recipes)
        head = ['config', 'description', *['source', 'published'] * known]
        lines += [f'## {folder.name}', '', row(head), row(['---'] * len(head))]
        for file in sorted(folder.glob('*.py')):
            text = ast.get_docstring(ast.parse(file.read_text('utf-8'))) or ''
            what = ' '.join(text.split('\n\n')[0].split())
            more = recipes.get(f'{folder.name}/{file.stem}', ('', ''))
            lines.append(row([f'`{file.stem}`', what, *more * known]))
        lines.append('')
    return '\n'.join(lines)


def row(cells: list[str]) -> str:
    """Write a row of a table."""
    return f'| {" | ".join(cell.replace("|", "/") for cell in cells)} |'


def read_recipes(file: Path) -> dict[str, tuple[str, str]]:
    """Read the source of each config's recipe, as a link, and its published results."""
    if not file.is_file():
        return {}
    content = yaml.safe_load(file.read_text('utf-8'))
    sources, rows = content['sources'], {}
    for name, recipe in content['recipes'].items():
        source = recipe
        while 'source' not in source:
            source = content['recipes'][source['like']]
        title = source['source']
        url = sources[title]['url'].replace('../CONTRIBUTING.md', 'contributing.md')
        figures = [
            f'{one["value"]} {one.get("of", "")}'.strip()
            for one in recipe.get('figures', ())
        ]
        rows[name] = (f'[{title}]({url})', '; '.join(figures))
    return rows
