"""A comparison runs each arm on each task with each seed, once."""

import json
from pathlib import Path

import pytest
from mmengine.config import Config

from ccmim.api.catalogue import home
from ccmim.apps.cli.tools import load_tool
from ccmim.apps.compare import Arm, Comparison, content_of, read_csv, stage_commands
from ccmim.apps.compare.stage_commands import content_of_file
from ccmim.checkpoints.sources import find_weights
from ccmim.evaluation.resampling import read_samples
from tests.processes import PYTHON, run

ROOT = Path(__file__).parents[3]
DEMO = ROOT / 'mm_configs' / 'demo'
TASK = {'seg': str(DEMO / 'upernet_toy.py')}


@pytest.fixture
def build(tmp_path):
    def build(*arms, seeds=(0, 1), **changes):
        names = dict(det='mask_rcnn_toy', seg='upernet_toy')
        tasks = {task: str(DEMO / f'{name}.py') for task, name in names.items()}
        return Comparison(
            **{'arms': arms, 'tasks': tasks, 'seeds': seeds, 'out': tmp_path, **changes}
        )

    return build


def words(stage):
    return [str(word) for word in stage.command]


def test_every_arm_meets_every_task_with_every_seed(build):
    chains = build(Arm('random'), Arm('other')).transfers()
    assert len(chains) == 2 * 2 * 2
    assert len({train.result for train, _ in chains}) == 8
    assert {test.result.name for _, test in chains} == {'metrics.json'}
    train, test = chains[0]
    assert 'randomness.seed=0' in words(train)
    assert str(train.result) in words(test)
    assert train.result.name == 'iter_300.pth'


def test_a_pretraining_config_is_run_with_each_seed_and_feeds_its_transfers(build):
    arms = Arm('random'), Arm('ccmim', str(DEMO / 'ccmim_toy.py'))
    comparison = build(*arms, pretrain_options=['train_cfg.max_epochs=2'])
    pretrainings = [stage for (stage,) in comparison.pretrainings()]
    assert [p.result.name for p in pretrainings] == ['epoch_2.pth'] * 2
    assert all('train_cfg.max_epochs=2' in words(p) for p in pretrainings)
    # No weights yet: only the arm that needs none can go on.
    assert len(comparison.transfers()) == 4
    pretrainings[1].result.parent.mkdir(parents=True)
    pretrainings[1].result.touch()
    fed = [t for t, _ in comparison.transfers() if 'ccmim' in t.name]
    assert [t.name for t in fed] == ['ccmim, seed 1: det', 'ccmim, seed 1: seg']
    weights = f'model.backbone.init_cfg.checkpoint={pretrainings[1].result}'
    assert all(weights in words(t) for t in fed)


def test_scores_are_read_in_per_cent(build):
    comparison = build(Arm('random'), seeds=[3])
    (_, det), (_, seg) = comparison.transfers()
    for test, metrics in (
        (det, {'coco/bbox_mAP': 0.25, 'coco/segm_mAP': 0.125, 'coco/bbox_mAP_50': 1}),
        (seg, {'mIoU': 40.5, 'aAcc': 99}),
    ):
        test.result.parent.mkdir(parents=True)
        test.result.write_text(json.dumps(metrics))
    assert comparison.scores() == [
        ('random', 'det', 3, 'box AP', 25.0),
        ('random', 'det', 3, 'mask AP', 12.5),
        ('random', 'seg', 3, 'mIoU', 40.5),
    ]


def test_a_task_without_training_is_a_probe_of_frozen_features(build, tmp_path):
    weights = tmp_path / 'weights.pth'
    weights.touch()
    config = str(ROOT / 'mm_configs' / 'small' / 'knn_vitt_cifar10.py')
    comparison = build(
        Arm('random'), Arm('mae', str(weights)), seeds=[3], tasks={'cifar10': config}
    )
    (random,), (mae,) = comparison.transfers()
    assert words(random)[0] == words(mae)[0] == 'tools/knn.py'
    assert words(mae)[words(mae).index('--config') - 1] == str(weights)
    assert 'randomness.seed=3' in words(random), 'else all seeds are one'
    for stage, row in (random, 'random'), (mae, 'checkpoint'):
        stage.result.parent.mkdir(parents=True)
        stage.result.write_text(json.dumps({row: {'k=20': 30.5, 'linear': 41.0}}))
    assert comparison.scores() == [
        (arm, 'cifar10', 3, metric, value)
        for arm in ('random', 'mae')
        for metric, value in (('k-NN', 30.5), ('linear', 41.0))
    ]
    tasks = {'camvid': config.replace('cifar10', 'camvid')}
    ((patches,),) = build(Arm('random'), seeds=[3], tasks=tasks).transfers()
    assert words(patches)[0] == 'tools/patch_knn.py'


@pytest.fixture
def contents(build, tmp_path):
    """Make a function that tells the contents of the stages of three arms."""
    for name in 'mae', 'student', 'task':
        (tmp_path / f'{name}.py').write_text('train_cfg = dict(max_epochs=1)\n')
    (tmp_path / 'weights.pth').write_text('weights')

    def contents():
        stage_commands.read_cached.cache_clear()
        stage_commands.content_of_file.cache_clear()
        plan = build(
            Arm('mae', str(tmp_path / 'mae.py')),
            Arm('student', str(tmp_path / 'student.py'), teacher='mae'),
            Arm('file', str(tmp_path / 'weights.pth')),
            seeds=[0],
            tasks={'task': str(tmp_path / 'task.py')},
        )
        return {stage.name: stage.content for chain in plan.chains() for stage in chain}

    return contents


@pytest.mark.parametrize(
    ('file', 'text', 'changed'),
    [
        ('mae.py', 'train_cfg = dict(max_epochs=1, val_interval=2)', 'mae student'),
        ('student.py', 'train_cfg = dict(max_epochs=1, val_interval=2)', 'student'),
        ('weights.pth', 'retrained weights', 'file'),
        ('task.py', '# words alone\ntrain_cfg = dict(max_epochs=1)', ''),
    ],
)
def test_stages_are_told_apart_by_what_their_files_hold(
    contents, tmp_path, file, text, changed
):
    before = contents()
    assert contents() == before
    (tmp_path / file).write_text(text)
    after = contents()
    arms = {name.partition(',')[0] for name in after if after[name] != before[name]}
    assert arms == set(changed.split())


def test_a_task_that_was_edited_is_done_anew_with_the_same_weights(contents, tmp_path):
    before = contents()
    (tmp_path / 'task.py').write_text('train_cfg = dict(max_epochs=1, val_interval=2)')
    after = contents()
    same = {name for name in after if after[name] == before[name]}
    assert same == {f'{arm}, seed 0: pretraining' for arm in ('mae', 'student')}


def test_the_place_of_the_checkout_is_no_content():
    here, anywhere = Config(dict(data=f'{home()}/data')), Config(dict(data='data'))
    assert content_of(here) == content_of(anywhere)


def test_files_are_those_where_the_user_stands(tmp_path, monkeypatch):
    """Else those of the checkout, from which commands are as they always were."""
    tool = load_tool('compare')
    for name in ('mine.pth', 'task.py', 'teacher.pth'):
        (tmp_path / name).touch()
    config = 'mm_configs/demo/ccmim_toy.py'
    arms = ['random', 'own=mine.pth', f'toy={config}']
    options = ['--tasks', 'a=task.py', '--seeds', '0', '--out', 'out']
    options += ['--pretrain-options', 'model.teacher.checkpoint=teacher.pth', 'a=1']
    monkeypatch.setattr('sys.argv', ['compare.py', '--arms', *arms, *options])
    monkeypatch.chdir(tmp_path)
    args = tool.parse_args()
    assert args.arms == ['random', f'own={tmp_path}/mine.pth', f'toy={config}']
    assert args.tasks == [f'a={tmp_path}/task.py']
    assert args.out == tmp_path / 'out'
    teacher = f'model.teacher.checkpoint={tmp_path}/teacher.pth'
    assert args.pretrain_options == [teacher, 'a=1']
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr('sys.argv', ['compare.py', '--arms', f'toy={config}', *options])
    assert tool.parse_args().arms == [f'toy={config}']


def test_the_command_runs_in_the_checkout(tmp_path, monkeypatch):
    """Its configs are found from any folder."""
    tool, ran = load_tool('compare'), []
    monkeypatch.setattr(tool, 'run_stages', lambda chains, *_: ran.extend(chains))
    config = 'mm_configs/demo/ccmim_toy.py'
    words = ['--arms', f'toy={config}', '--tasks', f'a={config}', '--seeds', '0']
    monkeypatch.setattr('sys.argv', ['compare.py', *words, '--out', 'out'])
    monkeypatch.chdir(tmp_path)
    tool.main()
    ((pretraining,),) = ran
    assert pretraining.command[1] == config
    assert pretraining.result.parents[1] == tmp_path / 'out/toy_seed0'


@pytest.mark.parametrize(
    ('changes', 'text'),
    [
        (dict(seeds=[1, 1]), 'seeds: 1 is given twice'),
        (dict(tasks={}), 'tasks is empty: a comparison needs at least one'),
        (dict(tasks={'det': 'nowhere.py'}), 'config nowhere.py does not exist'),
    ],
)
def test_mistakes_are_named(build, changes, text):
    with pytest.raises(ValueError, match=text):
        build(Arm('random'), **changes)


def test_an_arm_is_a_config_or_a_checkpoint_that_exists():
    for source in ('nowhere.pth', 'nowhere.py'):
        with pytest.raises(ValueError, match='give a pretraining config'):
            Arm('mae', source)


def test_an_arm_is_a_name_of_weights_or_a_folder(build, hub_cache):
    """Which is known by what lies in the cache."""
    (hub_cache('a/b') / 'model.safetensors').write_text('{}')
    folder = find_weights('hf:a/b')[0]
    arms = Arm('name', 'hf:a/b'), Arm('folder', str(folder))
    (first, _), (second, _) = build(*arms, seeds=[0], tasks=TASK).transfers()
    assert words(first)[-1] == 'model.backbone.init_cfg.checkpoint=hf:a/b'
    assert words(second)[-1] == f'model.backbone.init_cfg.checkpoint={folder}'
    assert first.content == second.content
    content_of_file.cache_clear()
    (folder / 'model.safetensors').write_text('other')
    ((again, _),) = build(arms[0], seeds=[0], tasks=TASK).transfers()
    assert again.content != first.content


@pytest.mark.slow
def test_two_starts_are_pretrained_transferred_and_compared(tmp_path, monkeypatch):
    """The whole command on toy scenes: table, csv and picture, and nothing twice."""
    from ccmim.apps.demo.scenes import write_toy_scenes

    scenes = write_toy_scenes(tmp_path / 'scenes', 16, 8, 64, num_unlabeled=64)
    monkeypatch.setenv('CCMIM_TOY', str(scenes))
    options = [
        *('--arms', 'random', f'ccmim={DEMO / "ccmim_toy_64px.py"}'),
        *('--tasks', f'seg={DEMO / "linear_toy_64px.py"}'),
        *('--seeds', 1, '--out', tmp_path / 'out', '--jobs', 2),
        *('--pretrain-options', 'train_cfg.max_epochs=1'),
        *('--cfg-options', 'train_cfg.max_iters=3'),
    ]
    words = [*PYTHON, 'tools/compare.py', *options]
    first = run(*words)
    assert first.returncode == 0, first.stdout + first.stderr
    found = read_csv(tmp_path / 'out' / 'scores.csv')
    arms = ('random', 'ccmim')
    assert [s[:4] for s in found] == [(arm, 'seg', 1, 'mIoU') for arm in arms]
    assert all(0 <= s.value <= 100 for s in found)
    assert 'not run' not in (tmp_path / 'out' / 'table.md').read_text()
    assert (tmp_path / 'out' / 'scores.png').stat().st_size > 1000
    log = tmp_path / 'out' / 'ccmim_seed1' / 'seg' / 'train.log'
    assert '0 missing, 0 unexpected' in log.read_text()
    assert 'Against random: ' in first.stdout
    images = tmp_path / 'out' / 'ccmim_seed1' / 'seg' / 'images.npz'
    assert len(read_samples(images)['mIoU']) == 8
    again = run(*words)
    assert again.stdout.count('done before') == 1 + 2 * 2
