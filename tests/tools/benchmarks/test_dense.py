"""Dense fine-tuning is measured on what its loaders would give."""

import itertools
import json
from pathlib import Path

import pytest
import torch

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
TOOL = 'benchmark_dense.py'  # of the fixture `command`
DETECTION = str(ROOT / 'mm_configs/detection/mask_rcnn_vits_coco.py')
SEGMENTATION = str(ROOT / 'mm_configs/segmentation/upernet_vits_ade20k.py')
TINY = {'model.backbone.arch': 'tiny'}
FEW_BOXES = {'model.train_cfg.rcnn.sampler.num': 16}
HEADS = {'model.decode_head.channels': 16}


def _task(config, variant='plain'):
    from benchmarks.dense import DenseTask

    options = TINY | (FEW_BOXES if config == DETECTION else HEADS)
    return DenseTask(config, variant, options, torch.device('cpu'), side=96)


def test_objects_lie_on_the_canvas_and_masks_in_their_boxes():
    task = _task(DETECTION)
    batch = task.batch(2, seed=3)
    assert [image.shape for image in batch['inputs']] == [(3, 96, 96)] * 2
    assert batch['inputs'][0].dtype == torch.uint8
    found = batch['data_samples'][1].gt_instances
    assert len(found) == 7
    assert ((found.bboxes >= 0) & (found.bboxes <= 96)).all()
    assert ((found.labels >= 0) & (found.labels < 80)).all()
    for mask, (left, top, right, bottom) in zip(
        found.masks.masks, found.bboxes.int().tolist(), strict=True
    ):
        assert mask[top : bottom + 1, left : right + 1].all()
        assert mask.sum() == (bottom + 1 - top) * (right + 1 - left)
    again = task.batch(2, seed=3)['data_samples'][1].gt_instances
    assert torch.equal(again.bboxes, found.bboxes)
    other = task.batch(2, seed=4)['data_samples'][1].gt_instances
    assert not torch.equal(other.bboxes, found.bboxes)


def test_classes_cover_the_crop():
    sample = _task(SEGMENTATION).batch(1, seed=0)['data_samples'][0]
    classes = sample.gt_sem_seg.data
    assert classes.shape == (1, 96, 96)
    assert len(classes.unique()) == 9
    assert 0 <= classes.min() <= classes.max() < 150


def test_a_segmentor_needs_two_images():
    with pytest.raises(ValueError, match='upernet_vits_ade20k has norms over the bat'):
        _task(SEGMENTATION).row('fp32', 1)
    assert _task(DETECTION).row('fp32', 1).label.batch_size == 1


@pytest.mark.parametrize('config', [DETECTION, SEGMENTATION])
def test_a_row_trains_the_network(config):
    from benchmarks.flops import saved_bytes

    task = _task(config)
    row = task.row('bf16', 2)
    assert row.label[:3] == ('dense', 't', 2)
    heads = task.model.roi_head if config == DETECTION else task.model.decode_head
    parts = {'neck': task.model.neck, 'heads': heads}
    weights = {n: next(p for p in m.parameters() if p.ndim == 4)
               for n, m in parts.items()}  # fmt: skip
    before = {name: weight.detach().clone() for name, weight in weights.items()}
    with row.feed() as batches:
        row.train(itertools.islice(batches, 1))
        kept = saved_bytes(lambda: row.loss(next(batches)), row.state())
    assert [n for n, w in weights.items() if torch.equal(w, before[n])] == []
    tokens, width, depth = 2 * (6 * 6 + 1), 192, 12
    assert kept > depth * 2 * tokens * 8 * width  # at least what 8 layers take, in bf16
    assert task.row('bf16', 2, predicts=True).loss is None


def test_the_command_prints_a_table_and_writes_files(command, tmp_path, capsys):
    options = [f'{key}={value}' for key, value in (TINY | HEADS).items()]
    arguments = ['--side', 64, '--precisions', 'fp32', '--rounds', 2, '--out', tmp_path]
    variants = ['--variants', 'plain', 'channels_last']
    assert command(SEGMENTATION, *arguments, *variants, '--cfg-options', *options) == 0
    printed = capsys.readouterr().out
    assert 'upernet_vits_ade20k: 64 x 64 pixels' in printed
    rows = json.loads((tmp_path / 'benchmark.json').read_text())['rows']
    name = 'upernet_vits_ade20k'
    assert [row['method'] for row in rows] == [name, f'{name} channels_last']
    assert rows[0]['exact_ratio'] is None
    assert rows[1]['exact_ratio'] > 0
    assert [len(row['seconds_of_rounds']) for row in rows] == [2, 2]
