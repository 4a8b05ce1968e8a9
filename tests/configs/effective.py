"""What a config comes to when it is built, and how that differs from a table.

Of the optimizer's groups, the schedule and the batch the values are read from what is
built. Of parts (the model, transforms, hooks) they are those of the config, with the
defaults of the parts' classes for what a config leaves out.
"""

import inspect
import math

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.registry import (
    DATASETS,
    HOOKS,
    MODELS,
    PARAM_SCHEDULERS,
    TRANSFORMS,
    DefaultScope,
)

from ccmim.engine.optim.schedule import fit_schedule
from ccmim.teachers import EMATeacher

GPUS = 8
POINTS = 2000  # at which a curve is looked at
MISSING = object()
# Where files are and how fast they are read: no part of a recipe.
IGNORED = {
    *('init_cfg', 'data', 'data_root', 'ann_file', 'data_prefix', 'least_side'),
    *('checkpoint', 'pretrained', 'frequencies', 'interval', 'metainfo', 'captions'),
}
KINDS = {
    'CosineAnnealingLR': 'cosine',
    'MultiStepLR': 'steps',
    'PolyLR': 'polynomial',
    'ccmim.PartPolyLR': 'polynomial',
}


def build(cfg):
    """The model on no device, and its optimizer wrapper."""
    scope = cfg.default_scope
    wrapper = cfg.optim_wrapper.copy()
    wrapper.optimizer.pop('fused', None)  # there is none without memory
    with DefaultScope.overwrite_default_scope(scope), torch.device('meta'):
        model = MODELS.build(cfg.model)
        return model, build_optim_wrapper(model, wrapper)


def training(cfg):
    """Values of the training, in the words of the table."""
    model, wrapper = build(cfg)
    groups = wrapper.optimizer.param_groups
    optimizer, options = cfg.optim_wrapper.optimizer, cfg.optim_wrapper
    by_epoch = 'max_epochs' in cfg.train_cfg
    length = cfg.train_cfg.max_epochs if by_epoch else cfg.train_cfg.max_iters
    ends = (length, length * 100, 100) if by_epoch else (None, length)
    listed = fit_schedule(cfg.param_scheduler, *ends)
    vit = [s for s in listed if s.get('part') == 'backbone']
    warm_up, decay, *others = [s for s in listed if s not in vit]
    unit = 100 if by_epoch else 1  # steps
    rate = max(group['lr'] for group in groups)
    decays = sorted({group['weight_decay'] for group in groups})
    found = dict(
        optimizer=optimizer.type,
        rate=rate,
        weight_decay=decays[-1],
        **_layer_decay(model, groups),
        clip=options.get('clip_grad') and options.clip_grad.max_norm,
        batch=GPUS
        * cfg.train_dataloader.batch_size
        * options.get('accumulative_counts', 1),
        warm_up=(warm_up['end'] - warm_up.get('begin', 0)) / unit,
        warm_up_from=warm_up['start_factor'] * rate,
        schedule=KINDS[decay['type']],
    )
    found['epochs' if by_epoch else 'iterations'] = length
    if vit:  # as its curve shows, too
        found['vit_warm_up'] = [vit[1]['begin'], vit[1]['end']]
    if 'contrast' in cfg.model:
        found['step'] = GPUS * cfg.train_dataloader.batch_size
    if 'betas' in optimizer:
        found['betas'] = list(optimizer.betas)
    else:
        found['momentum'] = optimizer.momentum
        found['trust'] = optimizer.trust_coeff
    if decays[-1]:
        found['not_decayed'] = not_decayed(model, groups)
    if decay['type'] == 'MultiStepLR':
        found['drops'] = [m / unit for m in decay['milestones']]
        found['drop_to'] = decay['gamma']
    else:
        found['end'] = decay.get('eta_min') or decay.get('eta_min_ratio', 0) * rate
    if decay['type'].endswith('PolyLR'):
        found['power'] = decay['power']
    if others:
        (other,) = others
        assert other['type'] == 'CosineAnnealingParamScheduler'
        assert other['param_name'] == 'weight_decay'
        assert (other.get('begin', 0), other['end']) == (0, decay['end'])
        found['weight_decay_end'] = other['eta_min']
    return found


def kind(name, module):
    """What a parameter is."""
    last = name.split('.')[-1]
    if last in ('cls_token', 'pos_embed'):
        return {'cls_token': 'class token', 'pos_embed': 'positions'}[last]
    if 'mask_token' in name:
        return 'mask tokens'
    if 'rel_pos' in last or 'relative_position' in last:
        return 'relative positions'
    if last == 'gamma':
        return 'layer scales'
    if 'Norm' in type(module).__name__ or 'LN' in type(module).__name__:
        return 'norms of blocks' if '.blocks.' in f'.{name}' else 'other norms'
    return 'biases' if last == 'bias' else 'weights'


def not_decayed(model, groups):
    """Kinds of parameters without weight decay; a kind is treated as one."""
    by_id = {id(p): g['weight_decay'] for g in groups for p in g['params']}
    kinds = {}
    for prefix, module in model.named_modules():
        for last, param in module.named_parameters(recurse=False):
            if param.requires_grad:
                name = f'{prefix}.{last}'
                kinds.setdefault(kind(name, module), {})[by_id[id(param)] > 0] = name
    assert all(len(found) == 1 for found in kinds.values()), kinds
    return {name: next(iter(found)) for name, found in kinds.items()}


def _layer_decay(model, groups):
    """Rates by depth: from block to block; and of the ends, where they stand out."""
    names = {id(p): n for n, p in model.named_parameters()}
    rates = {names[id(p)]: g['lr'] for g in groups for p in g['params']}
    top = max(rates.values())
    depths = {}
    for name, rate in rates.items():
        if name.startswith('backbone.'):
            depth = model.backbone.layer_id(name.removeprefix('backbone.'))
            depths.setdefault(depth, set()).add(rate / top)
        else:
            assert rate == top, name
    alike = set().union(*depths.values())
    if len(alike) < 2:  # all blocks learn at one rate, of the rest or of their own
        found = dict(layer_decay=1.0)
        return found if alike <= {1.0} else dict(found, backbone=alike.pop())
    assert all(len(ratios) == 1 for ratios in depths.values())
    rate_of = {depth: ratio for depth, (ratio,) in depths.items()}
    blocks = [rate_of[i] for i in sorted(rate_of) if 0 < i <= model.backbone.depth]
    decays = {round(a / b, 6) for a, b in zip(blocks, blocks[1:], strict=False)}
    assert len(decays) == 1, decays
    assert rate_of.get(model.backbone.depth + 1, 1.0) == 1.0
    found = dict(layer_decay=decays.pop())
    embedding = rate_of.get(0, blocks[0] * found['layer_decay']) / blocks[0]
    if same(blocks[-1], found['layer_decay']):  # as in MAE: one depth after another
        assert same(embedding, found['layer_decay'])
        return found
    return dict(found, last_block=blocks[-1], embedding=embedding)


def curves(cfg, part='rest'):
    """Rate and weight decay at ``POINTS`` steps of a run, as shares of their most."""
    named = [dict(params=[torch.zeros(1)], part=p) for p in ('rest', 'backbone')]
    optimizer = torch.optim.SGD(named, lr=1.0, weight_decay=1.0)
    group = next(g for g in optimizer.param_groups if g['part'] == part)
    schedulers = []
    for scheduler in fit_schedule(cfg.param_scheduler, POINTS, POINTS, 1):
        scheduler = {**scheduler, 'by_epoch': False}
        if scheduler.get('eta_min') and scheduler['type'] != 'PolyLR':
            of_decay = scheduler.get('param_name') == 'weight_decay'
            most = cfg.optim_wrapper.optimizer['weight_decay' if of_decay else 'lr']
            scheduler['eta_min'] /= most
        schedulers.append(
            PARAM_SCHEDULERS.build(scheduler, default_args=dict(optimizer=optimizer))
        )
    found = []
    for _ in range(POINTS):
        found.append([group[k] for k in ('lr', 'weight_decay')])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return np.array(found).T


def expected_curves(train, part='rest'):
    """The same, from a table's values."""
    total = train.get('epochs') or train['iterations']
    step = np.arange(POINTS)
    begin, still = round(train['warm_up'] / total * POINTS), 0
    if part == 'backbone' and 'vit_warm_up' in train:
        still, begin = (round(s / total * POINTS) for s in train['vit_warm_up'])
    start = max(train['warm_up_from'] / train['rate'], 1e-4)
    gone = (step - begin) / (POINTS - begin)
    end = train.get('end', 0) / train['rate']
    if train['schedule'] == 'cosine':
        rate = end + (1 - end) * (1 + np.cos(np.pi * gone)) / 2
    elif train['schedule'] == 'polynomial':
        gone = (step - begin) / (POINTS - begin - 1)
        rate = end + (1 - end) * np.clip(1 - gone, 0, 1) ** train['power']
    else:
        drops = [round(drop / total * POINTS) for drop in train['drops']]
        rate = train['drop_to'] ** sum((step >= drop).astype(float) for drop in drops)
    warm = np.clip((step - still) / max(begin - still - 1, 1), 0, 1)
    warm = start + (1 - start) * warm
    rate = np.where(step < begin, warm, rate)
    left = train.get('weight_decay_end', train['weight_decay'])
    left = left / train['weight_decay'] if train['weight_decay'] else 1.0
    decay = left + (1 - left) * (1 + np.cos(np.pi * step / POINTS)) / 2
    return np.array([rate, decay])


def differences(table, found, path=''):
    """Lines that say where a part of a config differs from the table's, if it does."""
    if isinstance(found, dict) and isinstance(table, dict):
        defaults = _defaults(found.get('type') or table.get('type'), path)
        yield from _of_dicts(table, found, defaults, path)
    elif isinstance(found, list | tuple) and isinstance(table, list | tuple):
        if len(found) != len(table):
            yield f'{path}: {len(found)} parts, {len(table)} in the table'
        for i, (a, b) in enumerate(zip(table, found, strict=False)):
            yield from differences(a, b, f'{path}.{i}')
    elif not same(table, found):
        yield f'{path}={found}, {table} in the table'


def _of_dicts(table, found, defaults, path):
    for key in sorted({*table, *found} - IGNORED):
        where = f'{path}.{key}' if path else key
        ours = found.get(key, defaults.get(key, MISSING))
        if ours is MISSING:
            yield f'{where} is not there, {table[key]} in the table'
        elif key in table:
            yield from differences(table[key], ours, where)
        elif not same(ours, defaults.get(key, MISSING)):
            yield f'{where}={ours} is not in the table'


def same(a, b):
    """Whether two values are one but for rounding and the name of the scope."""
    if isinstance(a, bool) or isinstance(b, bool):
        return a is b
    if isinstance(a, int | float) and isinstance(b, int | float):
        return math.isclose(a, b, rel_tol=1e-6, abs_tol=1e-15)
    if isinstance(a, list | tuple) and isinstance(b, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(a[k], b[k]) for k in a)
    if isinstance(a, str) and isinstance(b, str):
        return a.removeprefix('ccmim.') == b.removeprefix('ccmim.')
    return a == b


def _defaults(name, path):
    if path == 'model.teacher' and name is None:
        return _of_signature(EMATeacher)
    if not isinstance(name, str):
        return {}
    scope = DefaultScope.get_current_instance().scope_name
    for registry in (MODELS, TRANSFORMS, DATASETS, HOOKS):
        with registry.switch_scope_and_registry(scope) as own:
            part = own.get(name)
        if part:
            return _of_signature(part)
    return {}


def _of_signature(part):
    parameters = inspect.signature(part.__init__).parameters
    return {k: p.default for k, p in parameters.items() if p.default is not p.empty}


def plain(value):
    """Dicts and lists of a config's."""
    if isinstance(value, ConfigDict):
        return value.to_dict()
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value
