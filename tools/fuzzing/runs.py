"""Configs, and what a run leaves in its folder."""

import json
import random
from functools import cache
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ccmim.apps.report.page_comparison import write_runs_page
from ccmim.checkpoints.config_text import read_values
from ccmim.engine.hooks.default import add_guarantees, drop_switched_off
from ccmim.engine.settings import check_arguments, check_options, fit_sizes
from ccmim.engine.settings.errors import mistake
from fuzzing.changes import ODD, changed_bytes, harmed

BASE = Path(__file__).resolve().parents[2] / 'mm_configs/small/ccmim_vitt.py'
_SESSION = '20260131_120000'


def try_config(draw: random.Random, folder: Path) -> str | None:
    """Check a config with odd values or options, or read its damaged text."""
    del folder
    try:
        match draw.randrange(3):
            case 0:
                read_values(changed_bytes(draw, _text().encode()).decode('latin-1'))
            case 1:
                cfg = Config(harmed(draw, _plain()))
                add_guarantees(cfg)
                fit_sizes(cfg)
                drop_switched_off(cfg)
                check_arguments(cfg)
            case 2:
                key = draw.choice(_keys(_plain()))
                if draw.random() < 0.3:
                    key = changed_bytes(draw, key.encode()).decode('latin-1')
                check_options(Config(_plain()), {key: draw.choice(ODD)})
    except ValueError as error:
        return mistake(error)  # as the command shows it
    return None


def try_run(draw: random.Random, folder: Path) -> str | None:
    """Write the report of a run, one of whose files is damaged."""
    session = folder / _SESSION
    (session / 'vis_data').mkdir(parents=True)
    lines = [
        dict(
            lr=1e-3, loss=1.0 / i, loss_contrast=0.1, epoch=1, iter=i, step=i, time=0.1
        )
        for i in range(1, 9)
    ]
    lines += [{'coco/bbox_mAP': 0.3, 'step': 8}, {'knn': 80.0, 'step': 8}]
    damaged = draw.choice(['scalars', 'scalars', 'log', 'config', 'result', 'bad'])
    text = '\n'.join(
        json.dumps(harmed(draw, line) if damaged == 'scalars' else line)
        for line in lines
    )
    files = {
        'scalars': (session / 'vis_data/scalars.json', text),
        'config': (session / 'vis_data/config.py', _text()),
        'log': (session / f'{_SESSION}.log', _LOG),
        'result': (folder / 'metrics.json', '{"coco/segm_mAP": 0.25, "time": 1}'),
        'bad': (folder / 'bad_files.txt', 'a.jpg\tempty\n'),
    }
    for name, (file, text) in files.items():
        content = text.encode()
        if name == damaged and (name != 'scalars' or draw.random() < 0.2):
            content = changed_bytes(draw, content)
        file.write_bytes(content)
    try:
        write_runs_page([folder])
    except ValueError as error:
        return str(error)
    page = (folder / 'report.html').read_text(encoding='utf-8')
    assert page.rstrip().endswith('</html>')
    return None


_LOG = """2026/01/31 12:00:00 - mmengine - INFO -
------------------------------------------------------------
System environment:
    sys.platform: linux
    Python: 3.11.2
    PyTorch: 2.11.0
------------------------------------------------------------
2026/01/31 12:00:09 - mmengine - INFO - Epoch(train) [1][8/8] loss: 0.1
"""


@cache
def _text() -> str:
    return Config.fromfile(BASE, import_custom_modules=False).pretty_text


def _plain() -> dict[str, Any]:
    return Config.fromfile(BASE, import_custom_modules=False).to_dict()


def _keys(node: Any, start: str = '') -> list[str]:
    items = node.items() if isinstance(node, dict) else enumerate(node)
    keys = []
    for key, value in items:
        keys.append(f'{start}{key}')
        if isinstance(value, dict | list):
            keys += _keys(value, f'{start}{key}.')
    return keys
