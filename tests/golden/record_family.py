"""Record what published code computes, for the tests of the family's parts.

Each name is given with a clone, of which the formulae are run and nothing is copied:

    python tests/golden/record_family.py lio=CLONE gca=CLONE ...

lio: https://github.com/JDAI-CV/LIO
gca: https://github.com/CRIPAC-DIG/GCA, with torch_geometric
flip: https://github.com/facebookresearch/flip, with jax, flax and ml_collections
soho: https://github.com/researchmm/soho
adain: https://github.com/naoto0804/pytorch-AdaIN
fda: https://github.com/YanchaoYang/FDA

The last two are what StylePerturbation swaps: DRIT itself
(https://github.com/HsinYingLee/DRIT) does so by trained networks, not by a formula.
Other names in tests/golden/family_published.json stay as they are. All inputs and
weights come from formulae below, so that the file holds only results.
"""

import functools
import importlib.util
import json
import math
import subprocess
import sys
import types
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

FILE = Path(__file__).with_name('family_published.json')

GROUPS, PARTNERS, WIDTH, SIDE, STRUCTURE = 2, 2, 6, 3, 5
NODES, CHANNELS, OUT = 7, 4, 3
# Of FLIP: pairs, image, patch, width, heads, blocks, words of a caption and in all.
PAIRS, SIZE, PATCH, DIM, HEADS, DEPTH, CONTEXT, WORDS = 3, 8, 4, 8, 2, 2, 5, 12
FIXED = 'img_encoder/posembed_encoder/pos_embedding'
CODES, DECAY, STEPS, PATCHES = 4, 0.9, 3, 10  # of SOHO
EDGES = [(0, 1), (0, 2), (0, 3), (0, 4), (1, 2), (3, 5), (4, 6), (1, 5)]


def wave(phase: float, *shape: int) -> Tensor:
    """A tensor of float64 around 0, with entries up to 1."""
    index = torch.arange(math.prod(shape), dtype=torch.float64)
    return torch.sin(0.7 * index + index**2 * 0.013 + phase).reshape(shape)


def edge_index() -> Tensor:
    """Both directions of each edge, (2, 2 * edges)."""
    pairs = torch.tensor([*EDGES, *((b, a) for a, b in EDGES)])
    return pairs.T


def lio(clone: str) -> dict[str, Any]:
    """Run the extent on groups that are in order, and the context of one stage."""
    sys.path.insert(0, f'{clone}/classification')
    torch.Tensor.cuda = lambda self: self
    from models.scl_module import SCLModule
    from utils.rela.rela_cal import calc_rela, get_mask

    maps = wave(1, GROUPS * (1 + PARTNERS), WIDTH, SIDE, SIDE)
    module = SCLModule(SIDE, WIDTH, STRUCTURE, avg=False)
    with torch.no_grad():
        for i, parameter in enumerate(module.parameters()):
            parameter.copy_(0.3 * wave(2 + i, *parameter.shape))
        # Above 0, where the last ReLU changes nothing.
        module.coord_predictor.predictor[0].weight.mul_(0.05)
        module.coord_predictor.predictor[0].bias.fill_(0.5)
    _, extent, context = module(maps)
    inside = extent > extent.flatten(1).mean(dim=1)[:, None, None]
    return dict(
        likeness=get_mask(maps, PARTNERS).tolist(),
        extent=extent.tolist(),
        extent_error=calc_rela(maps, extent, PARTNERS).mean().item(),
        context=(context * inside).mean().item(),
    )


def gca(clone: str) -> dict[str, Any]:
    """Run the weights of edges and channels, the graph network and the contrast."""
    sys.path.insert(0, clone)
    from torch_geometric.utils import scatter

    names = ('torch_scatter', 'torch_sparse', 'matplotlib', 'matplotlib.pyplot')
    names += ('sklearn', 'sklearn.cluster', 'sklearn.manifold')
    for name in names:
        stub = types.ModuleType(name)
        stub.__getattr__ = lambda _: None
        sys.modules[name] = stub
    sys.modules['torch_scatter'].scatter = scatter
    from pGRACE.functional import feature_drop_weights_dense, pr_drop_weights
    from pGRACE.model import GRACE, Encoder
    from pGRACE.utils import compute_pr
    from torch_geometric.nn import GCNConv

    GCNConv.jittable = lambda self: self
    edges = edge_index()
    central = compute_pr(edges, k=200)
    nodes = wave(1, NODES, CHANNELS)
    model = GRACE(Encoder(CHANNELS, OUT, torch.relu), OUT, OUT, tau=0.4).double()
    with torch.no_grad():
        for i, (name, parameter) in enumerate(sorted(model.named_parameters())):
            # Ours adds them before the neighbors are summed, PyG afterwards.
            is_bias = name.startswith('encoder') and name.endswith('bias')
            parameter.copy_((not is_bias) * wave(2 + i, *parameter.shape))
    dropped = torch.ones(edges.shape[1], dtype=torch.bool)
    dropped[[3, 11]] = False  # the edge from 0 to 4, both ways
    first = model(nodes, edges)
    second = model(nodes * torch.tensor([1.0, 1.0, 0.0, 1.0]), edges[:, dropped])
    return dict(
        central=central.tolist(),
        edge_weights=pr_drop_weights(edges, aggr='mean', k=200).tolist(),
        channel_weights=feature_drop_weights_dense(nodes, central).tolist(),
        parameters=[name for name, _ in sorted(model.named_parameters())],
        encoded=first.tolist(),
        contrast=model.loss(first, second).item(),
    )


def captions() -> Tensor:
    """Numbers of words, (PAIRS, CONTEXT), without padding."""
    return (torch.arange(PAIRS * CONTEXT) * 5 % (WORDS - 1) + 1).reshape(PAIRS, CONTEXT)


def flip(clone: str) -> dict[str, Any]:
    """Run both towers on whole images and captions without padding, and the loss."""
    sys.path.insert(0, clone)
    import flax.linen
    import jax
    from flax.traverse_util import flatten_dict, unflatten_dict
    from ml_collections import ConfigDict
    from models_flip import FLIP

    # Flax approximates this one unless it is told otherwise.
    flax.linen.gelu = functools.partial(jax.nn.gelu, approximate=False)
    rates = dict(dropout_rate=0.0, attention_dropout_rate=0.0)
    network = dict(mlp_dim=4 * DIM, num_heads=HEADS, num_layers=DEPTH, **rates)
    tower = dict(mask_ratio=0.0, hidden_size=DIM, transformer=network)
    contrast = dict(clr_loss=True, tau_learnable=True, proj_dim_out=OUT)
    contrast |= dict(proj_out_bias=False, img_avg_token=True, txt_avg_token=False)
    config = dict(
        model_img=dict(tower, sincos=True, patches=dict(size=(PATCH, PATCH))),
        model_txt=dict(tower, sincos=False, vocab_size=WORDS),
        clr=contrast,
    )
    inputs = dict(
        image=wave(1, PAIRS, SIZE, SIZE, 3).float().numpy(),
        txt=captions().numpy(),
        txt_is_valid=None,
    )
    model = FLIP(config=ConfigDict(config))
    lots = dict(dropout=jax.random.PRNGKey(0))
    start = model.init(dict(lots, params=jax.random.PRNGKey(0)), inputs, train=False)
    values = flatten_dict(start['params'])
    start = {'/'.join(name): value for name, value in values.items()}
    names = sorted(start.keys() - {FIXED})
    for i, name in enumerate(names):
        value = weight(i, name, start[name].shape).float().numpy()
        values[tuple(name.split('/'))] = value
    weights = dict(params=unflatten_dict(values))
    _, found = model.apply(weights, inputs, train=False, rngs=lots)
    return dict(
        parameters={name: start[name].shape for name in names},
        images=found['z_img'].tolist(),
        texts=found['z_txt'].tolist(),
        loss=found['loss'].item(),
    )


def weight(number: int, name: str, shape: tuple[int, ...]) -> Tensor:
    """A parameter of FLIP, by its number in the order of their names."""
    around = 2.0 if name == 'logit_scale' else float(name.endswith('scale'))
    return around + 0.3 * wave(2 + number, *shape)


def soho(clone: str) -> dict[str, Any]:
    """Follow some batches with the dictionary, and predict words with the head.

    Codes are cut to length 1 after each step, as ours are. All begin with one patch.
    """
    from torch import distributed

    store = distributed.HashStore()
    distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
    models = f'{clone}/SOHO/models'
    names = ('soho', 'soho.necks', 'soho.heads', 'soho.utils', 'soho.losses')
    stubs = {name: types.ModuleType(name) for name in (*names, 'soho.builder')}
    sys.modules |= stubs
    registry = types.SimpleNamespace(register_module=lambda kind: kind)
    vars(stubs['soho.builder']).update(HEADS=registry, build_loss=None)
    stubs['soho.losses'].CrossEntropyLoss = None
    gather = _load('soho.utils.gather', f'{models}/utils/gather_layer.py')
    accuracy = _load('soho.utils.accuracy', f'{models}/utils/accuracy.py')
    vars(stubs['soho.utils']).update(
        concat_all_gather=gather.concat_all_gather, accuracy=accuracy.accuracy
    )
    parts = _load('soho.necks.utils', f'{models}/necks/utils.py')
    head = _load('soho.heads.pre', f'{models}/heads/soho_pre_head.py')

    def unit(x: Tensor) -> Tensor:
        return torch.nn.functional.normalize(x.float(), dim=1)

    words = parts.SOHO_Pre_VD(CODES, WIDTH, decay=DECAY).float()
    words.embed.copy_(unit(wave(0, CODES, WIDTH)))
    words.embed_avg.copy_(words.embed)
    words.cluster_size.fill_(1)
    ids = []
    for step in range(STEPS):
        _, found = words(unit(wave(1 + step, PATCHES, WIDTH)))
        words.embed.copy_(unit(words.embed))
        ids.append(found.flatten().tolist())
    cosines = unit(wave(9, PATCHES, WIDTH)) @ words.embed.T
    labels = torch.tensor(ids[-1])
    labels[::3] = -100  # patches that are seen
    some = torch.zeros(2, 2), torch.zeros(2, dtype=torch.long)
    losses = head.MLM_MVM_ITM_head().loss(*some, cosines, labels, *some)
    return dict(
        ids=ids,
        counts=words.cluster_size.tolist(),
        sums=words.embed_avg.tolist(),
        codes=words.embed.tolist(),
        loss=losses['loss_mvm'].item(),
    )


def pictures() -> tuple[Tensor, Tensor]:
    """Two images (3, SIZE, SIZE) of unlike statistics."""
    return 50 * wave(1, 3, SIZE, SIZE) + 90, 30 * wave(4, 3, SIZE, SIZE) + 120


def adain(clone: str) -> dict[str, Any]:
    """Give an image the statistics of another one."""
    part = _load('adain', f'{clone}/function.py')
    content, style = (x[None] for x in pictures())
    swapped = part.adaptive_instance_normalization(content, style)
    return dict(image=swapped[0].tolist())


def fda(clone: str) -> dict[str, Any]:
    """Give an image another one's amplitudes up to a quarter of the frequencies."""
    part = _load('fda', f'{clone}/utils/__init__.py')
    content, style = (x.numpy() for x in pictures())
    swapped = part.FDA_source_to_target_np(content, style, L=0.25)
    return dict(image=swapped.tolist())


def _load(name: str, file: str) -> Any:
    spec = importlib.util.spec_from_file_location(name, file)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def main(*given: str) -> None:
    """Record the named ones."""
    torch.set_default_dtype(torch.float64)
    runs = {run.__name__: run for run in (lio, gca, flip, soho, adain, fda)}
    found = json.loads(FILE.read_text())
    for name, _, clone in (word.partition('=') for word in given):
        command = ['git', '-C', clone, 'rev-parse', 'HEAD']
        revision = subprocess.check_output(command, text=True)
        found[name] = dict(commit=revision.strip(), **runs[name](clone))
    FILE.write_text(json.dumps(found) + '\n')


if __name__ == '__main__':
    main(*sys.argv[1:])
