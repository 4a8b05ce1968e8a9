"""Weights and features that are no numbers are refused, and the weight is named."""

from unittest.mock import Mock

import pytest
import timm
import torch
from mmengine.runner.checkpoint import CheckpointLoader, load_checkpoint

import ccmim
from ccmim.checkpoints import guard_mmengine, load_backbone, load_file
from ccmim.evaluation import extract_features
from ccmim.evaluation.dense_features import compute_dense
from ccmim.evaluation.patch_knn import remember_patches
from ccmim.pictures.saved_method import fill
from ccmim.teachers import TimmTeacher

NAME = 'blocks.1.mlp.fc1.bias'


def _load_from(model, file):
    known = CheckpointLoader._schemes.copy()
    guard_mmengine()
    load_checkpoint(model, str(file))
    CheckpointLoader._schemes = known


LOADS = dict(
    init_cfg=lambda model, file: load_backbone(model.backbone, file),
    load_from=_load_from,
    pretrained=lambda model, file: ccmim.get_model('mae_vitt', pretrained=file),
    file=lambda model, file: ccmim.get_model(file),
    fill=lambda model, file: fill(model, load_file(file)['state_dict'], file),
)


@pytest.mark.parametrize('load', LOADS.values(), ids=LOADS)
@pytest.mark.parametrize(
    ('value', 'said'),
    [
        (torch.nan, 'holds NaN'),
        (-torch.inf, 'holds an infinite value'),
        (1j, r'(holds complex numbers|is of complex64: complex weights)'),
    ],
)
def test_weights_are_checked_once_when_they_are_loaded(tmp_path, load, value, said):
    model = ccmim.get_model('mae_vitt')
    state = model.state_dict()
    torch.save(dict(state_dict=state), tmp_path / 'good.pth')
    load(model, tmp_path / 'good.pth')
    state[f'backbone.{NAME}'] = state[f'backbone.{NAME}'] + value
    torch.save(dict(state_dict=state), tmp_path / 'bad.pth')
    with pytest.raises(ValueError, match=rf'bad.pth.*: (backbone\.)?{NAME} {said}'):
        load(model, tmp_path / 'bad.pth')


def test_weights_of_a_teacher_of_timm_are_checked(tmp_path):
    state = timm.create_model('vit_tiny_patch16_224').state_dict()
    state[NAME][0] = torch.nan
    torch.save(state, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match=f'a.pth: {NAME} holds NaN'):
        TimmTeacher('vit_tiny_patch16_224', (2, 2), str(tmp_path / 'a.pth'))


EXTRACTORS = dict(
    dense=lambda vit, images: compute_dense(
        vit, [Mock(**{'pixels.return_value': x}) for x in images], (64, 64), torch.clone
    ),
    api=lambda vit, images: ccmim.extract_features(vit, images),
    probes=lambda vit, images: extract_features(
        vit, [dict(inputs=images, labels=torch.zeros(4))]
    ),
    patches=lambda vit, images: remember_patches(
        vit, [(images, torch.zeros(4, 64, 64).long())], 1
    ),
)


@pytest.mark.parametrize('extract', EXTRACTORS.values(), ids=EXTRACTORS)
def test_features_that_are_not_finite_name_the_weight(tiny_vit, images, extract):
    vit = tiny_vit()
    extract(vit, images)
    images[0, 0, 0, 0] = torch.nan
    with pytest.raises(ValueError, match='not finite: all weights are, look at the im'):
        extract(vit, images)
    with torch.no_grad():
        vit.get_parameter(NAME)[0] = torch.nan
    with pytest.raises(ValueError, match=f'features are not finite: {NAME} holds NaN'):
        extract(vit, images)
