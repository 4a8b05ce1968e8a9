"""The best checkpoint is replaced only by a better one that is known to be good."""

import multiprocessing
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from mmengine.evaluator import BaseMetric
from torch.utils.data import DataLoader

from ccmim.checkpoints import choose_resume, load_file, verify_archive, write_atomically
from ccmim.engine import SafeCheckpointHook
from tests.engine.runs import line_run

SCORES = [1.0, 3.0, 2.0, 4.0]  # of the epochs


class Score(BaseMetric):
    """The score of the epoch, whatever the weights are."""

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        score = SCORES[self.runner.epoch - 1]
        return dict(ap=score, negative=-score)


@pytest.fixture
def start(tmp_path):
    """Build a run of four epochs with validation."""
    write_atomically()

    def start(
        folder='run', hook=SafeCheckpointHook, epochs=4, accumulated=1, **options
    ):
        options = {'save_best': 'ap', 'rule': 'greater', **options}
        metric = Score()
        runner = line_run(
            tmp_path / folder,
            epochs,
            accumulated,
            dict(checkpoint=dict(type=hook, interval=1, **options)),
            val_dataloader=DataLoader(torch.zeros(1)),
            val_cfg=dict(),
            val_evaluator=[metric],
        )
        metric.runner = runner
        return runner

    return start


def _files(folder):
    return sorted(p.name for p in folder.glob('*.pth'))


def _resume(runner):
    runner._load_from = choose_resume(runner.work_dir)
    runner._resume = True
    runner.train()
    return runner


def _kill_in_replacement(start, number, **options):
    """Kill a run of its own process as a checkpoint is about to take its place."""
    context = multiprocessing.get_context('fork')
    reached, replace, count = context.Event(), os.replace, [0]

    def slow(part, path):
        count[0] += str(path).endswith('.pth')
        if count[0] == number:
            reached.set()
            time.sleep(60)
        replace(part, path)

    def train():
        os.replace = slow
        start(**options).train()

    process = context.Process(target=train)
    process.start()
    assert reached.wait(60)
    os.kill(process.pid, signal.SIGKILL)
    process.join()


# Epoch 1 writes epoch_1, the best, epoch_1 again; the second write of epoch 2 is 5.
@pytest.mark.parametrize('number', [2, 3, 4, 5, 6])
def test_a_kill_while_writing_leaves_good_ones(start, tmp_path, number):
    _kill_in_replacement(start, number, max_keep_ckpts=1)
    folder = tmp_path / 'run'
    for name in _files(folder):
        verify_archive(folder / name)
    last = choose_resume(folder)
    runtime = load_file(last)['message_hub']['runtime_info']
    assert ('best_score' in runtime) == (number > 3)
    if number > 3:
        assert runtime['best_score'] == 1.0
        assert load_file(runtime['best_ckpt'])['meta']['epoch'] == 1

    straight = start('straight', max_keep_ckpts=1)
    straight.train()
    again = _resume(start(max_keep_ckpts=1))
    assert torch.equal(again.model.weight, straight.model.weight)
    assert again.message_hub.get_info('best_score') == 4.0
    assert 'epoch_4.pth' in _files(folder)
    assert 'best_ap_epoch_4.pth' in _files(folder)
    assert not list(folder.glob('.*.part'))


@pytest.mark.parametrize('best', ['ap', ['ap', 'negative'], 'auto'])
def test_the_best_survive_a_resume(start, tmp_path, best):
    rule = ['greater'] * 2 if isinstance(best, list) else 'greater'
    options = dict(save_best=best, rule=rule, max_keep_ckpts=1)
    start(epochs=3, **options).train()
    names = ['best_ap_epoch_2.pth', 'epoch_3.pth']
    if isinstance(best, list):
        names.insert(1, 'best_negative_epoch_1.pth')
    assert _files(tmp_path / 'run') == names
    (tmp_path / 'run').rename(tmp_path / 'moved')
    runner = _resume(start('moved', **options))
    names[0], names[-1] = 'best_ap_epoch_4.pth', 'epoch_4.pth'
    assert _files(tmp_path / 'moved') == names
    hub = runner.message_hub
    if isinstance(best, list):
        assert hub.get_info('best_score_ap') == 4.0
        assert hub.get_info('best_score_negative') == -1.0
    else:
        assert hub.get_info('best_score') == 4.0


def test_no_checkpoint_within_a_cycle(start, tmp_path):
    """Epochs of five steps, updates every four: the best come between the updates."""
    straight = start('straight', accumulated=4)
    straight.train()
    start(epochs=2, accumulated=4).train()
    for name in _files(tmp_path / 'straight'):
        meta = load_file(tmp_path / 'straight' / name)['meta']
        assert name.startswith('best') or meta['iter'] % 4 == 0 or meta['iter'] == 20


def test_a_full_disk_names_the_last_good_one(start, tmp_path, monkeypatch):
    replace = os.replace

    def full(part, path):
        if Path(path).name == 'best_ap_epoch_2.pth':
            raise OSError(28, 'No space left on device')
        replace(part, path)

    monkeypatch.setattr(os, 'replace', full)
    with pytest.raises(OSError, match='best_ap_epoch_2.pth: No space') as caught:
        start(max_keep_ckpts=1).train()
    folder = tmp_path / 'run'
    last = f'; the last good checkpoint is {folder}/epoch_2.pth'
    assert str(caught.value).endswith(last)
    assert _files(folder) == ['best_ap_epoch_1.pth', 'epoch_2.pth']
    verify_archive(choose_resume(folder))
