"""Stochastic depth: who skips a branch, and that nothing is computed for them."""

import pytest
import torch
from torch._dynamo.utils import counters

from ccmim.engine.compile import compile_blocks
from ccmim.vit import VisionTransformer
from ccmim.vit.block import DropPath


def _run(drop_path, x):
    """Add ones; also tell for how many samples the branch was computed."""
    computed = []

    def branch(i):
        computed.append(len(x[i]))
        return torch.ones_like(x[i])

    return drop_path(x, branch), computed[0]


@pytest.mark.parametrize('rate', [0.0, 0.1, 0.5])
def test_without_subset_each_sample_is_dropped_at_the_rate(rate):
    """The whole branch of a sample, or nothing; scaled, so that the mean stays."""
    torch.manual_seed(0)
    added, computed = _run(DropPath(rate), torch.zeros(20_000, 3, 2))
    assert computed == 20_000
    assert torch.equal(added, added[:, :1, :1].expand_as(added))
    values = added[:, 0, 0].unique().tolist()
    assert values == pytest.approx([0, 1 / (1 - rate)] if rate else [1])
    assert (added == 0).float().mean() == pytest.approx(rate, abs=0.02)


@pytest.mark.parametrize(
    ('rate', 'batch', 'dropped'),
    [(0.25, 8, 2), (0.3, 4, 1), (0.9, 2, 1), (0.5, 1, 0), (0.1, 4, 0), (0.0, 8, 0)],
)
def test_the_share_nearest_to_the_rate_is_left_out(rate, batch, dropped):
    """At least one sample is kept; where none is dropped, each is by itself."""
    added, computed = _run(DropPath(rate, subset=True), torch.zeros(batch, 3, 2))
    assert computed == batch - dropped
    if dropped:
        kept = added[:, 0, 0] != 0
        assert kept.sum() == batch - dropped
        assert torch.equal(added[kept], torch.full_like(added[kept], batch / computed))


def test_small_batches_drop_single_samples_at_the_rate():
    torch.manual_seed(0)
    drop_path = DropPath(0.2, subset=True)
    added = torch.cat([_run(drop_path, torch.zeros(2, 1, 1))[0] for _ in range(2000)])
    assert (added == 0).float().mean() == pytest.approx(0.2, abs=0.03)
    assert added.max() == 1.25


def test_each_sample_is_dropped_as_often():
    torch.manual_seed(0)
    drop_path = DropPath(0.25, subset=True)
    sums = sum(_run(drop_path, torch.zeros(4, 1, 1))[0] for _ in range(2000)) / 2000
    assert sums.flatten().tolist() == pytest.approx([1.0] * 4, abs=0.04)


def test_evaluation_and_a_rate_of_0_drop_and_draw_nothing():
    state = torch.get_rng_state()
    for drop_path in (DropPath(0.5, subset=True).eval(), DropPath(0.0)):
        added, computed = _run(drop_path, torch.zeros(8, 1, 1))
        assert torch.equal(added, torch.ones(8, 1, 1))
        assert computed == 8
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize('window', [0, 2])
def test_a_network_drops_whole_branches(tiny_vit, images, window):
    """What comes out is the sum of the branches that were kept, scaled.

    The oracle computes all samples of each branch and puts zeros in place of the
    dropped ones, in the same draws.
    """
    options = dict(drop_path_rate=0.5, drop_path_subset=True)
    vit = tiny_vit(window_size=window, out_norm=True, **options)
    images = images.repeat(2, 1, 1, 1)
    torch.manual_seed(5)
    (ours,) = vit(images)

    class Oracle(torch.nn.Module):
        def __init__(self, rate):
            super().__init__()
            self.rate = rate

        def forward(self, x, branch):
            dropped = round(self.rate * len(x))
            if not dropped:
                return x + branch(slice(None))
            factors = torch.full((len(x),), len(x) / (len(x) - dropped))
            factors[torch.randperm(len(x))[:dropped]] = 0
            return x + factors[:, None, None] * branch(slice(None))

    for block in vit.blocks:
        block.drop_path = Oracle(block.drop_path.rate)
    torch.manual_seed(5)
    (theirs,) = vit(images)
    assert not torch.equal(ours[0], ours[len(ours) // 2])  # the same image twice
    torch.testing.assert_close(ours, theirs)


def test_gradients_reach_the_dropped_samples_past_the_branch():
    x = torch.zeros(4, 2, 3, requires_grad=True)
    DropPath(0.5, subset=True)(x, lambda i: x[i] * 2).sum().backward()
    per_sample = x.grad[:, 0, 0].sort().values
    assert per_sample.tolist() == [1, 1, 5, 5]  # 1, or 1 + 2 scaled by 2


def test_half_precision_branches_are_added_in_full():
    x = torch.full((4, 1, 1), 1 / 3)
    ones = torch.ones(4, 1, 1, dtype=torch.bfloat16)
    added = DropPath(0.5, subset=True)(x, lambda i: ones[i]).flatten().sort().values
    assert added.tolist() == pytest.approx([1 / 3, 1 / 3, 7 / 3, 7 / 3], abs=1e-6)


@pytest.mark.parametrize(
    ('subset', 'most'), [(False, 3), pytest.param(True, 15, marks=pytest.mark.slow)]
)
def test_compiled_blocks(subset, most):
    """Blocks of all rates share a graph; with a subset, those that drop as many do.

    All stay compiled, also where there are more graphs than PyTorch's limit of eight.
    """
    torch._dynamo.reset()
    counters.clear()
    arch = dict(embed_dim=32, depth=14, num_heads=2)
    options = dict(drop_path_rate=0.5, drop_path_subset=subset)
    vit = VisionTransformer(arch, 32, patch_size=16, **options).train()
    assert compile_blocks(vit, backend='aot_eager')
    for _ in range(2):
        vit(torch.randn(26, 3, 32, 32))[0].sum().backward()
    assert counters['stats']['unique_graphs'] <= most
    assert not counters['graph_break']
    assert not counters['unimplemented']


@pytest.mark.parametrize('subset', [False, True])
def test_the_rate_rises_linearly_from_0_in_the_first_block(subset):
    """Counted: how often a block leaves a sample as it is in both branches."""
    arch = dict(embed_dim=16, depth=4, num_heads=2)
    options = dict(drop_path_rate=0.6, drop_path_subset=subset)
    vit = VisionTransformer(arch, img_size=32, **options).train()
    x = torch.randn(2000, 2, 16)
    for i, block in enumerate(vit.blocks):
        left = (block(x) == x).all(dim=2).all(dim=1).float().mean().item()
        assert left == pytest.approx((0.6 * i / 3) ** 2, abs=0.03)
