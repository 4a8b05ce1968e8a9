"""What each command may import: a second of importing is waited for at every start."""

import json
import shutil
import subprocess
import sys

import pytest
import torch

from ccmim.api.catalogue import home
from ccmim.vit import VisionTransformer
from tests.logged import curve, write_session

FILES = {'PIL', 'numpy', 'tqdm', 'pydantic', 'pydantic_core', 'annotated_types'}
FILES |= {'typing_extensions', 'typing_inspection', 'yaml', 'pycocotools'}
CONFIG = {'mmengine', 'addict', 'yapf', 'rich', 'pygments', 'termcolor', 'packaging'}
REPORT = {'jinja2', 'markupsafe'}
# Imported as a whole, by few: not to read a config, to pretrain or to embed.
OTHERS = {'mmcv', 'mmdet', 'mmseg', 'matplotlib', 'sklearn', 'scipy', 'plotly', 'onnx'}
OTHERS |= {'transformers', 'peft', 'accelerate'}
CONFIGS = ('mae_vitt', 'mask_rcnn_vitt_penn_fudan', 'upernet_vitt_camvid')

# Commands run one after the other, a line of what each has added.
SCRIPT = r"""
import json, runpy, sys
from pathlib import Path

seen = {*sys.modules}
for words in json.loads(sys.argv[1]):
    if words[0].endswith('.py'):
        runpy.run_path(words[0], run_name='imported')
    else:
        from ccmim.apps.cli import main

        try:
            main(words)
        except SystemExit:
            pass
    new = {*sys.modules} - seen
    seen |= new
    roots = {name.partition('.')[0] for name in new} - sys.stdlib_module_names
    specs = {name: getattr(sys.modules.get(name), '__spec__', None) for name in roots}
    with Path('imported.jsonl').open('a') as file:
        found = [name for name, spec in specs.items() if spec and name[0] != '_']
        file.write(json.dumps(found) + '\n')
"""


def _imported(cwd, *commands):
    command = [sys.executable, '-c', SCRIPT, json.dumps(commands)]
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    lines = (cwd / 'imported.jsonl').read_text().splitlines()
    return [{*json.loads(line)} - {'ccmim'} for line in lines]


def test_what_looks_at_files_imports_no_torch(image_folder, tmp_path):
    for name in ('cat', 'dog'):
        shutil.copytree(image_folder / 'part0', tmp_path / 'classes' / name)
    write_session(tmp_path / 'run', curve([1.0]))
    configs = [home() / 'mm_configs' / 'small' / f'{name}.py' for name in CONFIGS]
    rows = [
        (['--help'], set()),
        (['check', 'photos'], FILES),
        (['check', 'classes'], FILES),
        (['report', 'run'], FILES | REPORT),
        *((['check', str(config)], FILES | REPORT | CONFIG) for config in configs),
    ]
    found = _imported(tmp_path, *(words for words, _ in rows))
    allowed = set()
    for (words, more), new in zip(rows, found, strict=True):
        allowed |= more
        assert new - allowed == set(), words
    assert 'mmengine' in set.union(*found)


@pytest.mark.slow
def test_what_needs_a_network_imports_no_more_than_that(tmp_path, coco_folder):
    pytest.importorskip('mmdet')
    arch = dict(embed_dim=64, depth=4, num_heads=2)
    torch.save(VisionTransformer(arch, 64, 16).state_dict(), tmp_path / 'w.pth')
    told = ['--backbone', 'w.pth', '--num-heads', '2']
    rows = [
        ['leaf', str(coco_folder), *told],
        *([str(home() / 'tools' / f'{name}.py')] for name in ('train', 'knn')),
    ]
    for words, new in zip(rows, _imported(tmp_path, *rows), strict=True):
        assert new & OTHERS == set(), words
