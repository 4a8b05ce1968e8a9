"""tools/visualize.py draws on any folder."""

import os
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.logging import MessageHub
from mmengine.registry import DefaultScope
from PIL import Image

from ccmim.checkpoints import Weights, read_weights, write_weights
from ccmim.registry import MODELS

CONFIG = 'mm_configs/small/ccmim_vitt.py'
OPTIONS = ['model.backbone.arch.embed_dim=192', 'model.backbone.arch.depth=1']
OPTIONS += ['model.backbone.arch.num_heads=3']
INFO = dict(epoch=1, max_epochs=4, iter=20, max_iters=80)


@pytest.fixture
def visualize(request, monkeypatch, run_tool, image_folder, tmp_path):
    """Run the command; its exit code, what it prints and its complaints."""
    monkeypatch.chdir(request.config.rootpath)

    def visualize(*words, images=image_folder):
        where = ['--out', tmp_path / 'out', '--device', 'cpu']
        return run_tool('visualize.py', words[0], images, *where, *words[1:])

    return visualize


@pytest.fixture
def run_file(request, tmp_path):
    """A checkpoint of a run with one block, and a config of it."""
    cfg = Config.fromfile(request.config.rootpath / CONFIG)
    cfg.model.backbone.arch = dict(embed_dim=192, depth=1, num_heads=3)
    with DefaultScope.overwrite_default_scope('ccmim'):
        method = MODELS.build(cfg.model)
    content = dict(
        state_dict=method.state_dict(),
        meta=dict(cfg='raise SystemExit("executed")'),
        message_hub=dict(runtime_info=INFO),
    )
    torch.save(content, tmp_path / 'run.pth')
    (tmp_path / 'config.py').write_text(cfg.pretty_text)
    return tmp_path / 'run.pth', tmp_path / 'config.py'


def test_a_run_shows_all_there_is(visualize, run_file, tmp_path):
    checkpoint, config = run_file
    code, out, _ = visualize(checkpoint, '--config', config, '--num', 2)
    names = ['masks', 'attention', 'pca', 'neighbors', 'tsne']
    assert code == 0
    hub = MessageHub.get_current_instance()  # masks are those of the epoch
    assert {key: hub.get_info(key) for key in INFO} == INFO
    written = [line for line in out.splitlines() if line.endswith('.png')]
    assert written == [str(tmp_path / f'out/{name}.png') for name in names]
    for file in written:
        low, high = Image.open(file).convert('L').getextrema()
        assert high - low > 100


@pytest.mark.slow
def test_a_backbone_of_another_project(visualize, run_file, tmp_path, image_folder):
    """Without a config; a damaged image is named and left out."""
    weights: Weights = read_weights(run_file[0])
    write_weights(weights, tmp_path / 'timm.safetensors', 'timm')
    (image_folder / 'part0' / '0.jpg').write_bytes(b'broken')
    code, out, err = visualize(tmp_path / 'timm.safetensors', '--num', 8)
    assert code == 0
    assert 'masks: left out, masks need the --config of a pretraining run' in out
    assert err.count('0.jpg: not an image') + err.count('0.jpg: unknown kind') == 4
    assert len(os.listdir(tmp_path / 'out')) == 4


@pytest.mark.slow
def test_predictions_beside_the_truth(visualize, request, tmp_path, monkeypatch):
    """Two detectors of chance on toy scenes, and one of another config."""
    pytest.importorskip('mmdet')
    from ccmim.apps.demo.scenes import write_toy_scenes
    from ccmim.dense import predictions
    from ccmim.engine.config import read_config

    write_toy_scenes(tmp_path / 'scenes', 4, 2)
    monkeypatch.setenv('CCMIM_TOY', str(tmp_path / 'scenes'))
    config = 'mm_configs/demo/mask_rcnn_toy.py'
    cfg = read_config(str(request.config.rootpath / config))
    with DefaultScope.overwrite_default_scope('mmdet'):
        from mmdet.registry import MODELS as DETECTORS

        detector = DETECTORS.build(cfg.model)
    data = cfg.test_dataloader.dataset
    meta = dict(dataset_meta=dict(data.metainfo))
    for name in 'ab':
        (tmp_path / name).mkdir()
        content = dict(state_dict=detector.state_dict(), meta=meta)
        torch.save(content, tmp_path / name / 'iter_1.pth')
    images = os.path.join(data.data_root, data.data_prefix.img)
    words = ['--config', config, '--compare', tmp_path / 'b/iter_1.pth', '--num', '1']
    code, out, err = visualize(tmp_path / 'a/iter_1.pth', *words, images=images)
    assert code == 0, err
    assert 'no truth' not in out
    width = Image.open(tmp_path / 'out/predictions.png').width
    assert width == 2 * 14 + 4 * 426 - 6  # image, truth, a, b
    folders = (tmp_path / 'scenes/images/training', Path(images))
    photos = [str(min(folder.iterdir())) for folder in folders]
    found = predictions._truth(cfg, photos)
    assert [one.img_path for one in found] == photos, 'where they are labeled'
    assert all(len(one.gt_instances.bboxes) for one in found)
    assert predictions._truth(cfg, [photos[0], 'elsewhere.png']) == []

    del content['state_dict']['backbone.cls_token']
    torch.save(content, tmp_path / 'b/iter_1.pth')
    code, _, err = visualize(tmp_path / 'a/iter_1.pth', *words, images=images)
    assert code == 2
    assert 'b/iter_1.pth is no checkpoint of this MaskRCNN' in err
