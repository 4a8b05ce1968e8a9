"""Record what the published code of LIO and GCA computes, for tests/losses.

Needs clones of https://github.com/JDAI-CV/LIO (Apache-2.0) and
https://github.com/CRIPAC-DIG/GCA (MIT), the second one with torch_geometric:

    python tests/golden/record_family.py LIO GCA > tests/golden/family_published.json

All inputs and weights come from formulae below, so that the file holds only results.
"""

import json
import math
import subprocess
import sys
import types
from typing import Any

import torch
from torch import Tensor

GROUPS, PARTNERS, WIDTH, SIDE, STRUCTURE = 2, 2, 6, 3, 5
NODES, CHANNELS, OUT = 7, 4, 3
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


def main(lio_clone: str, gca_clone: str) -> None:
    """Print all results."""
    torch.set_default_dtype(torch.float64)
    found = {}
    for run, clone in ((lio, lio_clone), (gca, gca_clone)):
        revision = subprocess.check_output(
            ['git', '-C', clone, 'rev-parse', 'HEAD'], text=True
        )
        found[run.__name__] = dict(commit=revision.strip(), **run(clone))
    print(json.dumps(found))


if __name__ == '__main__':
    main(*sys.argv[1:])
