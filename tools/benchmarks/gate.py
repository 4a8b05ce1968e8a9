"""Equality before speed: a peer is timed only if it computes what ours computes."""

import torch

from benchmarks.inputs import noise_batches
from benchmarks.ours import OurMethod
from benchmarks.published import Code, build_network
from benchmarks.shims import running
from ccmim.masking import TokenSplit

LOSS_LIMIT, GRADIENT_LIMIT = 1e-12, 1e-10
_SMALL = {
    'model.backbone.arch': dict(_delete_=True, embed_dim=32, depth=2, num_heads=2),
    'model.backbone.img_size': 64,
    'model.backbone.patch_size': 16,
    'model.decoder.embed_dim': 16,
    'model.decoder.depth': 2,
    'model.decoder.num_heads': 2,
}


def compare(code: Code) -> tuple[float, float]:
    """Compute a loss and its gradients by both codes, small and in float64, on the CPU.

    Both get the same weights, images and noise; HPM's the same mask.

    Args:
        code: The peer.

    Returns:
        The difference of the losses, and the largest difference of a parameter's
        gradient in units of that gradient's norm.
    """
    method = code.peer.method
    ours = OurMethod(method, 's', _SMALL, torch.device('cpu'))
    theirs = build_network(code, ours.cfg.model).double().train()
    ours.model.double()
    state, names = ours.model.state_dict(), code.peer.rename(theirs.state_dict())
    theirs.load_state_dict({n: state[our] for n, our in names.items()}, strict=False)

    images = ours.normalize(noise_batches(6, 64, ours.device, count=1)[0]).double()
    drawn: list[TokenSplit] = []
    ours.model.sampler.register_forward_hook(lambda *seen: drawn.append(seen[-1]))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        torch.manual_seed(1)
        losses = ours.model(images, mode='loss')
        torch.manual_seed(1)
        with running('cpu'):
            their_loss = code.peer.loss(theirs, images, drawn[0])
    finally:
        torch.set_default_dtype(before)
    our_loss = sum(v for name, v in losses.items() if code.peer.compared in name)
    our_loss.backward()
    their_loss.backward()
    our_parameters = dict(ours.model.named_parameters())
    worst = 0.0
    for name, parameter in theirs.named_parameters():
        if parameter.requires_grad and name in names:
            expected = parameter.grad
            error = (our_parameters[names[name]].grad - expected).norm()
            worst = max(worst, (error / expected.norm().clamp(min=1e-30)).item())
    return abs(our_loss.item() - their_loss.item()), worst


def check(code: Code) -> tuple[bool, str]:
    """Compare, and say whether the peer may be timed, and the line to print."""
    loss, gradient = compare(code)
    equal = loss < LOSS_LIMIT and gradient < GRADIENT_LIMIT
    part = '' if code.peer.compared == 'loss' else f' {code.peer.compared}'
    verdict = (
        f'computes the same{part}' if equal else 'DOES NOT compute the same: not timed'
    )
    return equal, (
        f'{code.peer.folder}: {verdict} (float64: losses differ by {loss:.1e}, '
        f'gradients by {gradient:.1e})'
    )
