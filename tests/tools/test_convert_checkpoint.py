"""The command converts, reports, and answers a user's mistakes with one line."""

from functools import partial

import pytest
import torch


@pytest.fixture
def checkpoint(tiny_vit, tmp_path):
    state = tiny_vit().state_dict() | {'head.weight': torch.zeros(2, 32)}
    torch.save(dict(model=state, epoch=3), tmp_path / 'in.pth')
    return tmp_path / 'in.pth'


@pytest.fixture
def convert(run_tool):
    """Run the command in this process; gives exit code, output and errors."""
    return partial(run_tool, 'convert_checkpoint.py')


@pytest.mark.parametrize(
    'layout', ['ccmim', 'timm', 'mmpretrain', 'mmseg', 'safetensors', 'hf']
)
def test_every_layout_there_and_back(convert, checkpoint, tmp_path, layout):
    out = tmp_path / ('out' if layout == 'hf' else 'out.safetensors')
    code, text, _ = convert(checkpoint, out, '--to', layout, '--num-heads', 2)
    assert code == 0
    lines = text.splitlines()
    assert lines[0] == f'Read {checkpoint}: 31 tensors, layout timm (as its keys say)'
    assert lines[1:3] == [
        '  left out, of the run: epoch',
        '  left out, of the classifier: head.weight',
    ]
    count = 38 if layout == 'hf' else 30
    assert lines[3].startswith(f'Wrote {out}: {count} tensors, layout {layout}; ')
    assert lines[5].startswith('Build it there: ')

    code, text, _ = convert(out, tmp_path / 'back.pth')
    assert code == 0
    before = torch.load(checkpoint)['model']
    after = torch.load(tmp_path / 'back.pth')['state_dict']
    assert after.keys() == before.keys() - {'head.weight'}
    assert all(torch.equal(after[name], before[name]) for name in after)


def test_overwrite_replaces(convert, checkpoint, tmp_path):
    out = tmp_path / 'out.pth'
    out.write_text('old')
    arguments = (checkpoint, out, '--num-heads', 2)
    assert convert(*arguments)[0] == 2
    assert out.read_text() == 'old'
    assert convert(*arguments, '--overwrite')[0] == 0
    assert torch.load(out)['meta']['ccmim']['layout'] == 'ccmim'
