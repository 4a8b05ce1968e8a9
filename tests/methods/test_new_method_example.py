"""The example of CONTRIBUTING.md is a method: it trains, resumes and transfers."""

import importlib.util
import re
import shutil

import pytest
import torch
from mmengine.config import Config

from ccmim.engine.launch import build_runner
from ccmim.registry import MODELS
from tests.short_runs import ARCH, DECODER, SHORT


@pytest.fixture(scope='module')
def example(request, tmp_path_factory):
    """Write the files that the page shows beside a copy of the configs; their root."""
    source, root = request.config.rootpath, tmp_path_factory.mktemp('example')
    shutil.copytree(source / 'mm_configs', root / 'mm_configs')
    text = (source / 'CONTRIBUTING.md').read_text()
    blocks = re.findall(r'```python\n# (\S+)\n(.*?)```', text, re.DOTALL)
    assert [path.split('/')[0] for path, _ in blocks] == ['ccmim', 'mm_configs']
    for path, code in blocks:
        assert not (source / path).exists()
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(code)
    spec = importlib.util.spec_from_file_location('example', root / blocks[0][0])
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    yield root / blocks[1][0]
    MODELS._module_dict.pop('MeanColor')


@pytest.fixture
def run(example, image_folder, tmp_path):
    """Train the example, cut down, for three epochs of two steps; the runner."""

    def run(name, **changes):
        cfg = Config.fromfile(example)
        cfg.model.backbone.update(arch=ARCH, img_size=64)
        cfg.merge_from_dict(
            {
                **SHORT,
                'work_dir': str(tmp_path / name),
                'experiment_name': f'example_{name}',
                'model.decoder': DECODER,
                'train_dataloader.batch_size': 4,
                'train_cfg.max_epochs': 3,
                **changes,
            }
        )
        cfg.train_dataloader.dataset.data = str(image_folder)
        runner = build_runner(cfg)
        runner.train()
        return runner

    return run


def test_it_trains_resumes_and_transfers(run, tiny_vit, tmp_path):
    """Bit for bit, and without a missing or unexpected key."""
    straight = run('straight').model.state_dict()
    file = str(tmp_path / 'straight' / 'epoch_1.pth')
    torch.manual_seed(99)
    resumed = run('resumed', load_from=file, resume=True).model.state_dict()
    assert all(torch.equal(resumed[k], straight[k]) for k in straight)
    vit = tiny_vit(init_cfg=dict(type='Pretrained', checkpoint=file))
    vit.init_weights()
    moved = vit.state_dict()['blocks.0.attn.qkv.weight']
    assert not torch.equal(moved, straight['backbone.blocks.0.attn.qkv.weight'])


def test_it_learns(example, images):
    """Colors of patches that are all of one color in an image."""
    cfg = Config.fromfile(example).model
    cfg.backbone.update(arch=ARCH, img_size=64)
    cfg.decoder.update(in_dim=32, embed_dim=16, depth=1, img_size=64)
    for part in (cfg, cfg.backbone, cfg.scorer, cfg.sampler, cfg.decoder):
        part.type = f'ccmim.{part.type}'
    model, totals = MODELS.build(dict(cfg, data_preprocessor=None)), []
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    flat = torch.randn(8, 3, 1, 1).expand(8, 3, 64, 64)
    for _ in range(60):
        losses = model.loss(flat)
        optimizer.zero_grad()
        losses['loss_color'].backward()
        optimizer.step()
        totals.append(losses['loss_color'].item())
    assert sum(totals[-5:]) < 0.3 * sum(totals[:5])
    assert losses['mask_importance_gap'] == 0
