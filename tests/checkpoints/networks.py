"""Networks whose every parameter matters, and what ours make of their weights."""

import torch

from ccmim.vit import VisionTransformer


def draw(model):
    """Draw all parameters, so that none hides what another does."""
    for name, parameter in model.named_parameters():
        spread = 0.3 if parameter.ndim < 2 else parameter[0].numel() ** -0.5
        torch.nn.init.normal_(parameter.data, float('norm' in name), spread)
    return model.eval()


def ours(weights):
    """Build our network with the weights."""
    vit = VisionTransformer(**weights.architecture.options()).eval()
    vit.load_state_dict(weights.state, strict=True)
    return vit


@torch.no_grad()
def difference(weights, theirs, images):
    """How far our tokens are from those of another network's function."""
    vit = ours(weights)
    return (vit.encode(vit.embed(images)) - theirs(images)).abs().max().item()
