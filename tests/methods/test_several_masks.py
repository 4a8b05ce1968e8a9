"""Several masks share one scoring pass and are averaged; one mask is what it was."""

import pytest
import torch

NAMES = ('loss_reconstruction', 'loss_contrast', 'mask_importance_gap')


def _by_hand(model, images, num_masks):
    """Passes written out, one after the other, with the scores of the first."""
    backbone, passes = model.backbone, []
    scores = model.scorer(backbone, images)
    for _ in range(num_masks):
        split = model.sampler(scores, model.mask_ratio)
        visible = backbone.encode(backbone.embed(images, split.ids_visible))
        masked = backbone.encode(backbone.embed(images, split.ids_masked)).detach()
        contrast, _ = model.contrast(visible[:, 0], masked[:, 0])
        pred = model.decoder(visible, split)
        hidden, shown = (scores.gather(1, ids).mean() for ids in split[1::-1])
        passes.append((
            model.reconstruction(pred, images, split),
            model.contrast_weight * contrast,
            (hidden - shown) / scores.mean(),
        ))  # fmt: skip
    return [sum(values) / num_masks for values in zip(*passes, strict=True)]


def _gradient(model, losses):
    model.zero_grad()
    (losses[0] + losses[1]).backward()
    return [p.grad.clone() for p in model.parameters() if p.grad is not None]


def test_two_masks_are_the_mean_of_two_passes_with_the_same_scores(tiny_ccmim, images):
    """Losses and gradients in float64, and the network scores the images once."""
    model, images = tiny_ccmim(num_masks=2).double(), images.double()
    calls = []
    model.scorer.register_forward_hook(lambda *_: calls.append(1))
    torch.manual_seed(3)
    found = model(images, mode='loss')
    assert len(calls) == 1
    ours = _gradient(model, [found[name] for name in NAMES])
    torch.manual_seed(3)
    expected = _by_hand(model, images, 2)
    for name, value in zip(NAMES, expected, strict=True):
        assert found[name].item() == pytest.approx(value.item(), abs=1e-12)
    for a, b in zip(ours, _gradient(model, expected), strict=True):
        torch.testing.assert_close(a, b, atol=1e-10, rtol=0)
    torch.manual_seed(3)
    one = model.loss(images)
    assert one['loss_contrast'] != found['loss_contrast']
    assert model(images).shape == (4, 17, 32)  # of no mask


def test_one_mask_is_the_plain_loss_to_the_last_bit(tiny_ccmim, images):
    model = tiny_ccmim()
    assert model.num_masks == 1
    torch.manual_seed(4)
    plain = model.loss(images)
    torch.manual_seed(4)
    found = model(images, mode='loss')
    assert found.keys() == plain.keys()
    assert all(torch.equal(found[name], plain[name]) for name in plain)


def test_the_scorer_is_in_its_place_again_after_an_error(tiny_ccmim, images):
    model = tiny_ccmim(num_masks=2)
    scorer = model.scorer
    model.decoder.forward = None
    with pytest.raises(TypeError):
        model(images, mode='loss')
    assert model.scorer is scorer
