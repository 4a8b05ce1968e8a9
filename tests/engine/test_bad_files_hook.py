"""A run lists the images that it cannot use, each once, and counts them at its end."""

import os
import signal
from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner
from PIL import Image

from ccmim.checkpoints import guard_mmengine
from ccmim.data import UnlabeledImages
from ccmim.data.bad_files import read_bad_files
from ccmim.engine import BadFilesHook, SafeCheckpointHook, StopHook
from tests.data.conftest import write_noise

TRANSFORM = [
    dict(type='ccmim.RandomResizedCrop', size=16),
    dict(type='ccmim.ToUint8Tensor'),
]
BAD = {2: b'', 5: b'no image', 9: b'\x89PNG'}


class Mean(torch.nn.Module):
    """Learns the mean of the images; may send itself a signal at a step."""

    def __init__(self, stop_at=0):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.stop_at = stop_at

    def train_step(self, data, optim_wrapper):
        self.stop_at -= 1
        if self.stop_at == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        loss = (self.weight - data['inputs'].float().mean()).square().sum()
        optim_wrapper.update_params(loss)
        return dict(loss=loss)


@pytest.fixture
def photos(tmp_path):
    return write_noise(tmp_path / 'photos')


def _harm(photos, numbers=BAD):
    for i in numbers:
        (photos / f'{i:03d}.png').write_bytes(BAD[i])


@pytest.fixture
def train(photos, tmp_path):
    """Train two epochs of three steps; the text of the log."""

    def train(name='run', num_workers=1, stop_at=0, resume=False, **dataset):
        data = dict(type=UnlabeledImages, data=str(photos), transform=TRANSFORM)
        runner = Runner(
            Mean(stop_at),
            str(tmp_path / name),
            train_dataloader=dict(
                dataset=data | dataset,
                batch_size=4,
                num_workers=num_workers,
                sampler=dict(type='ccmim.VisitSampler'),
                collate_fn=dict(type='default_collate'),
            ),
            train_cfg=dict(by_epoch=True, max_epochs=2),
            optim_wrapper=dict(optimizer=dict(type='SGD', lr=1e-6)),
            default_hooks=dict(
                checkpoint=dict(type=SafeCheckpointHook, interval=1),
                logger=dict(type='LoggerHook', interval=1),
            ),
            custom_hooks=[dict(type=BadFilesHook), dict(type=StopHook)],
            randomness=dict(seed=0),
            resume=resume,
            experiment_name=os.urandom(4).hex(),
        )
        with pytest.raises(SystemExit) if stop_at else nullcontext():
            runner.train()
        (log,) = Path(runner.log_dir).glob('*.log')
        return log.read_text()

    guard_mmengine()
    return train


def _listed(path):
    return {name[-7:-4]: reason for name, reason in read_bad_files(path).items()}


@pytest.mark.parametrize('num_workers', [0, 2])
def test_bad_images_are_listed_and_counted(train, photos, tmp_path, num_workers):
    _harm(photos)
    log = train(num_workers=num_workers)
    path = tmp_path / 'run' / 'bad_files.txt'
    assert path.read_text().count('\n') == 3
    reasons = ['empty', 'not an image', 'damaged: header of a PNG']
    assert _listed(path) == dict(zip(('002', '005', '009'), reasons, strict=True))
    (said,) = [text for text in log.splitlines() if 'skipped' in text]
    assert said.endswith(f'({path})')
    assert 'skipped 3 of 12 images: ' in said
    assert all(kind in said for kind in ('1 empty', '1 not an image', '1 damaged'))


def test_a_resumed_run_goes_on_with_its_list(train, photos, tmp_path):
    _harm(photos)
    assert 'skipped 3 of 12' in train(stop_at=3)
    path = tmp_path / 'run' / 'bad_files.txt'
    before = path.read_text()
    Image.new('RGB', (20, 20)).save(photos / '002.png')
    log = train(resume=True)
    assert path.read_text() == before
    assert 'skipped 3 of 12' in log


def test_the_list_of_one_run_is_what_the_next_leaves_out(train, photos, tmp_path):
    """What was excluded is listed again, so the last list is always the whole one."""
    _harm(photos, [2, 5])
    train('first')
    first = tmp_path / 'first' / 'bad_files.txt'
    _harm(photos, [9])
    log = train('second', exclude=first)
    second = tmp_path / 'second' / 'bad_files.txt'
    assert '2 of the 2 images that' in log
    assert f'skipped 1 of 10 images: 1 damaged ({second})' in log
    assert list(_listed(second)) == ['002', '005', '009']
    # In the same folder too: the list is read before the run begins it anew.
    again = train('second', exclude=second)
    assert 'skipped' not in again.removeprefix(log)  # one file in the same second
    assert list(_listed(second)) == ['002', '005', '009']
