"""The commands of the README, as a person types them."""

import re
import signal

import pytest

from tests.processes import PYTHON, run, start

PRETRAIN = """mm_configs/pretrain/ccmim_vitb.py
model.backbone.arch=tiny model.backbone.img_size=64 model.decoder.in_dim=192
model.decoder.depth=1 model.contrast.in_dim=192 optim_wrapper.accumulative_counts=1
train_dataloader.batch_size=4 train_dataloader.num_workers=1
default_hooks.checkpoint.interval=1 default_hooks.logger.interval=1
"""


def _run(*command):
    done = run(*command)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout + done.stderr


@pytest.mark.dist
@pytest.mark.slow
def test_two_processes_pretrain_on_a_folder(image_folder, tmp_path):
    """Without a GPU: two gloo processes, an effective batch of 8, a falling loss."""
    config, *options = PRETRAIN.split()
    options += [f'train_dataloader.dataset.data={image_folder}']
    options += ['train_cfg.max_epochs=30', 'optim_wrapper.optimizer.lr=0.5']
    words = [config, 2, '--work-dir', tmp_path, '--auto-scale-lr', '--cfg-options']
    text = _run('bash', 'tools/dist_train.sh', *words, *options)
    assert 'Effective batch 8 = 4 a process x 2 processes x 1 accumulated' in text
    losses = [float(x) for x in re.findall(r' loss_reconstruction: (\S+)', text)]
    assert len(losses) == 30  # 8 photos, 2 processes, batch 4: one step an epoch
    assert sum(losses[-5:]) < 0.9 * sum(losses[:5])
    assert (tmp_path / 'epoch_30.pth').is_file()


@pytest.mark.slow
def test_quickstart_fast(tmp_path):
    """Interrupted and run again: pretraining, fine-tuning, tests, table and report."""
    out = tmp_path / 'quickstart'
    command = [*PYTHON, 'tools/quickstart.py', '--fast', '--out', out]
    with start(*command) as first:
        begun = iter(first.stdout.readline, '')
        assert any(re.search(r'pretraining took \d+ s$', line) for line in begun)
        first.send_signal(signal.SIGINT)
        last = first.communicate(timeout=300)[0]
        assert last.endswith('\nInterrupted. Run it again to resume.\n')
    assert first.returncode == 1
    text = _run(*command)
    assert 'pretraining: done before' in text
    # 2 pretrainings, 3 x (patches, 2 x 2)
    assert f'Stage {text.count("done before") + 1} of 17: ' in text
    pace = r' +2 steps of \d+\.\d\d s, about \d+:\d\d'
    for name in ('MAE', 'ccMIM'):
        assert re.search(f'^  {name} pretraining{pace}$', text, re.MULTILINE), text
    assert re.search(r'^About \d+:\d\d in total with [12] at a time', text, re.M)
    for row in ('ccMIM', 'MAE', 'scratch'):
        found = re.search(rf'^{row} +(\S+) +(\S+) +(\S+)$', text, re.MULTILINE)
        assert found, text
        assert all(0 <= float(value) <= 100 for value in found.groups())
        leads = rf'^{row} - scratch +(\S+ \[\S+ \S+\] *){{3}}$'
        assert row == 'scratch' or re.search(leads, text, re.MULTILINE)
    assert '--fast is a smoke test: these scores say nothing about pretraining.' in text
    report = (out / 'report.html').read_text()
    for part in ('Masks and rec', 'next to the ground', 'Patch features as colors'):
        assert part in report
    log = (out / 'ccMIM_seed0' / 'detection' / 'train.log').read_text()
    assert re.search(r'(\d+) of \1 backbone keys matched, 0 missing, 0 unexp', log)
    weights = out / 'ccMIM_seed0' / 'pretraining' / 'epoch_1.pth'
    assert f'tools/visualize.py {weights} ' in text
