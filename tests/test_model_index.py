"""model-index.yml and its metafiles say what is there, and no result that is not."""

from pathlib import Path

import pytest
import torch
import yaml

import ccmim
from ccmim.api.catalogue import config_file

FOLDERS = ('pretrain', 'detection', 'segmentation', 'panoptic', 'classification')


@pytest.fixture(scope='module')
def root(request):
    return request.config.rootpath


@pytest.fixture(scope='module')
def metafiles(root):
    """Content of each metafile that the index imports, by path."""
    index = yaml.safe_load((root / 'model-index.yml').read_text())
    return {path: yaml.safe_load((root / path).read_text()) for path in index['Import']}


def test_the_index_imports_every_metafile(root, metafiles):
    found = {str(p.relative_to(root)) for p in root.glob('mm_configs/*/metafile.yml')}
    assert set(metafiles) == found
    assert found == {f'mm_configs/{folder}/metafile.yml' for folder in FOLDERS}


def test_every_config_of_these_folders_is_listed_once_and_under_its_name(
    root, metafiles
):
    for path, content in metafiles.items():
        listed = [model['Config'] for model in content['Models']]
        files = [str(p.relative_to(root)) for p in (root / path).parent.glob('*.py')]
        assert sorted(listed) == sorted(files), path
        for model in content['Models']:
            assert model['Name'] == Path(model['Config']).stem
            assert config_file(model['Name']) == root / model['Config']


def test_nothing_is_claimed_that_nobody_measured(metafiles):
    """A result needs weights that somebody can test; there are none."""
    for content in metafiles.values():
        for model in content['Models']:
            assert model['Results'] is None or 'Weights' in model, model['Name']


def test_parameters_are_those_of_the_model(metafiles):
    """MAE's ViT-B with its decoder has 111.9 million, as its authors count."""
    models = {m['Name']: m for c in metafiles.values() for m in c['Models']}
    with torch.device('meta'):
        built = ccmim.get_model('mae_vitb')
    listed = models['mae_vitb']['Metadata']['Parameters']
    assert listed == sum(p.numel() for p in built.parameters()) == 111_907_840
