"""Any method of masked images takes any scorer and any sampler."""

import pytest
import torch
from mmengine.registry import DefaultScope

from ccmim.registry import MODELS
from tests.tiny_methods import names, tiny_config

LAST = dict(type='ccmim.ClassAttentionScorer', blocks=[-1])
NORMALIZED = dict(type='ccmim.NormalizedAttentionScorer')
SCORERS = dict(
    constant=dict(type='ccmim.ConstantScorer'),
    attention=dict(type='ccmim.ClassAttentionScorer'),
    last_attention=LAST,
    normalized_attention=NORMALIZED,
    degree=dict(type='ccmim.CentralityScorer', centrality='degree'),
    eigenvector=dict(type='ccmim.CentralityScorer', centrality='eigenvector'),
    pagerank=dict(type='ccmim.CentralityScorer', centrality='pagerank'),
    norm=dict(type='ccmim.FeatureNormScorer'),
    momentum=dict(type='ccmim.MomentumScorer'),
    stored=dict(type='ccmim.StoredScorer', scorer=NORMALIZED, img_size=64),
)
RANDOM = dict(type='ccmim.RandomSampler')
SAMPLERS = dict(
    random=RANDOM,
    published=dict(type='ccmim.CCMIMSampler'),
    gumbel=dict(type='ccmim.GumbelSampler', temperature=0.5),
    multinomial=dict(type='ccmim.MultinomialSampler'),
    attmask_high=dict(type='ccmim.TopKSampler'),
    attmask_hints=dict(type='ccmim.TopKSampler', hint_ratio=0.25, hint_pool=0.25),
    kept=dict(type='ccmim.MILANSampler'),
    easy_to_hard=dict(type='ccmim.EasyToHardSampler', first=0.5),
    blocks=dict(type='ccmim.BlockSampler', img_size=64, min_area=2),
    units=dict(type='ccmim.MaskUnitSampler', sampler=RANDOM, img_size=64),
    staged=dict(type='ccmim.SwitchSampler', first=RANDOM, then=RANDOM, begin=0),
    thrown=dict(type='ccmim.AMTSampler', throw_ratio=0.25),
    same_score=dict(type='ccmim.SameScoreSampler'),
)
# Each method that has both parts, by one of its small configs.
METHODS = {
    cfg.model.type: name
    for name in reversed(names())
    if {'scorer', 'sampler'} <= (cfg := tiny_config(name)).model.keys()
}
# One method with all of them is quick; the others repeat the contract.
SLOW = sorted(METHODS[kind] for kind in METHODS.keys() - {'MAE'})
ALL = ['mae', *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)]


def _build(method, scorer, sampler):
    """A tiny method that masks half of its 16 patches by these parts."""
    model = tiny_config(method).model
    model.backbone.img_size = 64
    parts = dict(scorer=scorer, sampler=sampler, mask_ratio=0.5)
    with DefaultScope.overwrite_default_scope('ccmim'):
        return MODELS.build(dict(model, data_preprocessor=None, **parts))


def _step(model, images):
    """One training step; what was drawn and what was logged."""
    if hasattr(model.scorer, 'show'):
        model.scorer.hold(4)
        maps = torch.randint(256, (4, 16)).to(torch.uint8)
        model.scorer.store(maps, torch.ones(4))
        mirrored = torch.tensor([0.0, 1.0, 1.0, 0.0]).repeat(4, 1)
        model.scorer.show(torch.arange(4), mirrored)
    seen = {}
    handle = model.sampler.register_forward_hook(lambda *a: seen.update(split=a[-1]))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    losses = model.loss(images)
    sum(v for k, v in losses.items() if k.startswith('loss_')).backward()
    optimizer.step()
    handle.remove()
    return seen['split'], losses


@pytest.mark.parametrize('scorer', SCORERS)
@pytest.mark.parametrize('method', ALL)
def test_a_step_with_each_sampler(method, scorer, images):
    """Finite losses, a gap that is a number, and exact counts of masked patches."""
    for name, sampler in SAMPLERS.items():
        model = _build(method, SCORERS[scorer], sampler)
        split, losses = _step(model, images)
        assert all(v.isfinite() for v in losses.values()), name
        assert split.mask.sum(dim=1).tolist() == [8] * 4, name
        shown = 4 if name == 'thrown' else 8
        assert split.ids_visible.shape == (4, shown), name
        assert not split.mask.gather(1, split.ids_visible).any(), name
        assert all(p.isfinite().all() for p in model.parameters()), name


@pytest.mark.parametrize(
    ('sampler', 'sign'),
    [
        ('multinomial', 1),
        ('attmask_high', 1),
        ('easy_to_hard', 1),
        ('thrown', 1),
        ('random', 0),
        ('blocks', 0),
        ('kept', -1),
    ],
)
@pytest.mark.slow
def test_the_gap_says_what_is_masked(sampler, sign, images):
    """Positive where important patches are masked, negative where they are kept."""
    stored = SCORERS['stored']
    model, gaps = _build('mae', stored, SAMPLERS[sampler]), []
    for _ in range(100):
        torch.manual_seed(len(gaps))
        gaps.append(_step(model, images)[1]['mask_importance_gap'].item())
    mean = sum(gaps) / len(gaps)
    assert abs(mean) < 0.05 if sign == 0 else mean * sign > 0.1
