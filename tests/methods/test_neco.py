"""NeCo: sorting by degrees, crops that share a part, neighbors in the same order."""

import itertools
import math

import pytest
import torch

from ccmim.engine.summary import long_queues
from ccmim.losses import NeighborOrder, QueueContrast
from ccmim.losses.soft_sorting import comparators, soft_permutation
from ccmim.teachers import SharedCrops
from ccmim.teachers.shared_crops import cut, shared_part

VALUES = [0.3, -1.0, 0.25, 2.0, 0.1]
# What DiffSortNet(network, 5, steepness=4)(VALUES) of diffsort 0.2.0 gives.
RECORDED = {
    'bitonic': [
        [0.0734547636, 0.2127599182, 0.2886554834, 0.4019327509, 0.0231970839],
        [0.7816113198, 0.0754396869, 0.0681109521, 0.0441570519, 0.0306809892],
        [0.0862028789, 0.3318828008, 0.2984033377, 0.2293033373, 0.0542076453],
        [0.0243455342, 0.0486997712, 0.0439374797, 0.0800119249, 0.8030052900],
        [0.0343855034, 0.3312178229, 0.3008927471, 0.2445949350, 0.0889089915],
    ],
    'odd_even': [
        [0.1156335615, 0.3420647904, 0.2823563776, 0.2490439449, 0.0109013255],
        [0.8181231500, 0.1188298601, 0.0363878654, 0.0259574300, 0.0007016944],
        [0.0427869396, 0.2620721510, 0.3039947386, 0.3312266309, 0.0599195400],
        [0.0029125755, 0.0233688807, 0.0446609001, 0.0592975927, 0.8697600509],
        [0.0205437734, 0.2536643179, 0.3326001182, 0.3344744014, 0.0587173892],
    ],
}


@pytest.mark.parametrize('network', RECORDED)
def test_permutations_are_those_of_diffsort(network):
    values = torch.tensor([VALUES], dtype=torch.float64, requires_grad=True)
    pairs = comparators(5, network)
    found = soft_permutation(values, *pairs, 4.0)[0]
    expected = torch.tensor(RECORDED[network], dtype=torch.float64)
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)
    torch.autograd.gradcheck(lambda x: soft_permutation(x, *pairs, 4.0), values)


def _slow_permutation(values, pairs, steepness):
    """Number by number: two neighbors swap by degrees, with all that they hold."""
    values = list(values)
    shares = [[float(i == j) for j in range(len(values))] for i in range(len(values))]
    for low, high in pairs:
        keep = 0.5 + math.atan(steepness * (values[high] - values[low])) / math.pi
        a, b = values[low], values[high]
        values[low], values[high] = keep * a + (1 - keep) * b, keep * b + (1 - keep) * a
        for row in shares:
            a, b = row[low], row[high]
            row[low], row[high] = keep * a + (1 - keep) * b, keep * b + (1 - keep) * a
    return shares


@pytest.mark.parametrize('network', ['bitonic', 'odd_even'])
def test_every_number_of_values_is_sorted(network):
    """What sorts all rows of zeros and ones sorts all rows."""
    for count in range(1, 9):
        rows = torch.tensor(list(itertools.product([0.0, 1.0], repeat=count)))
        rows += 1e-3 * torch.arange(count)  # no two are alike
        moved = soft_permutation(rows.double(), *comparators(count, network), 1e12)
        found = torch.einsum('ri,rij->rj', rows.double(), moved)
        expected = rows.double().sort(dim=1).values
        torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_crops_lie_in_the_image_and_share_enough():
    crops = SharedCrops(64, num_local=2, local_ratio=0.5, least_shared=0.02)
    images = torch.randn(500, 3, 8, 8)
    found = crops(images)
    assert [crop.images.shape[3] for crop in found] == [64, 64, 32, 32]
    assert all(crop.images.shape[2] == crop.images.shape[3] for crop in found)
    for number, crop in enumerate(found):
        boxes = crop.boxes
        assert boxes.min() >= 0
        assert boxes.max() <= 1 + 1e-6
        sides = boxes[:, 2:] - boxes[:, :2]
        low, high = crops.scales[number]
        assert sides.prod(dim=1).min() >= 0.99 * low * 0.75  # sides end at 1
        assert sides.prod(dim=1).max() <= 1.01 * high
        for other in found[: min(number, 2)]:
            part = boxes[:, 2:].minimum(other.boxes[:, 2:])
            part = part - boxes[:, :2].maximum(other.boxes[:, :2])
            assert part.min() > 0
            least = 0.02 if number > 1 else 0.04
            assert part.prod(dim=1).min() >= 0.99 * least
    assert (found[0].boxes - found[1].boxes).abs().mean() > 0.1


def test_a_part_is_cut_where_its_box_is():
    """A ramp stays one, from edge to edge."""
    ramp = (torch.arange(40) + 0.5) / 40
    maps = torch.stack([ramp.expand(40, 40), ramp[:, None].expand(40, 40)])[None]
    box = torch.tensor([[0.2, 0.1, 0.6, 0.9]])
    found = cut(maps, box, (8, 4))[0]
    across = 0.2 + 0.4 * (torch.arange(4) + 0.5) / 4
    down = 0.1 + 0.8 * (torch.arange(8) + 0.5) / 8
    torch.testing.assert_close(found[0], across.expand(8, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close(found[1], down[:, None].expand(8, 4), atol=1e-5, rtol=0)
    other = torch.tensor([[0.4, 0.0, 1.0, 0.5]])
    expected = torch.tensor([[0.5, 0.0, 1.0, 0.5]])
    torch.testing.assert_close(shared_part(box, other), expected)
    with pytest.raises(ValueError, match='least_shared=0.05 is more than the smallest'):
        SharedCrops(64, num_local=1, least_shared=0.05)


def test_both_sides_order_the_same_places(tiny_neco, images, monkeypatch):
    """Of maps that say where in the photo a patch is, all pairs of crops agree."""
    model = tiny_neco(crops=dict(num_local=2, scale=(0.4, 1.0)), cells=3)

    def where(network, crop):
        fractions = (torch.arange(32) + 0.5) / 32
        left, top, right, bottom = crop.boxes.T[:, :, None]
        across = (left + (right - left) * fractions)[:, None].expand(-1, 32, 32)
        down = (top + (bottom - top) * fractions)[:, :, None].expand(-1, 32, 32)
        return torch.stack([across, down], dim=1)

    seen, remembered = [], []
    monkeypatch.setattr(model, '_maps', where)
    model.order.remember = lambda patches: remembered.append(patches.shape)
    model.order.forward = lambda *a: seen.append(a) or a[0].mean()
    model.loss(images)
    assert len(seen) == 6  # two large crops, each with the three others
    assert remembered == [(4, 32 * 32, 2)] * 2
    assert not model.teacher.backbone.training  # without stochastic depth
    tiny_neco(cells=8, backbone=dict(img_size=(64, 128)))  # as many as patches
    for ours, theirs in seen:
        assert ours.shape == (4, 9, 2)
        torch.testing.assert_close(ours, theirs, atol=0.02, rtol=0)


def test_the_loss_is_the_cross_entropy_of_orders():
    """Number by number, of references that are given."""
    torch.manual_seed(0)
    order = NeighborOrder(3, 4, 4, steepness=9.0, teacher_steepness=20.0).double()
    ours, theirs = torch.randn(2, 2, 5, 3, dtype=torch.float64)
    references = torch.nn.functional.normalize(torch.randn(2, 4, 3).double(), dim=2)
    order.draw = lambda count: references
    # A bitonic network of four: two pairs in opposite order, then halves, then pairs.
    pairs = [(0, 1), (3, 2), (0, 2), (1, 3), (0, 1), (2, 3)]
    terms = []
    for image in range(2):
        for own, other in zip(ours[image], theirs[image], strict=True):
            cosines = [
                (references[image] @ x / x.norm()).tolist() for x in (own, other)
            ]
            p, q = (
                _slow_permutation(row, pairs, steepness)
                for row, steepness in zip(cosines, (9.0, 20.0), strict=True)
            )
            terms += [
                -sum(b * math.log(a) for a, b in zip(row, wanted, strict=True))
                for row, wanted in zip(p, q, strict=True)
            ]
    expected = sum(terms) / len(terms)
    assert order(ours, theirs).item() == pytest.approx(expected, abs=1e-12)


def test_references_are_patches_of_earlier_steps():
    """All unlike; no random vector of the beginning, once there are enough patches."""
    torch.manual_seed(0)
    order = NeighborOrder(4, 10, 5, num_new=2)
    patches = torch.randn(3, 7, 4)
    order.eval().remember(patches)
    assert order.filled == 0
    order.train().remember(patches)
    assert order.filled == 6
    units = torch.nn.functional.normalize(patches, dim=2)
    for image, entered in zip(units, order.queue[:6].split(2), strict=True):
        assert (entered @ image.T).max(dim=1).values.min() > 1 - 1e-6
    for drawn in order.draw(50):
        numbers = (drawn @ order.queue.T).argmax(dim=1).tolist()
        assert len(set(numbers)) == 5
        assert max(numbers) < 6
    order.remember(patches)
    assert order.filled == 10
    assert order.state_dict().keys() == {'queue', 'filled'}
    model = torch.nn.ModuleDict(dict(order=order, queue=QueueContrast(4, 3)))
    line, _ = long_queues(model, 2)
    assert line.startswith('model.order.length=10 is more than 2 photos give in an')
    assert line.endswith('set it to 4 or less')
    assert long_queues(model, 3) == []
    with pytest.raises(ValueError, match='num_references=49 are more than the'):
        NeighborOrder(length=24)
