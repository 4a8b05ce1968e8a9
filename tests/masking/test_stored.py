"""Stored scores are the scorer's to within a byte, and survive a checkpoint."""

import pytest
import torch

from ccmim.masking import ClassAttentionScorer, StoredScorer

SCORER = dict(type='ccmim.ClassAttentionScorer')
WHOLE = torch.tensor([0.0, 1.0, 0.0, 1.0])


def _show(scorer, *index):
    scorer.show(torch.tensor(index), WHOLE.repeat(len(index), 1))


@pytest.fixture
def stored(tiny_vit, images):
    """A scorer that holds the four images, as pictures 3, 2, 1, 0 of five."""
    vit, scorer = tiny_vit(), StoredScorer(SCORER, img_size=64)
    scorer.hold(5)
    maps, scales = scorer.measure(vit, images.flip(0))
    unknown = torch.zeros_like(maps[:1])
    scorer.store(torch.cat([maps, unknown]), torch.cat([scales, torch.zeros(1)]))
    return vit, scorer


def test_scores_come_back(stored, images):
    """Each within half a 255th of its picture's highest."""
    vit, scorer = stored
    live = ClassAttentionScorer()(vit, images)
    _show(scorer, 3, 2, 1, 0)
    kept = scorer(vit, images)
    assert ((kept - live).abs() <= live.amax(1, keepdim=True) / 510 + 1e-6).all()
    _show(scorer, 0, 1, 2, 3)
    assert not torch.allclose(scorer(vit, images), live, atol=1e-2)


def test_bytes_a_picture(stored):
    """A byte a patch and four for the scale: 200 for the 196 patches of 224 px."""
    _, scorer = stored
    held = sum(b.numel() * b.element_size() for b in scorer.buffers())
    assert held == 5 * (16 + 4)
    full = StoredScorer(SCORER, img_size=(112, 448))
    assert full.img_size == (112, 448)
    assert not any(b.nbytes for b in full.buffers())
    full.hold(1000)
    assert sum(b.nbytes for b in full.buffers()) == 1000 * 200


def test_all_alike_until_it_is_filled(tiny_vit, images):
    scorer = StoredScorer(SCORER, img_size=64)
    _show(scorer, 0, 1)
    assert torch.equal(scorer(tiny_vit(), images[:, :, :48]), torch.ones(2, 12))


def test_a_checkpoint_brings_the_maps_with_it(stored, images):
    """Bit for bit, also where the number of pictures is not known yet."""
    vit, scorer = stored
    fresh = StoredScorer(SCORER, img_size=64)
    fresh.load_state_dict(scorer.state_dict())
    assert torch.equal(fresh.maps, scorer.maps)
    fresh.hold(5)
    assert torch.equal(fresh.maps, scorer.maps)
    assert torch.equal(fresh.scales, scorer.scales)
    _show(scorer, 3, 2, 1, 0)
    _show(fresh, 3, 2, 1, 0)
    assert torch.equal(fresh(vit, images), scorer(vit, images))
    fresh.hold(6)  # other data: what is known of these pictures is void
    _show(fresh, 3, 2, 1, 0)
    assert torch.equal(fresh(vit, images), torch.ones(4, 16))


def test_what_cannot_be_scored_keeps_its_map(stored):
    """A picture that was not read this time, between two that were."""
    _, scorer = stored
    before = scorer.maps.clone()
    scales = torch.tensor([2.0, 0.0, 3.0, 0.0, 0.0])
    scorer.store(torch.full((5, 16), 7, dtype=torch.uint8), scales)
    assert (scorer.maps[[0, 2]] == 7).all()
    assert torch.equal(scorer.maps[[1, 3]], before[[1, 3]])
    assert scorer.scales[[0, 2]].tolist() == [2.0, 3.0]
    assert scorer.scales[1] > 0


def test_what_was_shown_is_for_one_step(stored, images):
    vit, scorer = stored
    _show(scorer, 0, 1, 2, 3)
    scorer(vit, images)
    with pytest.raises(RuntimeError, match='does not know which images'):
        scorer(vit, images)


def test_evaluation_scores_what_it_sees(stored, images):
    vit, scorer = stored
    live = ClassAttentionScorer()(vit, images)
    assert torch.equal(scorer.eval()(vit, images), live)
