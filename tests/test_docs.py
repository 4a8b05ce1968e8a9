"""The README and docs/ are true: links, commands, options, code and messages."""

import argparse
import ast
import functools
import importlib.util
import itertools
import re
import shlex
import sys
from pathlib import Path

import pytest
from mmengine.config import Config

from ccmim.engine import settings

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted((ROOT / 'docs').glob('*.md'))
SHOWN = [ROOT / 'README.md', *PAGES]
BLOCK = re.compile(r'(<!-- not run: .+? -->\n)?```(\w*)\n(.*?)```', re.DOTALL)
NAMED = re.compile(
    r'\b(?:tools|mm_configs|tests|ccmim|docs)/[\w./-]+\.(?:py|sh|png|txt|md)\b'
)
# What the wrappers in shell call, and how many words come before its own options.
WRAPPED = {
    'dist_train.sh': ('tools/train.py', (0,), 2),
    'dist_test.sh': ('tools/test.py', (0, 1), 3),
    'slurm_train.sh': ('tools/train.py', (2,), 3),
    'slurm_test.sh': ('tools/test.py', (2, 3), 4),
    'quickstart.sh': ('tools/quickstart.py', (), 0),
}
TROUBLES = 'docs/troubleshooting.md'
SYSTEM = {'pip', 'tensorboard'}
NAMES = [str(page.relative_to(ROOT)) for page in SHOWN]
by_name = pytest.mark.parametrize('page', SHOWN, ids=NAMES)


def _blocks(page, *languages):
    """Code blocks of a page that are to be run."""
    found = BLOCK.findall(page.read_text())
    return [code for skip, kind, code in found if kind in languages and not skip]


def _prose(page):
    return BLOCK.sub('', page.read_text())


def _anchors(page):
    titles = re.findall(r'^#+ (.+)$', _prose(page), re.MULTILINE)
    plain = (re.sub(r'[^\w\- ]', '', title.lower()) for title in titles)
    return {title.replace(' ', '-') for title in plain}


@by_name
def test_links_and_names_lead_somewhere(page):
    targets = re.findall(r'\]\(([^)\s]+)\)', _prose(page))
    for target in targets:
        if target.startswith('https://'):
            continue
        path, _, anchor = target.partition('#')
        other = (page.parent / path).resolve() if path else page
        assert other.exists(), target
        assert not anchor or anchor in _anchors(other), target
    missing = [n for n in NAMED.findall(page.read_text()) if not (ROOT / n).exists()]
    assert missing == []


def test_the_index_leads_to_all_pages_and_some_page_to_each_tool():
    index = (ROOT / 'docs/README.md').read_text()
    assert [p.name for p in PAGES if f']({p.name})' not in index] == ['README.md']
    text = ''.join(page.read_text() for page in PAGES)
    tools = {p.name for p in (ROOT / 'tools').glob('*.*') if p.suffix in ('.py', '.sh')}
    inner = {'common.sh', 'torchrun.py', 'quickstart.py'}  # run by others
    assert {t for t in tools if f'tools/{t}' not in text} == inner


def _text(node):
    """The fixed words of a text in a syntax tree, which may be put together."""
    if isinstance(node, ast.JoinedStr):
        return ''.join(map(_text, node.values))
    if isinstance(node, ast.BinOp):
        return _text(node.left) + _text(node.right)
    return node.value if isinstance(getattr(node, 'value', 0), str) else '\0'


def test_messages_are_those_of_the_code():
    """Three plain words or more in a row; of two texts in one, the longer has three."""
    files = [f for folder in ('ccmim', 'tools') for f in (ROOT / folder).rglob('*.*')]
    nodes = (ast.walk(ast.parse(f.read_text())) for f in files if f.suffix == '.py')
    texts = [_text(node) for node in itertools.chain(*nodes)]
    texts += [f.read_text().replace('\\\n', '') for f in files if f.suffix == '.sh']
    known = ' '.join(re.sub(r"' +'", '', ' '.join(texts)).split())
    rows = re.findall(r'^\| (`.*?) \| ', (ROOT / TROUBLES).read_text(), re.MULTILINE)
    messages = re.findall(r'`([^`]+)`', ' '.join(rows))
    word = r'[a-z][\w-]*,?'
    found = re.findall(
        rf'(?:^| )({word}(?: {word}){{2,}})(?=$|[ :;])', '\n'.join(messages), re.M
    )
    for run in found:
        words = run.split()
        cuts = [i for i in range(len(words)) if max(i, len(words) - i) > 2]
        parts = [(' '.join(words[:i]), ' '.join(words[i:])) for i in cuts]
        assert any(a in known and b in known for a, b in parts), run
    assert len(found) > 400


@by_name
def test_python_blocks_run(page, image_folder, tmp_path, monkeypatch):
    """In one namespace a page, in a folder with ``photos``; text configs are read."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'mm_configs').symlink_to(ROOT / 'mm_configs')
    namespace = {'__name__': 'page'}
    for code in _blocks(page, 'python'):
        if '_base_ =' in code:
            name = code.split('\n', 1)[0].removeprefix('# ')
            (tmp_path / name).write_text(code)
            _check(_read(tmp_path / name))
        else:
            exec(compile(code, page.name, 'exec'), namespace)


@by_name
def test_commands_exist_and_know_their_options(page):
    for block in _blocks(page, 'bash'):
        for line in block.replace('\\\n', ' ').splitlines():
            words = shlex.split(line, comments=True)
            if '>' in words:
                del words[words.index('>') :]
            while words and re.match(r'[A-Z_]+=', words[0]):
                words.pop(0)
            assert not words or _run(words) or words[0] in SYSTEM, line


def _run(words):
    """Parse a command line as its tool does; whether it is one of ours."""
    if words[:2] == ['python', '-m']:
        words = words[2:]
    elif words[0] in ('python', 'bash'):
        words = words[1:]
    path, given = Path(words[0]), words[1:]
    if path.name in WRAPPED:
        tool, kept, skipped = WRAPPED[path.name]
        given = [given[i] for i in kept] + given[skipped:]
    elif path.suffix == '.sh' and path.parts[0] == 'tools':
        source = (ROOT / path).read_text()
        assert all(word in source for word in given), words
        return True
    elif words[0] == 'ccmim':
        tool = 'ccmim'
    elif path.suffix == '.py' and path.parts[0] == 'tools':
        tool = str(path)
    else:
        return False
    parsed = _parser(tool).parse_args(given)
    if tool == 'ccmim':
        assert importlib.util.find_spec(f'ccmim.apps.cli.{parsed.command}'), words
    config = getattr(parsed, 'config', None)
    options = getattr(parsed, 'cfg_options', None)
    if isinstance(options, dict) and isinstance(config, str):
        _check_options(config, options)
    return True


class _Captured(Exception):
    pass


@functools.cache
def _parser(tool):
    """The parser of a tool, caught when it is about to read its command line."""

    def capture(parser, *_, **__):
        raise _Captured(parser)

    before = argparse.ArgumentParser.parse_args
    argparse.ArgumentParser.parse_args = capture
    try:
        if tool == 'ccmim':
            from ccmim.apps.cli import main
        else:
            name = f'docs_{Path(tool).stem}'
            spec = importlib.util.spec_from_file_location(name, ROOT / tool)
            module = importlib.util.module_from_spec(spec)
            sys.modules[spec.name] = module  # dataclasses look there
            spec.loader.exec_module(module)
            main = module.main
        main()
    except _Captured as caught:
        return caught.args[0]
    finally:
        argparse.ArgumentParser.parse_args = before
    raise AssertionError(f'{tool} reads no command line')


def _check_options(config, options):
    if not config.startswith('mm_configs/'):
        return  # one that the page writes
    cfg = _read(ROOT / config)
    if cfg.default_scope == 'ccmim':
        settings.check_options(cfg, options)
        cfg.merge_from_dict(dict(options))
        _check(cfg)
        return
    for key in options:  # without loading mmdet or mmseg
        node = cfg._cfg_dict
        for part in key.split('.'):
            node = node[int(part)] if isinstance(node, list) else node[part]


def _read(path):
    return Config.fromfile(path, import_custom_modules=False)  # not mmdet: it is slow


def _check(cfg):
    if cfg.default_scope == 'ccmim':
        settings.check_arguments(cfg)
    settings.check_updates(cfg)
    settings.fit_sizes(cfg)
