"""Tiny models of the methods."""

import functools

import pytest
import torch

BACKBONE = dict(
    type='ccmim.VisionTransformer',
    arch=dict(embed_dim=32, depth=2, num_heads=2),
    img_size=64,
)
MASKED = dict(
    backbone=BACKBONE,
    scorer=dict(type='ccmim.ConstantScorer'),
    sampler=dict(
        type='ccmim.MaskUnitSampler',
        sampler=dict(type='ccmim.RandomSampler'),
        img_size=64,
    ),
    mask_token=dict(type='ccmim.MaskToken', dim=32),
)
TINY_SIMMIM = dict(
    MASKED,
    type='ccmim.SimMIM',
    decoder=dict(type='ccmim.LinearHead', in_dim=32, out_dim=768),
    reconstruction=dict(
        type='ccmim.PixelReconstruction', norm_pix=False, error='absolute'
    ),
    mask_ratio=0.5,
)

TINY_MASKDISTILL = dict(
    MASKED,
    type='ccmim.MaskDistill',
    teacher=dict(
        type='ccmim.ViTTeacher',
        backbone=dict(BACKBONE, arch=dict(embed_dim=24, depth=1, num_heads=2)),
    ),
    sampler=dict(type='ccmim.BlockSampler', img_size=64, min_area=2),
    decoder=dict(type='ccmim.LinearHead', in_dim=32),
    distillation=dict(type='ccmim.FeatureDistillation'),
    mask_ratio=0.4,
)

TINY_RELATIONAL = dict(
    type='ccmim.RelationalDistill',
    backbone=BACKBONE,
    teacher=TINY_MASKDISTILL['teacher'],
    perturbation=[],
    projector=dict(type='ccmim.LinearHead', in_dim=32),
    patches=dict(type='ccmim.PatchRelations'),
    photos=dict(type='ccmim.QueueRelations', length=12),
    mix=False,
)

TINY_CONMIM = dict(
    MASKED,
    type='ccmim.ConMIM',
    projector=dict(type='ccmim.ProjectionHead', in_dim=32, hidden_dim=48, out_dim=8),
    perturbation=dict(type='ccmim.ColorPerturbation'),
    contrast=dict(type='ccmim.PatchContrast', temperature=0.5),
    teacher=dict(momentum=0.996),
    mask_ratio=0.5,
)

TINY_CONMIM_STYLE = dict(
    TINY_CONMIM,
    perturbation=[
        dict(type='ccmim.ColorPerturbation'),
        dict(type='ccmim.StylePerturbation'),
        dict(type='ccmim.StylePerturbation', attributes='frequencies'),
    ],
)

TINY_SOHO = dict(
    TINY_CONMIM,
    type='ccmim.SOHO',
    dictionary=dict(type='ccmim.VisualDictionary', num_codes=12, temperature=0.5),
)
del TINY_SOHO['perturbation'], TINY_SOHO['contrast']

TINY_FLIP = dict(
    type='ccmim.FLIP',
    backbone=BACKBONE,
    scorer=dict(type='ccmim.ConstantScorer'),
    sampler=dict(type='ccmim.RandomSampler'),
    tokenizer=dict(type='ccmim.WordPieces', num_words=48, context=6),
    text_tower=dict(
        type='ccmim.TextTower', embed_dim=24, depth=2, num_heads=2, out_dim=8
    ),
    contrast=dict(type='ccmim.ImageTextContrast'),
)

DECODER = dict(in_dim=32, embed_dim=16, depth=2, num_heads=2, img_size=64)
STORED = dict(
    type='ccmim.StoredScorer',
    scorer=dict(type='ccmim.NormalizedAttentionScorer'),
    img_size=64,
)
THROW = dict(type='ccmim.AMTSampler', throw_ratio=0.25)
TINY_AMT_MAE = dict(
    type='ccmim.MAE',
    backbone=BACKBONE,
    scorer=STORED,
    sampler=THROW,
    decoder=dict(DECODER, type='ccmim.MAEDecoder'),
    reconstruction=dict(type='ccmim.PixelReconstruction'),
    mask_ratio=0.5,
)
TINY_AMT_SIMMIM = dict(
    TINY_SIMMIM,
    scorer=STORED,
    sampler=dict(type='ccmim.MaskUnitSampler', sampler=THROW, img_size=64),
)
TINY_HPM = dict(
    type='ccmim.HPM',
    backbone=BACKBONE,
    predictor=dict(DECODER, type='ccmim.HardnessPredictor'),
    teacher=dict(momentum=0.99),
    sampler=dict(type='ccmim.EasyToHardSampler', first=0.5, last=0.5),
    decoder=dict(DECODER, type='ccmim.MAEDecoder'),
    reconstruction=dict(type='ccmim.PixelReconstruction'),
    ranking=dict(type='ccmim.HardnessRanking'),
)
TINY_SIMCLR = dict(
    type='ccmim.SimCLR',
    backbone=BACKBONE,
    perturbation=dict(type='ccmim.ColorPerturbation'),
    projector=dict(
        type='ccmim.ProjectionHead', in_dim=32, hidden_dim=48, out_dim=8, num_layers=2
    ),
    contrast=dict(type='ccmim.TwoViewContrast', temperature=0.5),
)
QUEUE = dict(type='ccmim.QueueContrast', dim=8, length=12, temperature=0.5)
TINY_DENSECL = dict(
    TINY_SIMCLR,
    type='ccmim.DenseCL',
    projector=dict(type='ccmim.DenseProjection', in_dim=32, hidden_dim=48, out_dim=8),
    contrast=QUEUE,
    dense_contrast=QUEUE,
    teacher=dict(momentum=0.9),
    cells=2,
    dense_begin=0,
)
TINY_NECO = dict(
    type='ccmim.NeCo',
    backbone=BACKBONE,
    crops=dict(type='ccmim.SharedCrops', img_size=64, num_local=1, local_ratio=0.5),
    perturbation=dict(type='ccmim.ColorPerturbation'),
    projector=dict(type='ccmim.MLPProjection', in_dim=32, hidden_dim=48, out_dim=8),
    order=dict(
        type='ccmim.NeighborOrder',
        dim=8,
        length=12,
        num_references=6,
        num_new=2,
        steepness=5e3,
    ),
    teacher=dict(momentum=0.9),
    cells=2,
)
TINY_LIO = dict(
    type='ccmim.Classifier',
    backbone=dict(BACKBONE, final_norm=False),
    head=dict(type='ccmim.ClassHead', in_dim=32, num_classes=3, norm='layer'),
    extra=dict(
        type='ccmim.LookIntoObject',
        extent=dict(type='ccmim.ObjectExtent'),
        context=dict(type='ccmim.SpatialContext', dim=8),
    ),
)


def _builder(config, finish=lambda model: model):
    # Of a tiny model, with changed arguments if any are given.
    @pytest.fixture
    def build(builder):
        return lambda **changes: finish(builder(config)(**changes))

    return build


def _shown(model):
    # Maps of five pictures, of which every step shows four, as ScoreRefreshHook would.
    scorer = model.scorer
    scorer.hold(5)
    maps = (torch.arange(5 * 16) * 7919 % 256).reshape(5, 16).to(torch.uint8)
    scorer.store(maps, torch.ones(5))
    shown = torch.tensor([4, 0, 3, 1]), torch.tensor([[0.0, 1.0, 0.0, 1.0]] * 4)
    scorer.register_forward_pre_hook(lambda module, _: module.show(*shown))
    return model


def _looking(model):
    # Into four images, two of each class.
    labels = torch.tensor([0, 0, 2, 2])
    model.loss = functools.partial(model.loss, labels=labels)
    model.num_views = 1
    return model


tiny_lio = _builder(TINY_LIO, _looking)
tiny_simmim = _builder(TINY_SIMMIM)
tiny_maskdistill = _builder(TINY_MASKDISTILL)
tiny_conmim = _builder(TINY_CONMIM)
tiny_conmim_style = _builder(TINY_CONMIM_STYLE)
tiny_soho = _builder(TINY_SOHO)
tiny_flip = _builder(TINY_FLIP)
tiny_amt_mae = _builder(TINY_AMT_MAE, _shown)
tiny_amt_simmim = _builder(TINY_AMT_SIMMIM, _shown)
tiny_hpm = _builder(TINY_HPM)
tiny_simclr = _builder(TINY_SIMCLR)
tiny_densecl = _builder(TINY_DENSECL)
tiny_neco = _builder(TINY_NECO)


@pytest.fixture
def tiny_mae_graph(tiny_mae):
    """Build a tiny MAE whose loss is what a step sums, a contrast of graphs too."""
    model = tiny_mae(extra=dict(type='ccmim.GraphContrast'))
    model.loss, own = lambda images: model.with_anchor(own(images), images), model.loss
    return lambda: model


@pytest.fixture
def views():
    """Four pairs of views, one above the other, of shape (3, 128, 64)."""
    return torch.randn(4, 3, 128, 64, generator=torch.Generator().manual_seed(1))
