"""A run that is resumed with something changed keeps its place, or says why not."""

import copy
import re
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict
from mmengine.runner import Runner

from ccmim.checkpoints import ResumeError, load_file, write_atomically
from ccmim.classification.lars import LARS
from ccmim.engine import ResumableEpochLoop, ResumeHook, SafeCheckpointHook
from ccmim.engine.resume.optimizer_state import differing_optimizers
from ccmim.engine.resume.state import _frozen, _schedulers, frozen_digests
from ccmim.engine.version import this_version
from ccmim.registry import HOOKS
from ccmim.teachers.frozen import Frozen
from tests.engine import runs


class Line(runs.Line):
    """One weight, pulled towards the brightness of each image."""

    def train_step(self, data, optim_wrapper):
        brightness = data['inputs'].float().mean(dim=(1, 2, 3)) / 255
        return super().train_step(brightness, optim_wrapper)


@HOOKS.register_module(force=True)
class SeenHook(Hook):
    """Notes which images each step sees."""

    def __init__(self):
        self.seen = []

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.seen.append(data_batch['data_samples'].tolist())


@pytest.fixture
def train(image_folder, tmp_path):
    """Train on eight photos in steps of a batch; the run, and what it saw."""
    write_atomically()

    def train(
        folder='run', resume=None, epochs=3, batch=2, accumulated=1, workers=0,
        data=image_folder, schedule=(), iterations=0, changed=(),
    ):  # fmt: skip
        sampler = 'Infinite' * bool(iterations) + 'VisitSampler'
        hook, by_iteration = SeenHook(), dict(by_epoch=False, max_iters=iterations)
        runner = Runner(
            Line(),
            str(tmp_path / folder),
            train_dataloader=dict(
                batch_size=batch,
                num_workers=workers,
                sampler=dict(type=f'ccmim.{sampler}', seed=0),
                collate_fn=dict(type='default_collate'),
                dataset=dict(
                    type='ccmim.UnlabeledImages',
                    data=str(data),
                    transform=dict(type='ccmim.ToUint8Tensor'),
                ),
            ),
            train_cfg=by_iteration
            if iterations
            else dict(type=ResumableEpochLoop, max_epochs=epochs),
            optim_wrapper=dict(
                optimizer=dict(type='SGD', lr=0.1), accumulative_counts=accumulated
            ),
            param_scheduler=list(schedule) or None,
            default_hooks=dict(
                checkpoint=dict(type=SafeCheckpointHook, by_epoch=False, interval=1),
                logger=dict(type='LoggerHook', interval=1),
            ),
            custom_hooks=[hook, ResumeHook()],
            cfg=dict(resume_changed=changed),
            experiment_name=f'{folder}_{torch.rand(()).item()}',
            resume=bool(resume),
            load_from=resume and str(tmp_path / folder / resume),
        )
        runner.train()
        return runner, hook.seen

    return train


def _scalars(runner, name):
    return runner.message_hub.get_scalar(f'train/{name}').data[0].tolist()


def _flat(seen):
    return [image for batch in seen for image in batch]


def _log(tmp_path, folder='run'):
    logs = sorted((tmp_path / folder).glob('*/*.log'))
    lines = [line for log in logs for line in log.read_text().splitlines()]
    return [line for line in lines if 'Resuming: ' in line]


def test_what_a_checkpoint_says_about_its_run(train, tmp_path, image_folder):
    train(epochs=1)
    kept = load_file(tmp_path / 'run' / 'iter_4.pth')['meta']['ccmim']
    names = kept.pop('names')
    assert len(names) == 64
    version = kept.pop('version')
    assert re.fullmatch(r'\d+\.\d+\.\d+', version)
    assert kept.pop('build') == this_version()
    assert kept.pop('contents').shape == (8,)
    assert (kept.pop('parameters'), kept.pop('states')) == (['weight'], 0)
    assert kept.pop('frozen') == {}
    assert kept == dict(processes=1, batch=2, accumulated=1, images=8, length=4)
    image_folder.rename(tmp_path / 'elsewhere')  # as on another machine
    train('other', epochs=1, data=tmp_path / 'elsewhere')
    meta = load_file(tmp_path / 'other' / 'iter_4.pth')['meta']
    assert meta['ccmim']['names'] == names


@pytest.mark.parametrize(
    ('old', 'new', 'resume', 'step'),
    [
        (2, 4, 'iter_6.pth', 3),  # epoch 2, 4 of 8 images
        (4, 2, 'iter_3.pth', 6),
        (2, 8, 'iter_4.pth', 1),  # the end of an epoch
        (2, 8, 'iter_8.pth', 2),
    ],
)
def test_another_batch_keeps_the_position(train, tmp_path, old, new, resume, step):
    """Each image is seen as often as without a change, in the same order."""
    _, straight = train('straight')
    _, before = train(epochs=2, batch=old)
    done = int(re.findall(r'\d+', resume)[0])
    again, after = train(resume=resume, batch=new)
    assert _flat(before[:done]) + _flat(after) == _flat(straight)
    assert again.iter == 3 * 8 // new
    assert len(after) == again.iter - step
    (line,) = _log(tmp_path)
    epoch, seen = divmod(done * old, 8)
    if not seen:
        epoch, seen = epoch - 1, 8
    assert (
        f'{old} images a process x 1 processes x 1 accumulated -> {new} images a '
        'process x 1 processes x 1 accumulated: the position in the data is kept: '
        f'epoch {epoch + 1}, {seen} of 8 images; step {done} is now called {step}'
    ) in line


def _schedule(epochs):
    """One epoch of warm-up, then a cosine to 0."""
    shared = dict(by_epoch=True, convert_to_iter_based=True)
    return [
        dict(type='LinearLR', start_factor=0.01, begin=0, end=1, **shared),
        dict(type='CosineAnnealingLR', T_max=epochs - 1, begin=1, end=epochs, **shared),
    ]


def test_the_schedule_is_counted_in_the_new_steps(train):
    """Rates after the change are those of a run that had the batch from the start."""
    straight, _ = train('straight', batch=4, schedule=_schedule(3))
    train(epochs=2, schedule=_schedule(3))
    again, _ = train(resume='iter_6.pth', batch=4, schedule=_schedule(3))
    assert _scalars(again, 'lr')[-3:] == _scalars(straight, 'lr')[-3:]
    assert _scalars(again, 'lr')[-1] < 0.2 * max(_scalars(again, 'lr'))


def test_accumulation_that_keeps_the_update(train):
    """Half the batch accumulated twice: the same updates at the same images."""
    straight, _ = train('straight', batch=4)
    train(batch=4, epochs=2)
    again, _ = train(resume='iter_3.pth', batch=2, accumulated=2)
    ours = torch.tensor(_scalars(again, 'loss')[3:]).unflatten(0, (-1, 2)).mean(dim=1)
    theirs = torch.tensor(_scalars(straight, 'loss')[3:])
    torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=0)
    pairs = (again.model.weight, straight.model.weight)
    torch.testing.assert_close(*pairs, rtol=1e-6, atol=0)


def test_a_position_between_two_steps_is_refused(train):
    train(epochs=2)
    with pytest.raises(ResumeError, match='after image 2 of epoch 2, which is no') as e:
        train(resume='iter_5.pth', batch=4)
    assert 'Resume from the end of an epoch' in str(e.value)
    assert '\n' not in str(e.value)


def test_counted_in_iterations_the_batch_must_stay(train, tmp_path):
    straight, seen = train(iterations=6)
    again, after = train(resume='iter_3.pth', iterations=6)
    assert after == seen[3:]
    assert _scalars(again, 'loss') == _scalars(straight, 'loss')
    with pytest.raises(ResumeError, match='only with 2 images a step: set .* to 2$'):
        train(resume='iter_3.pth', batch=4, iterations=6)
    # Two processes that took one image each would have been no change.
    file = tmp_path / 'run' / 'iter_3.pth'
    saved = torch.load(file, weights_only=False)
    saved['meta']['ccmim'].update(processes=2, batch=1, length=8)
    torch.save(saved, file)
    again, after = train(resume='iter_3.pth', iterations=6)
    assert after == seen[3:]
    assert ' 2 processes x 1 accumulated -> 2 images a proc' in _log(tmp_path)[-1]


def test_another_number_of_workers_changes_nothing(train, tmp_path):
    straight, _ = train('straight')
    train(epochs=2)
    again, _ = train(resume='iter_6.pth', workers=2)
    assert _scalars(again, 'loss') == _scalars(straight, 'loss')
    assert _log(tmp_path) == []


@pytest.fixture
def changed(train, image_folder):
    """A run of which two files are gone, one is renamed and one is new."""
    train(epochs=2)
    first, second, third = sorted(image_folder.glob('*/*.jpg'))[:3]
    first.rename(first.with_name('a.jpg'))
    second.unlink()
    (third.parent / 'b.jpg').write_bytes(third.read_bytes())
    third.unlink()
    last = sorted(image_folder.glob('*/*'))[-1]
    (third.parent / 'c.jpg').write_bytes(last.read_bytes())


def test_a_changed_data_set_is_refused(train, changed, tmp_path):
    with pytest.raises(ResumeError) as caught:
        train(resume='iter_6.pth')
    text = str(caught.value)
    assert text.startswith(
        'The data set has changed since step 6: 3 files gone (part0/0.jpg, '
        'part0/2.jpg, ...), 3 new (part0/a.jpg, part0/b.jpg, ...). Restore it, or '
    )
    assert '--cfg-options resume_changed=data' in text
    assert not (tmp_path / 'run' / 'iter_12.pth').exists()


def test_a_changed_data_set_is_taken_by_name(train, changed, tmp_path):
    """The epoch that was interrupted begins anew, as its order is another."""
    runner, seen = train(resume='iter_6.pth', changed='data')
    assert [sorted(_flat(seen[i : i + 4])) for i in (0, 4)] == [list(range(8))] * 2
    assert len(seen) == 8
    line, again = _log(tmp_path)
    assert line.endswith('3 new (part0/a.jpg, part0/b.jpg, ...)')
    assert 'WARNING - Resuming: epoch 2 begins anew' in again
    train(resume='iter_12.pth', epochs=4)  # the list of the folder is the new one
    assert len(_log(tmp_path)) == 2


@pytest.mark.parametrize('left', [None, 0, 1, 11, -5])
def test_without_the_list_the_change_is_still_seen(train, changed, tmp_path, left):
    names = tmp_path / 'run' / 'images.txt.gz'
    packed = names.read_bytes()
    names.unlink() if left is None else names.write_bytes(packed[:left])
    with pytest.raises(ResumeError, match='since step 6: other files. Restore'):
        train(resume='iter_6.pth')


def test_a_longer_schedule_is_taken_up(train, tmp_path):
    """Of a run to 2 epochs that goes on to 4: the rates of a run to 4."""
    straight, _ = train('straight', epochs=4, schedule=_schedule(4))
    train(epochs=2, schedule=_schedule(2))
    again, _ = train(resume='iter_8.pth', epochs=4, schedule=_schedule(4))
    rates = _scalars(again, 'lr')
    assert rates[8:] == _scalars(straight, 'lr')[8:]
    assert rates[8] > 5 * rates[7]
    line, rate = _log(tmp_path)
    assert 'WARNING' in line
    assert 'The schedule is not that of the checkpoint' in line
    assert f'continues at {rates[8]:.3g}, after ' in rate


@pytest.mark.parametrize(('epochs', 'count'), [(2, 1), (4, 0)])
def test_a_longer_run_may_have_a_stage_more(epochs, count):
    """One of less than two steps is left out."""
    text = 'train_cfg = dict(max_epochs=2)\n'
    checkpoint = dict(param_schedulers=[{}], meta=dict(config_text=text))
    cfg = dict(train_cfg=dict(max_epochs=epochs))
    runner = SimpleNamespace(param_schedulers=[None, None], cfg=cfg)
    assert len(list(_schedulers(runner, checkpoint))) == count
    assert len(list(_schedulers(runner, dict(checkpoint, param_schedulers=[])))) == 1


def test_a_teacher_with_other_weights_is_named():
    """No checkpoint holds them, and another file may have the old name."""
    model = torch.nn.Module()
    model.teacher = torch.nn.Module()
    model.teacher.frozen = Frozen(torch.nn.Linear(3, 2))
    record = dict(frozen=frozen_digests(model))
    assert list(_frozen(model, record)) == []
    assert list(_frozen(model, {})) == []  # of an older version
    model.teacher.frozen.network.weight[0, 0] += 1e-3
    (found,) = _frozen(model, record)
    assert found.key == 'model.teacher'
    assert not found.is_state  # resume_changed=model.teacher goes on


OPTIMIZERS = {
    'AdamW': partial(torch.optim.AdamW, fused=True),
    'amsgrad': partial(torch.optim.Adam, amsgrad=True),
    'SGD': partial(torch.optim.SGD, lr=0.1),
    'momentum': partial(torch.optim.SGD, lr=0.1, momentum=0.9),
    'LARS': partial(LARS, lr=0.1, momentum=0.9),
    'Adafactor': torch.optim.Adafactor,  # keeps rows and columns
    'LBFGS': torch.optim.LBFGS,  # wants a closure
}


@pytest.mark.parametrize('make', OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_what_any_optimizer_keeps_fits_it_and_nothing_else_does(make):
    part = torch.nn.Linear(3, 2)
    optimizer = make(part.parameters())
    part(torch.ones(1, 3)).sum().backward()
    optimizer.step(lambda: torch.ones(()))
    runner = SimpleNamespace(model=part, optim_wrapper=OptimWrapper(optimizer))
    checkpoint = dict(optimizer=optimizer.state_dict(), meta=dict(iter=1))
    assert [*differing_optimizers(runner, checkpoint, {})] == []
    state = checkpoint['optimizer']['state']
    kept = {k for k in state.get(1, ()) if k not in ('row_var', 'col_var')}
    checkpoint['optimizer']['state'] = {**state, 1: {}}
    lost = {one.key for one in differing_optimizers(runner, checkpoint, {})}
    assert lost == {f'optimizer.{key} of bias' for key in kept}


def test_several_optimizers_are_compared_one_by_one():
    parts = torch.nn.ModuleDict(dict(a=torch.nn.Linear(3, 2), b=torch.nn.Linear(2, 1)))
    wrapper = OptimWrapperDict(
        **{k: OptimWrapper(torch.optim.AdamW(v.parameters())) for k, v in parts.items()}
    )
    runner = SimpleNamespace(model=parts, optim_wrapper=wrapper)

    def compare(harm):
        saved = copy.deepcopy(wrapper.state_dict())
        harm(saved)
        checkpoint = dict(optimizer=saved, meta=dict(iter=0))
        return [one.key for one in differing_optimizers(runner, checkpoint, {})]

    assert compare(lambda saved: None) == []
    shorter = lambda saved: saved['a']['param_groups'][0]['params'].pop()  # noqa: E731
    assert compare(shorter) == ['a: optimizer: parameters in each group']
    moment = dict(exp_avg=torch.zeros(5))
    wrong = lambda saved: saved['b']['state'].update({0: moment})  # noqa: E731
    assert 'b: optimizer.exp_avg of b.weight' in compare(wrong)
    assert compare(lambda saved: saved.pop('b')) == ['optimizer.b']
    assert compare(lambda saved: saved.update(c={})) == ['optimizer.c']
