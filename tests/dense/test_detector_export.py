"""A whole detector in onnxruntime finds what mmdet finds."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope

from ccmim.engine.settings import fit_sizes

pytest.importorskip('mmdet')

ROOT = Path(__file__).parents[2] / 'mm_configs'
SIDE = 64
LEAVES = ['demo/fcos_toy_64px.py', 'small/mask_rcnn_vitt_penn_fudan.py']
LEAVES += ['small/cascade_mask_rcnn_vitt_penn_fudan.py']


@pytest.fixture
def whole(monkeypatch):
    """Make what is exported, of a small network of random weights."""
    from ccmim.export import whole as module

    def make(leaf, **settings):
        cfg = Config.fromfile(ROOT / leaf)
        arch = dict(embed_dim=128, depth=1, num_heads=2)
        options = dict(out_indices=(0,)) if 'fcos' in leaf else {}
        cfg.model.backbone.update(arch=arch, img_size=SIDE, init_cfg=None, **options)
        fit_sizes(cfg)
        test = cfg.model.test_cfg.get('rcnn', cfg.model.test_cfg)
        test.update(max_per_img=20, score_thr=0.0)
        cfg.model.update(settings)
        torch.manual_seed(0)
        with DefaultScope.overwrite_default_scope('mmdet'):
            model = MODELS.build(cfg.model)
        for name, value in model.named_parameters():
            if value.ndim > 1:  # so that scores and boxes differ from place to place
                torch.nn.init.kaiming_normal_(value)
                value.data *= 0.1 if 'fc_reg' in name or 'rpn_reg' in name else 1
        found = SimpleNamespace(classes=('a',), model=model)
        monkeypatch.setattr(module, 'config_of', lambda _: cfg)
        monkeypatch.setattr(module, 'Predictor', lambda *_: found)
        return module.Whole('run.pth')

    return make


@pytest.mark.slow
@pytest.mark.parametrize('leaf', LEAVES)
@torch.no_grad()
def test_it_finds_the_same(leaf, whole, tmp_path):
    """Boxes, scores, labels and masks, also of a photo with no object."""
    runtime = pytest.importorskip('onnxruntime')
    from ccmim.export.whole import compare_whole, export_whole

    made, file = whole(leaf), tmp_path / 'all.onnx'
    photos = 255 * torch.rand(3, 1, 3, SIDE, SIDE)
    if head := getattr(made.model, 'roi_head', None):
        best = sorted(made.predict(photo)[1].max().item() for photo in photos)
        for test in (head.test_cfg, made.model.test_cfg.rcnn):
            test.score_thr = 0.4 * best[0] + 0.6 * best[1]  # no other score
    export_whole(made, file)
    session = runtime.InferenceSession(str(file))
    counts = []
    for photo in photos:
        wanted = made.predict(photo)
        found = [torch.tensor(x) for x in session.run(None, {'images': photo.numpy()})]
        counts.append(len(found[1]))
        for ours, theirs in zip(wanted[:3], found[:3], strict=True):
            torch.testing.assert_close(theirs, ours, rtol=1e-4, atol=1e-4)
        assert len(found) == len(wanted) == 3 + ('mask' in leaf)
        for ours, theirs in zip(wanted[3:], found[3:], strict=True):
            assert ours.shape == theirs.shape == (counts[-1], SIDE, SIDE)
            assert ((ours != theirs).sum() <= 1e-4 * ours.numel()).item()
    assert 0 < max(counts) <= 20
    assert (min(counts) == 0) == bool(head)
    assert compare_whole(made, file)[0] < 1e-4


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (dict(nms=dict(type='soft_nms', iou_threshold=0.5)), 'suppression soft_nms'),
        (dict(nms=dict(type='nms', iou_threshold=0.5, max_num=3)), "with .*'max_num'"),
    ],
)
def test_another_arithmetic_is_refused_in_a_line(change, message, whole):
    settings = Config.fromfile(ROOT / 'demo/fcos_toy_64px.py').model.test_cfg
    with pytest.raises(ValueError, match=message) as error:
        whole('demo/fcos_toy_64px.py', test_cfg={**settings, **change})
    assert '\n' not in str(error.value)
