"""Each full-size config, as built, is its recipe in mm_configs/recipes.yml."""

import ast
import copy
import re

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.registry import DefaultScope

from ccmim.engine.resume.settings import count_epochs, settle_positions
from ccmim.engine.settings.dense_sizes import fit_dense
from list_recipes import FOLDERS, PAGE, ROOT, figure, page, read_table
from tests.configs import effective

pytest.importorskip('mmdet')
pytest.importorskip('mmseg')

CONFIGS = ROOT / 'mm_configs'
TABLE = read_table()
RECIPES = TABLE['recipes']


def load(name):
    cfg = Config.fromfile(CONFIGS / f'{name}.py')
    fit_dense(cfg)
    settle_positions(cfg.model)
    if epochs := cfg.get('train_cfg', {}).get('max_epochs'):
        cfg.model = count_epochs(cfg.model, epochs)
        cfg.custom_hooks = count_epochs(cfg.get('custom_hooks', []), epochs)
    return cfg


def departures(name):
    entry = RECIPES[name]
    return [*entry.get('inherited', []), *entry['departs']]


def values(name):
    """What a config must come to: the source's values, and ours where it departs."""
    entry = RECIPES[name]
    parts = ('train', 'data', 'hooks', 'model')
    found = {k: copy.deepcopy(entry.get(k)) for k in parts}
    for part in departures(name):
        for path, value in part.get('ours', {}).items():
            *parents, last = path.split('.')
            node = found
            for key in parents:
                node = node.get(key, {})  # a part that this one has in place of it
            node[last] = value
    return found


def problems(name, cfg):
    """Lines that say where a config is not its recipe."""
    table = values(name)
    data = {
        key: cfg[f'{key}_dataloader'].dataset
        for key in ('train', 'val')
        if f'{key}_dataloader' in cfg
    }
    hooks = cfg.get('custom_hooks', [])
    with DefaultScope.overwrite_default_scope(cfg.default_scope):
        for key, part in dict(data=data, hooks=hooks, model=cfg.model).items():
            yield from effective.differences(table[key], effective.plain(part), key)
    if not table['train']:
        assert 'optim_wrapper' not in cfg
        return
    train, found = table['train'], effective.training(cfg)
    free = train.pop('not_decayed', [])
    if effective.same(found['warm_up_from'], 1e-4 * found['rate']):
        found['warm_up_from'] = 0  # see `everywhere`
    for kind, decayed in found.pop('not_decayed', {}).items():
        if decayed == (kind in free):
            yield f'train.not_decayed: {kind} decayed: {decayed}'
    yield from effective.differences(train, found, 'train')
    always = TABLE['always']['epochs' if 'epochs' in train else 'iterations']
    for path, value in always.items():
        node = cfg
        for key in path.split('.'):
            node = node[int(key)] if isinstance(node, list) else node.get(key)
        if not effective.same(value, effective.plain(node)):
            yield f'{path}={node}, {value} in the table'
    batch = cfg.auto_scale_lr.base_batch_size
    if batch != train['batch']:
        yield f'auto_scale_lr.base_batch_size={batch}, {train["batch"]} in the table'
    length = train.get('epochs') or train['iterations']
    drops = [drop / length for drop in train.get('drops', [])]
    steps = np.arange(effective.POINTS) / effective.POINTS
    looked_at = np.all([abs(steps - drop) > 0.002 for drop in drops], axis=0)
    parts = {'rest'} | {s.get('part', 'rest') for s in cfg.param_scheduler}
    for part in parts:  # unless it has stages of its own, the backbone has the others
        wanted = effective.expected_curves(train, part)
        apart = abs(effective.curves(cfg, part) - wanted) * looked_at
        for name, line in zip(('rate', 'weight decay'), apart, strict=True):
            if line.max() > 1e-4:
                where = f'of the {part} departs from its curve'
                yield f'the {name} {where} at {steps[line.argmax()]}'


def test_the_table_holds_every_full_size_config():
    leaves = {
        f'{folder}/{path.stem}'
        for folder in FOLDERS
        for path in (CONFIGS / folder).glob('*.py')
    }
    assert set(RECIPES) == leaves


@pytest.mark.parametrize('name', RECIPES)
def test_a_config_is_its_recipe(name):
    assert list(problems(name, load(name))) == []


# Of which config, what is changed, and where it is found unless by that key; the last
# but one is a key that no table has.
CHANGED = """
pretrain/hpm_vitb optim_wrapper.optimizer.lr=2.4e-3 train.rate
pretrain/amt_simmim_vitb param_scheduler.1.eta_min_ratio=0.0 train.end
pretrain/maskdistill_vitb param_scheduler.0.start_factor=1e-4 train.warm_up_from
pretrain/simmim_vitb optim_wrapper.paramwise_cfg.no_decay_names=() train.not_decayed
pretrain/simmim_vits train_dataloader.dataset.transform.0.interpolation='bicubic'
pretrain/hpm_vits model.reconstruction.norm_pix=True
pretrain/amt_mae_vitb model.sampler.then.throw_ratio=0.3
classification/linear_vitb_imagenet train_dataloader.dataset.transform.0.one_draw=False
segmentation/upernet_vitl_ade20k optim_wrapper.paramwise_cfg.layer_decay=0.9 train.layer
detection/mask_rcnn_vitb_coco model.train_cfg.rcnn.assigner.match_low_quality=True
pretrain/conmim_vitb train_dataloader.sampler.shuffle=False train_dataloader.sampler
pretrain/mae_vitb model.backbone.qk_norm=True
detection/cascade_mask_rcnn_vitb_coco param_scheduler.1.gamma=0.5 train.drop_to
"""


@pytest.mark.parametrize('row', CHANGED.strip().splitlines())
def test_a_changed_value_is_found(row):
    name, change, *found = row.split(maxsplit=2)
    key, value = change.split('=')
    (found,) = found or [key.replace('train_dataloader.dataset', 'data.train')]
    cfg = load(name)
    cfg.merge_from_dict({key: ast.literal_eval(value)})
    assert [line for line in problems(name, cfg) if line.startswith(found)]


def _decimals(text):
    return set(re.findall(r'(?<!\d)\d{1,3}\.\d+', text))


@pytest.mark.parametrize('name', RECIPES)
def test_the_docstring_has_figures_and_departures_of_the_table(name):
    """Each figure, its departures (with figures all, else its own), no other figure."""
    entry = RECIPES[name]
    doc = ast.get_docstring(ast.parse((CONFIGS / f'{name}.py').read_text()))
    doc = ' '.join(doc.split())
    for part in entry['figures']:
        assert figure(part) in doc
    for part in departures(name) if entry['figures'] else entry['departs']:
        assert part['what'] in doc
    known = _decimals(str(entry))
    assert _decimals(doc) <= known


def test_departures_are_departures():
    """Their values are not the source's, and each has a reason."""
    for name, entry in RECIPES.items():
        for part in [*entry['departs'], *TABLE['everywhere']]:
            assert part['what']
            assert part['why']
            for path, ours in part.get('ours', {}).items():
                node = entry
                for key in path.split('.'):
                    node = node[key]
                assert not effective.same(node, ours), (name, path)


def test_figures_name_their_source_and_file():
    for name, entry in RECIPES.items():
        assert entry['source'] in TABLE['sources'], name
        for part in entry['figures']:
            assert {'value', 'of', 'file'} <= part.keys()
            assert part.keys() <= {'value', 'of', 'file', 'source', 'note'}
            source = TABLE['sources'][part.get('source', entry['source'])]
            assert source.get('commit'), name


def test_the_page_is_made_of_the_table():
    assert PAGE.read_text('utf-8') == page(TABLE), 'tools/list_recipes.py --write'


def test_figures_in_the_docs_are_those_of_the_table():
    """Of each row of a config, and of the pages' words on published ones."""
    text = (ROOT / 'docs/transfer.md').read_text()
    rows = re.findall(r'^\| `(\w+)` \|(.*)$', text, re.M)
    entries = {name.split('/')[1]: entry for name, entry in RECIPES.items()}
    assert {leaf for leaf, _ in rows} <= entries.keys()
    for leaf, row in rows:
        assert _decimals(row) <= _decimals(str(entries[leaf])), leaf
