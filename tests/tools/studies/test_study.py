"""The study runs every arm for as long as its budget says, and goes on with it."""

import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ccmim.apps.compare import Point, Score, read_csv
from ccmim.apps.compare.curves import load_points, read_points
from studies.budgets import BUDGETS
from studies.mask_pictures import join_pictures
from studies.page import fill, tables
from studies.results import record, recorded
from studies.study import cost, equal_epochs, schedule, study
from tests.logged import write_session
from tests.processes import start

ROOT = Path(__file__).parents[3]
SMALL = ROOT / 'mm_configs/small'


@pytest.fixture
def plan(tmp_path):
    def plan(*arms, budget='cpu', seeds=(0, 1), **changes):
        return study(ROOT, BUDGETS[budget], arms, seeds, tmp_path / 'out', **changes)

    return plan


def words(stage):
    return [str(word) for word in stage.command]


def test_the_schedule_follows_the_epochs():
    changes = dict(c.split('=') for c in schedule(SMALL / 'mae_vitt_cifar10.py', 200))
    assert changes == {
        'train_cfg.max_epochs': '200',
        'param_scheduler.0.end': '40',
        'param_scheduler.1.begin': '40',
    }
    assert schedule(SMALL / 'mae_vitt.py', 40) == (), 'it is that long by itself'


def test_on_photos_the_leaves_run_as_they_stand_and_are_judged_by_dense_tasks(plan):
    [chain] = plan('ccmim_random_mask', budget='cpu_photos', seeds=[1]).chains()
    pretraining, *transfers = chain
    assert words(pretraining)[-2:] == ['--cfg-options', 'randomness.seed=1']
    assert pretraining.result.name == 'epoch_40.pth'
    names = [stage.name.partition(', seed 1: ')[2] for stage in chain]
    dense = ['penn_fudan', 'penn_fudan: test', 'camvid', 'camvid: test']
    assert names == ['pretraining', 'cifar10', *dense]
    knn, detection = transfers[:2]
    assert pretraining.result in knn.command
    start = f'model.backbone.init_cfg.checkpoint={pretraining.result}'
    assert start in words(detection)


@pytest.mark.slow
def test_equal_compute_is_equal_where_whole_epochs_allow_it():
    mae, ccmim = (SMALL / f'{name}_vitt_cifar10.py' for name in ('mae', 'ccmim'))
    ratio = cost(ccmim) / cost(mae)
    assert 2 < ratio < 3
    epochs = equal_epochs(ROOT, ccmim, BUDGETS['full'])
    assert abs(epochs * ratio - 200) < ratio
    assert equal_epochs(ROOT, mae, BUDGETS['full']) == 0


def test_no_arm_is_called_equal_that_is_not(monkeypatch):
    costs = {SMALL / 'mae_vitt_cifar10.py': 1.0, SMALL / 'ccmim_vitt_cifar10.py': 4.0}
    monkeypatch.setattr('studies.study.cost', costs.get)
    ccmim = SMALL / 'ccmim_vitt_cifar10.py'
    assert equal_epochs(ROOT, ccmim, BUDGETS['full']) == 50
    assert equal_epochs(ROOT, ccmim, BUDGETS['cpu']) == 0, 'of 5 epochs'


def test_a_seed_is_done_before_the_next_and_a_student_follows_its_teacher(plan):
    chains = plan('random', 'mae', 'maskdistill', 'ccmim').chains()
    names = [[stage.name for stage in chain] for chain in chains]
    mae, distilled, ccmim = (
        [f'{arm}, seed {{}}: {task}' for task in ('pretraining', 'cifar10')]
        for arm in ('mae', 'maskdistill', 'ccmim')
    )
    of_seed = [['random, seed {}: cifar10'], mae + distilled, ccmim]
    assert names == [[n.format(s) for n in chain] for s in (0, 1) for chain in of_seed]
    mae, _, student, probe = chains[1]
    assert f'model.teacher.checkpoint={mae.result}' in words(student)
    assert str(student.result) in words(probe)
    assert mae.result.name == 'epoch_5.pth'
    with pytest.raises(ValueError, match='maskdistill learns from mae: compare that'):
        plan('maskdistill')


def test_what_is_recorded_is_left_out_but_for_what_others_need(plan):
    skip = recorded(
        [Score('mae', 'cifar10', 0, 'k-NN', 30), Score('ccmim', 'no', 0, 'k-NN', 30)],
        ['cifar10'],
    )
    assert skip == {('mae', 0)}
    chains = plan('mae', 'maskdistill', 'ccmim', seeds=[0]).chains(skip)
    names = [stage.name.partition(', seed 0: ') for stage in sum(chains, [])]
    assert [n[0] for n in names] == ['mae', *['maskdistill'] * 2, *['ccmim'] * 2]
    assert names[0][2] == 'pretraining'
    assert plan('mae', 'ccmim', seeds=[0]).chains({('mae', 0), ('ccmim', 0)}) == []


def test_a_run_is_recorded_when_it_has_all_its_tasks():
    tasks = ['cifar10', 'toy']
    scores = [Score('mae', t, 0, m, 1.0) for t in tasks for m in ('k-NN', 'linear')]
    scores += [Score('mae', 'toy', 1, 'k-NN', 1.0), Score('mae', 'toy', 1, 'mIoU', 1.0)]
    assert recorded(scores, tasks) == {('mae', 0)}
    assert recorded(scores, ['toy']) == {('mae', 0), ('mae', 1)}


def test_unknown_arms_are_named(plan):
    with pytest.raises(ValueError, match='ccmim_mask50 is no arm of this budget, whi'):
        plan('ccmim_mask50', budget='full_photos')


def test_curves_are_read_from_interrupted_runs(tmp_path):
    for session, steps in ('20260101_000000', (1, 2, 3)), ('20260101_000100', (3, 4)):
        lines = []
        for step in steps:
            epoch = (step + 1) // 2
            values = dict(lr=0.1, mask_importance_gap=step, iter=step, epoch=epoch)
            lines.append(dict(values, step=step))
            if step % 2 == 0:
                lines.append({'probe/knn_accuracy': 10 * epoch, 'step': step})
        write_session(tmp_path, lines, name=session)
    assert read_points('mae', 3, tmp_path)[:-1] == [
        ('mae', 3, 'k-NN during training', 1, 10.0),
        ('mae', 3, 'k-NN during training', 2, 20.0),
        ('mae', 3, 'importance gap', 1, 1.5),
        ('mae', 3, 'importance gap', 2, 3.5),
    ]
    assert read_points('mae', 3, tmp_path / 'nowhere') == []


def test_results_of_other_machines_are_kept_and_those_of_a_run_replaced(
    plan, tmp_path, monkeypatch
):
    costs = lambda config: 2e9 if config.stem.startswith('mae') else 5e9  # noqa: E731
    for module in 'study', 'page':
        monkeypatch.setattr(f'studies.{module}.cost', costs)
    comparison = plan('random', 'mae', seeds=[0])
    results = tmp_path / 'results'
    results.mkdir()
    rows = 'ccmim,cifar10,0,k-NN,31\nmae,cifar10,0,k-NN,3\n'
    (results / 'scores.csv').write_text(f'arm,task,seed,metric,value\n{rows}')
    curves = results / 'curves.csv'
    curves.write_text('arm,seed,measure,epoch,value\nccmim,0,minutes,5,7\n')
    file = comparison.chains()[1][1].result
    file.parent.mkdir(parents=True)
    file.write_text('{"checkpoint": {"k=20": 33.0}}')
    scores, points = record(comparison, results)
    assert [(s.arm, s.value) for s in scores] == [('mae', 33.0), ('ccmim', 31.0)]
    assert read_csv(results / 'scores.csv') == scores
    assert load_points(curves) == points == [Point('ccmim', 0, 'minutes', 5, 7.0)]
    # A picture of an arm that was run elsewhere stays, and stands on the page alone.
    (tmp_path / 'masks_ccmim.jpg').touch()
    text = tables(ROOT, BUDGETS['cpu'], scores, points, tmp_path)
    assert f'![Masks]({"/".join(tmp_path.parts[-2:])}/masks_ccmim.jpg)' in text
    assert 'masks_ccmim_gumbel' not in text
    assert '| ccmim | 31.0 |' in text
    assert 'not run' not in text.lower()
    assert 'ccmim_mask60' not in text, 'the page says once what a missing arm means'
    assert '| ccmim | -2.0 (one seed) |' in text.partition('Difference to mae')[2]
    assert '| ccmim | 5.00 | 5 | 2.50 x MAE | 7.0 | - |' in text
    assert '**Equal compute.**' not in text, 'where nothing was run'
    older = [*scores, Score('former_equal_compute', 'cifar10', 0, 'k-NN', 5.0)]
    text = tables(ROOT, BUDGETS['cpu'], older, points, tmp_path)
    equal = text.partition('**Equal compute.**')[2]
    assert '| mae | 33.0 |' in equal
    assert '| former_equal_compute | 5.0 |' in equal


def test_a_page_is_filled_between_its_marks(tmp_path):
    page = tmp_path / 'page.md'
    page.write_text('a\n<!-- t -->\nold\n<!-- end of t -->\nb\n')
    for _ in range(2):  # as often as one likes
        fill(page, 't', 'new\n')
        assert page.read_text() == 'a\n<!-- t -->\n\nnew\n\n<!-- end of t -->\nb\n'
    with pytest.raises(ValueError, match='lacks the lines'):
        fill(page, 'u', 'new\n')


def test_the_masks_of_the_first_and_the_last_epoch_stand_side_by_side(tmp_path):
    folder = tmp_path / 'run/pictures'
    folder.mkdir(parents=True)
    for epoch, color in (2, 'red'), (9, 'green'), (10, 'blue'):
        Image.new('RGB', (280, 100), color).save(folder / f'epoch_{epoch}.png')
    join_pictures(tmp_path / 'run', tmp_path / 'masks.png')
    with Image.open(tmp_path / 'masks.png') as sheet:
        assert sheet.size == (1120, 200)
        assert sheet.getpixel((10, 10)) == (255, 0, 0)
        assert sheet.getpixel((1100, 190)) == (0, 0, 255)
    join_pictures(tmp_path, tmp_path / 'none.png')
    assert not (tmp_path / 'none.png').exists()


@pytest.fixture
def photos(tmp_path):
    """A folder in CIFAR-10's layout, with two classes of noise."""
    rng = np.random.default_rng(0)
    for split, count in ('train', 40), ('test', 4):
        for label in 'ab':
            folder = tmp_path / 'data/cifar10' / split / label
            folder.mkdir(parents=True)
            for i in range(count):
                pixels = rng.integers(0, 255, (32, 32, 3), np.uint8)
                Image.fromarray(pixels).save(folder / f'{i}.png')
    return tmp_path / 'data'


@pytest.mark.slow
def test_the_command_is_interrupted_goes_on_and_writes_the_page(photos, tmp_path):
    page = tmp_path / 'study.md'
    page.write_text('<!-- tables of tiny -->\n<!-- end of tables of tiny -->\n')
    words = ['--budget', 'tiny', '--arms', 'random', 'mae', '--seeds', '0']
    words += ['--out', tmp_path / 'out', '--results', tmp_path / 'study', '--jobs', '2']
    env = dict(CCMIM_DATA=photos, MPLBACKEND='Agg')

    def command(*options):
        return start(sys.executable, 'tools/study.py', *words, *options, env=env)

    early = command('--minutes', '0.001')
    assert 'Interrupted. The same command resumes.' in early.communicate(timeout=300)[0]
    assert early.returncode == 1
    assert 'No run of this budget is recorded.' in page.read_text()
    stopped = command()
    log = tmp_path / 'out/tiny/mae_seed0/pretraining/train.log'
    while stopped.poll() is None and '[1][ 2/10]' not in _text(log):
        time.sleep(0.1)
    stopped.send_signal(signal.SIGINT)
    assert 'The same command resumes.' in stopped.communicate(timeout=300)[0]
    assert 'Stopped by SIGTERM after step' in _text(log)
    done = command()
    out = done.communicate(timeout=600)[0]
    assert done.returncode == 0, out
    assert len(list(log.parent.glob('2*_*'))) == 2, 'it began anew'
    found = read_csv(tmp_path / 'study/tiny/scores.csv')
    assert {s[:2] for s in found} == {('random', 'cifar10'), ('mae', 'cifar10')}
    points = load_points(tmp_path / 'study/tiny/curves.csv')
    epochs = [p.epoch for p in points if p.measure == 'k-NN during training']
    assert epochs == [1, 2]
    assert '| ccmim |' not in page.read_text()
    for name in ('scores', 'curves'):
        with Image.open(tmp_path / f'study/tiny/{name}.png') as picture:
            assert len(picture.convert('RGB').getcolors(1 << 24)) > 10
    again = command('--skip-recorded')
    assert 'pretraining' not in again.communicate(timeout=300)[0]
    assert again.returncode == 0


def _text(file):
    return file.read_text() if file.exists() else ''
