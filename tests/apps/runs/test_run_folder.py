"""A run is read from what it has left, however it ended."""

from datetime import datetime

import numpy as np
import pytest

from ccmim.apps.runs.folder import find_runs, read_run
from ccmim.apps.runs.scalars import merge
from tests.logged import SESSION, write_session

LOG = """2026/01/02 03:04:05 - mmengine - INFO -
------------------------------------------------------------
System environment:
    Python: 3.11.7 (main) [GCC]
    PyTorch: 2.11.0
    PyTorch compiling details: PyTorch built with:
  - GCC 13.3
------------------------------------------------------------
2026/01/02 03:04:06 - mmengine - INFO - Config:
    secret: 1
2026/01/02 03:04:35 - mmengine - INFO - Epoch(train) [1][4/4]
"""


def line(step, **values):
    return dict(values, iter=step, step=step)


def write_run(folder, lines, name=SESSION, **options):
    write_session(folder, lines, name=name, **options)
    (folder / name / f'{name}.log').write_text(LOG)


def test_resumed_run_is_one_history():
    """Steps done again count once, with the later values; so does a new beginning."""
    first = [line(10, loss=5.0), line(20, loss=4.0), line(30, loss=3.0)]
    resumed = [line(20, loss=3.5), line(40, loss=2.0)]
    curve = merge([first, [], resumed]).training['loss']
    assert curve.steps.tolist() == [10, 20, 40]
    assert curve.values.tolist() == [5.0, 3.5, 2.0]
    anew = merge([first, [line(5, loss=9.0)]]).training['loss']
    assert anew.steps.tolist() == [5]


def test_validation_stands_where_it_took_place():
    """Its line counts epochs or steps; a test alone is no curve."""
    by_epoch = [
        line(24, epoch=1, loss=1.0, time=0.5),
        dict(mIoU=30.0, time=0.1, step=1),
        line(48, epoch=2, loss=0.5, time=0.5),
        dict(mIoU=40.0, time=0.1, step=2),
    ]
    history = merge([by_epoch, [dict(mIoU=41.0, time=0.2, step=0)]])
    assert history.epoch_length == 24
    assert history.scores['mIoU'].steps.tolist() == [24, 48]
    assert history.training['time'].values.tolist() == [0.5, 0.5]
    assert 'time' not in history.scores
    assert history.tests == {'mIoU': 41.0}
    by_step = [line(50, loss=1.0), dict(mIoU=30.0, step=60)]
    assert merge([by_step]).scores['mIoU'].steps.tolist() == [60]


def test_half_written_run_is_read(tmp_path):
    """Broken lines, strange values and missing files cost nothing else."""
    write_run(
        tmp_path,
        [line(1, loss=float('nan'), name='x', flag=True), line(2, loss=2.0)],
        config="train_cfg = dict(max_iters=8)\nmodel = dict(type='MAE')\nx = f('y')\n",
        end='[1]\n{"loss": 1.5, "st',
    )
    (tmp_path / '20260102_040000').mkdir()
    (tmp_path / 'metrics.json').write_text('{"AP": 0.25, ')
    (tmp_path / 'bad_files.txt').write_text('a.jpg\ttruncated\n')
    run = read_run(tmp_path, 'run')
    assert set(run.history.training) == {'loss'}
    np.testing.assert_array_equal(run.history.training['loss'].values, [np.nan, 2.0])
    assert (run.last_step, run.planned_steps, run.is_finished) == (2, 8, False)
    assert run.config['model'] == {'type': 'MAE'}
    assert run.config['x'] == "f('y')"  # read, not run
    assert run.environment == {'Python': '3.11.7 (main) [GCC]', 'PyTorch': '2.11.0'}
    assert (run.begin, run.seconds) == (datetime(2026, 1, 2, 3, 4, 5), 30.0)
    assert run.bad_files == ['a.jpg\ttruncated']
    (tmp_path / 'iter_8.pth').touch()
    assert read_run(tmp_path, 'run').is_finished


def test_runs_are_found_below_and_named_apart(tmp_path):
    """What all names share is left out; a folder without a run is named."""
    for arm in ('mae', 'ccmim'):
        write_run(tmp_path / f'{arm}_seed0' / 'pretraining', [line(1, loss=1.0)])
    assert [run.name for run in find_runs([tmp_path])] == ['ccmim_seed0', 'mae_seed0']
    (tmp_path / 'empty').mkdir()
    with pytest.raises(ValueError, match='empty holds no run'):
        find_runs([tmp_path / 'empty'])
    with pytest.raises(ValueError, match='nothing is no folder'):
        find_runs([tmp_path / 'nothing'])


def test_pictures_of_one_kind_are_a_strip(tmp_path):
    """Frames come in the order of training, not of their names."""
    write_run(tmp_path, [])
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for name in ('masks_epoch_10.png', 'masks_epoch_9.png', 'scene_000007.jpg'):
        (folder / name).touch()
    strips = read_run(tmp_path, 'run').pictures
    assert [(s.title, [when for when, _ in s.frames]) for s in strips] == [
        ('masks', ['epoch 9', 'epoch 10']),
        ('scene 000007', ['']),
    ]
