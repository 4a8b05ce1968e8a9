"""The house: which room may import which, and where the other libraries come in."""

import ast
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Every room may import the rooms above it and none below.
ROOMS = (
    *('renamed', 'lazy', 'ranges', 'files', 'progress', 'precision'),
    *('operators', 'registry', 'vit', 'checkpoints', 'masking', 'teachers', 'losses'),
    *('heads', 'methods', 'data', 'classification', 'labels', 'text', 'evaluation'),
    *('pictures', 'dense', 'transfer', 'export', 'engine', 'api', 'apps'),
)
# The apps, likewise among themselves.
APPS = ('demo', 'runs', 'compare', 'report', 'cli')


def _imports(file: Path) -> set[str]:
    modules = set()
    for node in ast.walk(ast.parse(file.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            modules |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f'{file} imports by a relative path'
            modules.add(node.module)
            modules |= {f'{node.module}.{name.name}' for name in node.names}
    return modules


def _wrong(folder: Path, prefix: str, order: tuple[str, ...]) -> list[str]:
    wrong = []
    for file in sorted(folder.rglob('*.py')):
        room = file.relative_to(folder).with_suffix('').parts[0]
        if room.startswith('__'):
            continue
        assert room in order, f'{file}: name its room in this test'
        below = order[order.index(room) + 1 :]
        names = {name for name in _imports(file) if name.startswith(prefix)}
        rooms = {name.removeprefix(prefix).partition('.')[0] for name in names}
        wrong += [f'{room}/{file.name} imports {other}' for other in rooms & {*below}]
    return wrong


def test_rooms_and_apps_import_upwards_only():
    assert _wrong(ROOT / 'ccmim', 'ccmim.', ROOMS) == []
    assert _wrong(ROOT / 'ccmim' / 'apps', 'ccmim.apps.', APPS) == []


def test_benchmarks_and_studies_are_no_part_of_the_package():
    for file in sorted((ROOT / 'ccmim').rglob('*.py')):
        roots = {name.partition('.')[0] for name in _imports(file)}
        assert not roots & {'benchmarks', 'studies', 'tools', 'tests'}, file


def test_modules_that_recorded_configs_import_keep_their_old_names():
    import ccmim.dense.detection as new
    import ccmim.transfer.detection as old
    import ccmim.transfer.linear_seg_head

    assert old.ccmim.dense.detection is new
    assert ccmim.transfer.linear_seg_head.ccmim.dense.linear_seg_head.LinearSegHead
