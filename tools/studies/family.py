"""What is shown of each part of the family: arms, and what is measured of them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import torchvision.transforms.functional as F
from torch import Tensor, nn

from ccmim.api.zero_shot import retrieve, zero_shot
from ccmim.evaluation import knn_accuracy, linear_accuracy
from studies.extent import fine_tuned
from studies.small import data, features, photos, probes, train

Values = dict[str, float]


@dataclass(frozen=True)
class Show:
    """One table.

    Attributes:
        config: What is trained, below ``mm_configs``.
        arms: Changes of it, by the name of the arm; the first is the reference.
        measure: Measures a trained model.
        logged: What of the log's last line is kept, by its name in the table, and what
            it is multiplied by.
        options: Changes of all arms.
        configs: Another config for some arms.
        begins: Config and changes of a training before that of some arms, which go on
            with its backbone.
        small: Whether the sizes of ``SMALL`` hold.
    """

    config: str
    arms: Mapping[str, Mapping[str, Any]]
    measure: Callable[[nn.Module], Values] = probes
    logged: Mapping[str, tuple[str, float]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    configs: Mapping[str, str] = field(default_factory=dict)
    begins: Mapping[str, tuple[str, Mapping[str, Any]]] = field(default_factory=dict)
    small: bool = True

    def of(self, arm: str) -> tuple[str, dict[str, Any]]:
        """Name the config of an arm, and its changes."""
        return self.configs.get(arm, self.config), {**self.options, **self.arms[arm]}

    def run(self, arm: str, seed: int, out: Path) -> Values:
        """Train an arm and measure it."""
        config, options = self.of(arm)
        if arm in self.begins:
            before, changes = self.begins[arm]
            changes = {**self.options, **changes}
            model, _, _ = train(before, out / 'begun', seed, changes, self.small)
            file = out / 'begun.pth'
            torch.save(model.backbone.state_dict(), file)
            start = dict(type='Pretrained', checkpoint=str(file))
            options['model.backbone.init_cfg'] = start
        model, last, seconds = train(config, out, seed, options, self.small)
        kept = {
            name: last[key] * factor
            for name, (key, factor) in self.logged.items()
            if key in last
        }
        return {**self.measure(model), **kept, 'seconds': seconds}


def recolored(images: Tensor) -> dict[str, Tensor]:
    """Change the colors of images uint8 (n, 3, H, W) in three ways."""
    gain = torch.tensor([1.4, 1.0, 0.6])[:, None, None]
    return {
        'clean': images,
        'hue': F.adjust_hue(images, 0.3),
        'gray': F.rgb_to_grayscale(images, num_output_channels=3),
        'gain': (images * gain).clamp(0, 255).to(torch.uint8),
    }


def color_invariance(model: nn.Module) -> Values:
    """Measure k-NN with clean and recolored queries, and how far they are told apart.

    'told' is the accuracy of a linear probe that says which of the four ways it was,
    on images that it was not fitted to: 25 where features know nothing of it.
    """
    train, labels = photos('train', 0.1)
    test, truth = photos('test', 0.2)
    keys = features(model, train)
    ways = {name: features(model, x) for name, x in recolored(test).items()}
    accuracies = {
        f'k-NN {name}': knn_accuracy(keys, labels, x, truth) for name, x in ways.items()
    }
    which = torch.arange(4).repeat_interleave(len(test) // 2)
    halves = [torch.cat([x[i::2] for x in ways.values()]) for i in range(2)]
    accuracies['told'] = linear_accuracy(halves[0], which, halves[1], which)
    return accuracies


def classes_by_name(model: nn.Module) -> Values:
    """Measure zero-shot top-1 on a fifth of CIFAR-10's test images."""
    accuracies = zero_shot(model, data('cifar10/test'), label_ratio=0.2)
    return {'zero-shot': accuracies['zero-shot']}


def captions_of_flickr(model: nn.Module) -> Values:
    """Measure retrieval among the 100 photos that were left out, and R@1 among 900."""
    files = data('flickr8k_1k/images'), data('flickr8k_1k/captions.txt')
    recalls = retrieve(model, *files, part='test')
    seen = retrieve(model, *files, part='train')
    kept = {name: value for name, value in recalls.items() if 'chance' not in name}
    return {**kept, 'trained on: text R@1': seen['text R@1']}


_COLOR, _STYLE = dict(type='ColorPerturbation'), dict(type='StylePerturbation')
_STYLES = dict(
    none={'model.perturbation': []},
    color={'model.perturbation': [_COLOR]},
    style={'model.perturbation': [_STYLE]},
    both={'model.perturbation': [_COLOR, _STYLE]},
)
_NARROW = {
    'model.backbone.arch': dict(embed_dim=64, depth=3, num_heads=2),
    'optim_wrapper.dtype': 'float32',
}
# As many steps of half as many images, which are decoded once.
_HALF = _NARROW | {
    'train_dataloader.batch_size': 32,
    'train_dataloader.dataset.fraction': 0.05,
    'train_dataloader.dataset.type': 'KeptImages',
}
_SAME_WORD = {
    'model.scorer': None,
    'model.sampler': dict(_delete_=True, type='SameScoreSampler'),
}
_TOWERS = {
    'model.text_tower.embed_dim': 64,
    'model.text_tower.depth': 2,
    'model.text_tower.num_heads': 2,
    'model.text_tower.out_dim': 64,
}
_ATTENDED = {
    'model.scorer': dict(_delete_=True, type='ClassAttentionScorer', blocks=[-1]),
    'model.sampler': dict(_delete_=True, type='MILANSampler'),
}
_GRAPH = dict(type='GraphContrast', hidden_dim=96, out_dim=64, neighbors=4)
_LIO = dict(
    without={'model.extra': None},
    extent={'model.extra.context': None},
    context={'model.extra.extent': None},
    both={},
)
_FINE_TUNING = _NARROW | {
    'model.backbone.patch_size': 4,
    'optim_wrapper.paramwise_cfg.layer_decay': 1.0,  # from scratch
    'train_dataloader.batch_size': 32,
    'train_dataloader.dataset.fraction': ...,
    'val_cfg': None,
    'val_dataloader': None,
    'val_evaluator': None,
}
_DETECTION = _NARROW | {
    'model.backbone.img_size': 192,
    'train_cfg.max_iters': 120,
    'train_cfg.val_interval': 120,
    'visualizer.vis_backends': [dict(type='LocalVisBackend')],
}
SHOWS = dict(
    lio_2pct=Show(
        'small/finetune_vitt_cifar10_2pct_lio.py',
        _LIO,
        measure=fine_tuned,
        options=_FINE_TUNING | {'train_cfg.max_epochs': 4},
    ),
    lio_10pct=Show(
        'small/finetune_vitt_cifar10_10pct_lio.py',
        _LIO,
        measure=fine_tuned,
        options=_FINE_TUNING | {'train_cfg.max_epochs': 1},
    ),
    lio_penn_fudan=Show(
        'small/mask_rcnn_vitt_penn_fudan_lio.py',
        dict(without={}, context={}),
        measure=lambda model: {},
        logged={
            'box AP': ('val/coco/bbox_mAP', 100.0),
            'box AP50': ('val/coco/bbox_mAP_50', 100.0),
            'mask AP': ('val/coco/segm_mAP', 100.0),
        },
        options=_DETECTION,
        configs=dict(without='small/mask_rcnn_vitt_penn_fudan.py'),
        small=False,
    ),
    styles_conmim=Show(
        'small/conmim_vitt_cifar10.py',
        _STYLES,
        measure=color_invariance,
        options=_HALF,
    ),
    styles_simclr=Show(
        'small/simclr_vitt_cifar10.py', _STYLES, measure=color_invariance
    ),
    words=Show(
        'small/soho_vitt_cifar10.py',
        dict(
            mae={},
            simmim={'model.sampler.unit_size': 8},
            conmim={},
            soho={},
            soho_same_word=_SAME_WORD,
        ),
        options=_HALF,
        logged={'perplexity': ('code_perplexity', 1.0), 'used': ('codes_used', 100.0)},
        configs={
            name: f'small/{name}_vitt_cifar10.py'
            for name in ('mae', 'simmim', 'conmim')
        },
    ),
    redrawing=Show(
        'small/soho_vitt_cifar10.py',
        dict(
            redrawn={},
            first_step_only={'model.dictionary.redraw_below': 0.0},
            never={'model.dictionary.redraw_below': None},
        ),
        measure=lambda model: {},
        options=_HALF | {'model.dictionary.decay': 0.9},
        logged={'perplexity': ('code_perplexity', 1.0), 'used': ('codes_used', 100.0)},
    ),
    graph=Show(
        'small/mae_vitt_cifar10.py',
        dict(
            mae={},
            uniform={'model.extra': dict(_GRAPH, centrality='uniform')},
            adaptive={'model.extra': _GRAPH},
            adaptive_no_positions={'model.extra': dict(_GRAPH, positions=False)},
        ),
        options=_HALF,
        logged={'nodes found': ('graph_accuracy', 100.0)},
    ),
    flip=Show(
        'small/flip_vitt_cifar10.py',
        dict(
            mask_0={'model.mask_ratio': 0.0},
            mask_50={'model.mask_ratio': 0.5},
            mask_75={'model.mask_ratio': 0.75},
            mask_50_as_long={'model.mask_ratio': 0.5, 'train_cfg.max_epochs': 5},
            mask_75_as_long={'model.mask_ratio': 0.75, 'train_cfg.max_epochs': 7},
        ),
        measure=classes_by_name,
        options=_TOWERS
        | _NARROW
        | {
            'model.backbone.patch_size': 4,
            'train_cfg.max_epochs': 4,
            'train_dataloader.dataset.fraction': 0.05,
        },
    ),
    retrieval=Show(
        'small/flip_vitt.py',
        dict(mask_50={}, mask_50_attended=_ATTENDED),
        measure=captions_of_flickr,
        options=_TOWERS
        | _NARROW
        | {
            'model.backbone.patch_size': 16,
            'train_cfg.max_epochs': 12,
            'train_dataloader.dataset.fraction': 1.0,
        },
    ),
)
