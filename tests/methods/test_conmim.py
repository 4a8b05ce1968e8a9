"""ConMIM against a slow oracle; its teacher waits for the end of an accumulation."""

import pytest
import torch
from mmengine.logging import MessageHub

from ccmim.checkpoints import load_file, read_weights
from tests.methods import oracles


def _projected(projector, tokens):
    return oracles.slow_project(projector, tokens.flatten(0, 1)).unflatten(
        0, tokens.shape[:2]
    )


def _slow_loss(model, images, perturbed, mask, temperature):
    """Published: cross-entropy over the keys of the same image, one by one."""
    encoded = oracles.slow_encode(model.backbone, images, mask, model.mask_token.token)
    queries = _projected(model.projector, encoded)[:, 1:]
    keys = oracles.slow_encode(model.teacher.backbone, perturbed)
    keys = _projected(model.teacher.projector, keys)[:, 1:].detach()
    total, count = 0.0, 0
    for b, patch in mask.nonzero().tolist():
        query = queries[b, patch] / queries[b, patch].norm()
        similarity = [query @ key / key.norm() / temperature for key in keys[b]]
        partition = torch.stack(similarity).exp().sum()
        total = total - (similarity[patch].exp() / partition).log()
        count += 1
    return total / count


@pytest.mark.parametrize('temperature', [0.1, 0.7])
def test_against_a_slow_oracle(tiny_conmim, images, temperature):
    """float64: the loss within 1e-10, gradients within 1e-10."""
    model = tiny_conmim(contrast=dict(temperature=temperature)).double()
    oracles.make_lag(model)
    images, seen = images[:2].double(), oracles.drawn(model)
    model.perturbation.register_forward_hook(lambda *a: seen.update(keyed=a[-1]))
    loss = model.loss(images)['loss_contrast']
    assert not torch.equal(seen['keyed'], images)
    slow = _slow_loss(model, images, seen['keyed'], seen['split'].mask, temperature)
    assert loss.item() == pytest.approx(slow.item(), abs=1e-10)
    oracles.assert_same_gradients(model, loss, slow)


def test_accumulation_makes_one_update_of_several_steps(tiny_conmim, images):
    """With interval 2 the teacher moves at the start of steps 0, 2, 4."""
    model, moved = tiny_conmim(teacher=dict(interval=2)), []
    model.teacher.started = True
    with torch.no_grad():
        for parameter in model.backbone.parameters():
            parameter.add_(1.0)
    for iteration in range(4):
        hub = MessageHub.get_current_instance()
        hub.update_info_dict(dict(iter=iteration, max_iters=100))
        before = model.teacher.backbone.norm.weight.clone()
        model.loss(images)
        moved.append(not torch.equal(before, model.teacher.backbone.norm.weight))
    assert moved == [True, False, True, False]


def test_a_checkpoint_of_old_names_is_read_under_the_new_ones(tiny_conmim, tmp_path):
    model = tiny_conmim()
    state = {}
    for name, value in model.state_dict().items():
        state[f'module.{name}'.replace('teacher.', 'slow.')] = value
    noted = dict(ccmim=dict(parameters=['slow.backbone.norm.weight', 'backbone.x']))
    torch.save(dict(state_dict=state, meta=noted), tmp_path / 'old.pth')
    content = load_file(tmp_path / 'old.pth')
    assert list(content['state_dict']) == [f'module.{n}' for n in model.state_dict()]
    noted = content['meta']['ccmim']['parameters']
    assert noted == ['teacher.backbone.norm.weight', 'backbone.x']
    with pytest.warns(FutureWarning, match='slow is called teacher now'):
        read = read_weights(tmp_path / 'old.pth', part='slow.backbone', num_heads=2)
    norm = model.teacher.backbone.norm.weight
    assert torch.equal(read.state['norm.weight'], norm)
