"""SOHO's words: dictionary and loss against slow oracles, and what must hold."""

import json
import math
from pathlib import Path

import pytest
import torch

from ccmim.losses import VisualDictionary
from ccmim.masking import SameScoreSampler
from tests.golden import record_family as record
from tests.methods.oracles import assert_same_gradients, drawn, make_lag, slow_encode

SPREAD = 0.05


def _slow_step(state, features, decay):
    """Published, with codes of length 1: assign, then move averages, code by code."""
    codes, counts, sums = state
    ids = []
    for x in features:
        likeness = [sum(a * b for a, b in zip(x, code, strict=True)) for code in codes]
        ids.append(likeness.index(max(likeness)))
    for k in range(len(codes)):
        own = [x for x, i in zip(features, ids, strict=True) if i == k]
        counts[k] = decay * counts[k] + (1 - decay) * len(own)
        for c in range(len(sums[k])):
            new = sum(x[c] for x in own)
            sums[k][c] = decay * sums[k][c] + (1 - decay) * new
        if own:
            length = math.hypot(*sums[k])
            codes[k] = [value / length for value in sums[k]]
    return ids


def _batches(steps=3):
    generator = torch.Generator().manual_seed(5)
    return torch.randn(steps, 2, 6, 3, generator=generator, dtype=torch.float64)


def _dictionary(**changes):
    torch.manual_seed(0)
    options = dict(dim=3, num_codes=4, decay=0.9, redraw_below=0.0)
    return VisualDictionary(**{**options, **changes}).double()


def test_three_steps_against_a_slow_oracle():
    """Codes, averages and numbers of the patches, float64, within 1e-12."""
    ours = _dictionary()
    ours.counts += 1.0  # none is dead
    state = [ours.codes.tolist(), ours.counts.tolist(), ours.sums.tolist()]
    for features in _batches():
        found, seen = ours.look_up(3.0 * features)
        flat = features.flatten(0, 1)
        slow = _slow_step(state, (flat / flat.norm(dim=1, keepdim=True)).tolist(), 0.9)
        assert found.flatten().tolist() == slow
        uses = [slow.count(k) / 12 for k in range(4)]
        entropy = -sum(share * math.log(share) for share in uses if share)
        assert seen['code_perplexity'].item() == pytest.approx(math.exp(entropy))
        assert seen['codes_used'].item() == sum(map(bool, uses)) / 4
    for name, expected in zip(('codes', 'counts', 'sums'), state, strict=True):
        expected = torch.tensor(expected, dtype=torch.float64)
        torch.testing.assert_close(getattr(ours, name), expected)


def test_against_the_published_code():
    """Recorded by tests/golden/record_family.py; its cosines have no temperature."""
    file = Path(record.__file__).with_name('family_published.json')
    recorded = json.loads(file.read_text())['soho']
    size = record.WIDTH, record.CODES
    ours = VisualDictionary(*size, record.DECAY, redraw_below=0.0, temperature=1.0)
    start = record.wave(0, record.CODES, record.WIDTH).float()
    ours.codes = torch.nn.functional.normalize(start, dim=1)
    ours.sums, ours.counts = ours.codes.clone(), torch.ones(record.CODES)
    for step, expected in enumerate(recorded['ids']):
        features = record.wave(1 + step, 1, record.PATCHES, record.WIDTH).float()
        ids, _ = ours.look_up(features)
        assert ids[0].tolist() == expected
    for name in ('counts', 'sums', 'codes'):
        expected = torch.tensor(recorded[name])
        torch.testing.assert_close(getattr(ours, name), expected, atol=1e-6, rtol=0)
    masked = [i for i in range(record.PATCHES) if i % 3]
    pred = record.wave(9, 1, record.PATCHES, record.WIDTH).float()
    loss, _ = ours(pred[:, masked], ids[:, masked])
    assert loss.item() == pytest.approx(recorded['loss'], abs=1e-5)


def _clusters():
    """Patches of five kinds, none like the random codes at the start."""
    centers = torch.eye(8)[:5]
    kinds = torch.arange(40).repeat(4, 1) % 5
    torch.manual_seed(1)
    return centers[kinds] + SPREAD * torch.rand(4, 40, 8), kinds


@pytest.mark.parametrize('redraw_below', [0.0, 0.5])
def test_dead_codes_return_where_they_are_redrawn(redraw_below):
    """Codes that win nothing stay so for good, unless they are drawn anew."""
    features, kinds = _clusters()
    ours = VisualDictionary(8, 10, decay=0.5, redraw_below=redraw_below)
    ours.counts += 7.9  # of 160 patches 16 are even shares, so this is below a half
    ours.codes[:] = -torch.eye(8)[[7] * 10]
    ours.codes[0] = torch.eye(8)[0]
    for _ in range(4):
        ids, seen = ours.look_up(features)
    words = set(zip(kinds.flatten().tolist(), ids.flatten().tolist(), strict=True))
    owners = [kind for kind, _ in words]
    if redraw_below:  # each word is of one kind: purity 1
        assert len(words) == len({i for _, i in words}) >= 5
        assert set(owners) == set(range(5))
        assert seen['code_perplexity'] > 4.5
    else:
        assert len({i for _, i in words}) < 3


def test_more_codes_than_patches_and_bad_numbers():
    ours = VisualDictionary(3, 64, redraw_below=0.0)
    features = _batches()[0].float()
    ids, _ = ours.look_up(features)
    found = (ours.codes[ids] * torch.nn.functional.normalize(features, dim=2)).sum(2)
    torch.testing.assert_close(found, torch.ones(2, 6))  # every patch has its code
    assert ours.counts.sum().item() == pytest.approx(12)
    torch.testing.assert_close(ours.sums, ours.codes * ours.counts[:, None])
    before = {name: value.clone() for name, value in ours.state_dict().items()}
    ours.look_up(-features, learn=False)
    ours.eval().look_up(-features)
    assert all(torch.equal(v, before[k]) for k, v in ours.state_dict().items())
    for good in (features[0, 0], math.inf):  # one patch, none
        bad = features.where(features == good, math.nan)
        assert ours.train().look_up(bad)[1]['code_perplexity'] == 1
    assert all(value.isfinite().all() for value in ours.buffers())
    torch.testing.assert_close(ours.codes, before['codes'])


def test_nothing_is_drawn_where_that_is_asked_for():
    """Random codes that no patch is near to stay as they are, from the first step."""
    torch.manual_seed(0)
    ours, features = VisualDictionary(3, 64, redraw_below=None), _batches()[0].float()
    before = ours.codes.clone()
    ids, _ = ours.look_up(features)
    own = torch.isin(torch.arange(64), ids)
    assert torch.equal(ours.codes[~own], before[~own])
    assert own.sum() <= 12
    assert not torch.isclose(ours.codes[own], before[own]).all(dim=1).any()


@pytest.mark.parametrize('frozen', [False, True])
def test_method_against_a_slow_oracle(tiny_soho, images, frozen):
    """float64: the words of the full image, predicted where it is masked."""
    sizes = dict(embed_dim=8, depth=1, num_heads=2)
    vit = dict(type='ccmim.VisionTransformer', arch=sizes)
    teacher = dict(_delete_=True, type='ccmim.ViTTeacher', backbone=vit)
    model = tiny_soho(**(dict(teacher=teacher) if frozen else {})).double()
    images, seen = images[:2].double(), drawn(model)
    if not frozen:
        make_lag(model)
    torch.manual_seed(2)
    losses = model.loss(images)
    loss = losses['loss_words']
    mask, codes = seen['split'].mask, model.dictionary.codes
    if frozen:
        features = slow_encode(model.teacher.frozen.network, images)[:, 1:]
        features = features - features.mean(2, keepdim=True)
    else:
        tokens = slow_encode(model.teacher.backbone, images)
        features = model.teacher.projector(tokens)[:, 1:]
    encoded = slow_encode(model.backbone, images, mask, model.mask_token.token)
    pred = model.projector(encoded)[:, 1:]
    # The words are those before the codes moved: nearest to codes drawn from features.
    ids = model.dictionary.look_up(features, learn=False)[0]
    total, right, count = 0.0, 0, len(mask.nonzero())
    for b, patch in mask.nonzero().tolist():
        logits = codes @ pred[b, patch] / pred[b, patch].norm() / 0.5
        total = total - logits.log_softmax(0)[ids[b, patch]]
        right += (logits.argmax() == ids[b, patch]).item()
    assert losses['word_accuracy'].item() == pytest.approx(right / count)
    assert loss.item() == pytest.approx((total / count).item(), abs=1e-9)
    assert_same_gradients(model, loss, total / count, atol=1e-9)


def test_whole_words_are_masked(tiny_soho, images):
    sampler = dict(_delete_=True, type='ccmim.SameScoreSampler')
    model = tiny_soho(scorer=None, sampler=sampler)
    made = model.predict(images)
    assert not model.dictionary.counts.any()  # nothing is learned from a picture
    assert 'mask_importance_gap' not in model.loss(images)
    for words, mask in zip(made.scores.tolist(), made.split.mask.tolist(), strict=True):
        hidden = {w for w, m in zip(words, mask, strict=True) if m}
        shown = {w for w, m in zip(words, mask, strict=True) if not m}
        assert len(hidden & shown) <= 1


def test_a_word_is_masked_first_as_often_as_it_has_patches():
    """SOHO draws a patch, and what is like it goes with it."""
    torch.manual_seed(0)
    scores = torch.tensor([0.0] * 4 + [1.0] * 12).expand(4000, 16)
    split = SameScoreSampler()(scores, 0.25)  # the four, or four of the twelve
    first = split.mask[:, :4].all(dim=1)
    assert torch.equal(first, split.mask[:, :4].any(dim=1))
    assert first.float().mean().item() == pytest.approx(0.25, abs=0.02)
