"""From scores to masks: each sampler draws an order of the patches and splits it.

Important patches (high scores) come late in the order and are masked. The noise comes
from PyTorch's default generator of the scores' device. B batch, N patches, M masked.
"""

import torch
from torch import Tensor, nn

from ccmim.masking.split import TokenSplit, count_visible, split_tokens, whole
from ccmim.ranges import Positive, Ratio, RatioBelowOne
from ccmim.registry import MODELS


def published_order(scores: Tensor, noise: Tensor) -> Tensor:
    """Order patches as the published ccMIM code does.

    The code sorts softmax(scores) / softmax(noise). The softmaxes only add a constant
    per image to the logarithm, so the order is that of ``scores - noise``.

    Args:
        scores: Importance, of shape (B, N).
        noise: Uniform in [0, 1), of shape (B, N).

    Returns:
        Ids of the patches in ascending order, of shape (B, N).
    """
    return (scores - noise).argsort(dim=1)


def gumbel_order(scores: Tensor, noise: Tensor, temperature: float) -> Tensor:
    """Order patches by the Gumbel top-k trick, the most likely to be masked last.

    Taking the last M is a draw without replacement with probabilities proportional to
    ``scores ** (1 / temperature)`` (https://arxiv.org/abs/1903.06059).

    Args:
        scores: Importance, at least 0, of shape (B, N).
        noise: Uniform in [0, 1), of shape (B, N).
        temperature: Towards 0 the order of the scores, towards infinity a random one.

    Returns:
        Ids of the patches in ascending order, of shape (B, N).
    """
    tiny = torch.finfo(scores.dtype).tiny
    gumbel = -torch.log(-torch.log(noise.clamp(min=tiny)))
    return (scores.clamp(min=tiny).log() / temperature + gumbel).argsort(dim=1)


def rank_scores(scores: Tensor, noise: Tensor) -> Tensor:
    """Rank patches by their scores, and where these are equal by lot.

    Args:
        scores: Importance, of shape (B, N).
        noise: Uniform in [0, 1), of shape (B, N).

    Returns:
        The place of each patch in ascending order, of shape (B, N): N - 1 = highest.
    """
    drawn = noise.argsort(dim=1)
    order = drawn.gather(1, scores.gather(1, drawn).argsort(dim=1, stable=True))
    return order.argsort(dim=1)


@MODELS.register_module()
class CCMIMSampler(nn.Module):
    """Mask by importance plus uniform noise, as published; random where scores are low.

    P(masked) = clip(t + score, 0, 1) with one t per image, so scores around 0.06 on top
    of noise of width 1 shift the probabilities by a few per cent; a score of 1 - t or
    more is masked for sure.
    """

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw a partition from scores (B, N)."""
        return split_tokens(
            published_order(scores, torch.rand_like(scores)), mask_ratio
        )


@MODELS.register_module()
class GumbelSampler(nn.Module):
    """Mask by true importance sampling with a temperature.

    Args:
        temperature: See ``gumbel_order``; at 1 the distribution is that of
            ``MultinomialSampler``.
    """

    def __init__(self, temperature: Positive = 1.0) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw a partition from scores (B, N)."""
        noise = torch.rand_like(scores)
        return split_tokens(gumbel_order(scores, noise, self.temperature), mask_ratio)


@MODELS.register_module()
class MultinomialSampler(nn.Module):
    """Mask by drawing without replacement in proportion to the scores, as AMT does."""

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw a partition from scores (B, N)."""
        weights = scores.clamp(min=torch.finfo(scores.dtype).tiny)
        drawn_first = torch.multinomial(weights, scores.shape[1])
        return split_tokens(drawn_first.flip(1), mask_ratio)


@MODELS.register_module()
class MILANSampler(nn.Module):
    """Show patches drawn without replacement in proportion to the scores.

    MILAN's choice (https://arxiv.org/abs/2208.06049), the opposite of the others: what
    is attended stays, and ``mask_importance_gap`` is negative.
    """

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw a partition from scores (B, N)."""
        order = gumbel_order(scores, torch.rand_like(scores), temperature=1.0)
        return split_tokens(order.flip(1), mask_ratio)


@MODELS.register_module()
class TopKSampler(nn.Module):
    """Mask the patches of highest score, with a few of them shown as hints.

    AttMask (https://arxiv.org/abs/2203.12719): without hints its "high" strategy, with
    them "hints". There a hint leaves one masked patch fewer; here the next in the order
    takes its place, as the number of masked patches is that of ``mask_ratio``.

    Args:
        hint_ratio: Fraction of the masked patches, drawn at random among the highest
            scores, that change places with the highest of the visible ones.
        hint_pool: Fraction of all patches, from the top, among which hints are drawn.
    """

    def __init__(self, hint_ratio: Ratio = 0.0, hint_pool: Ratio = 0.1) -> None:
        super().__init__()
        self.hint_ratio = hint_ratio
        self.hint_pool = hint_pool

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw a partition from scores (B, N)."""
        num_patches = scores.shape[1]
        num_masked = num_patches - count_visible(num_patches, mask_ratio)
        pool = round(num_patches * self.hint_pool)
        hints = min(round(num_masked * self.hint_ratio), pool)
        noise, hint_noise = torch.rand((2, *scores.shape), device=scores.device)
        rank = rank_scores(scores, noise)  # (B, N), N - 1 = highest
        hint_noise = hint_noise.masked_fill(rank < num_patches - pool, torch.inf)
        is_hint = hint_noise.argsort(dim=1).argsort(dim=1) < hints
        return split_tokens(rank.masked_fill(is_hint, -1).argsort(dim=1), mask_ratio)


@MODELS.register_module()
class RandomSampler(nn.Module):
    """Mask uniformly at random, as MAE does; the scores give only shape and device."""

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw a partition of as many patches as there are scores (B, N)."""
        noise = torch.rand(scores.shape, device=scores.device)
        return split_tokens(noise.argsort(dim=1), mask_ratio)


@MODELS.register_module()
class AMTSampler(nn.Module):
    """Mask the patches drawn first, drop the next ones, keep the rest visible.

    AMT (https://arxiv.org/abs/2211.15362): patches are drawn without replacement with
    probabilities proportional to their scores (``torch.multinomial``, here with the
    Gumbel trick). Dropped ones are neither encoded nor predicted. Of 196 patches at
    ratios of 0.45 and 0.4, 89 are masked and 29 shown, where the published code rounds
    to 88 and 30.

    Args:
        throw_ratio: Fraction of all patches that are dropped, in [0, 1).
    """

    def __init__(self, throw_ratio: RatioBelowOne = 0.4) -> None:
        super().__init__()
        self.throw_ratio = throw_ratio

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw masked and visible patches from scores (B, N), V + T + M = N.

        Raises:
            ValueError: If no patch would be visible.
        """
        num_patches = scores.shape[1]
        num_rest = count_visible(num_patches, mask_ratio)  # V + T
        num_visible = whole(num_patches * (1 - mask_ratio - self.throw_ratio))
        if num_visible < 1:
            raise ValueError(
                f'throw_ratio={self.throw_ratio} beside mask_ratio={mask_ratio} leaves '
                'no patch visible: choose a smaller one'
            )
        order = gumbel_order(scores, torch.rand_like(scores), temperature=1.0)
        masked = order[:, num_rest:]
        mask = torch.zeros_like(order, dtype=torch.bool).scatter_(1, masked, True)
        return TokenSplit(order[:, :num_visible], masked, mask)


@MODELS.register_module()
class SameScoreSampler(nn.Module):
    """Mask patches whose scores are equal together.

    SOHO's rule (https://arxiv.org/abs/2104.03135), where the scores are numbers of
    codes: a patch is drawn, and with it go all patches of its image that have its code,
    so that none can be copied from a neighbor that looks the same. There are as many
    masked patches in every image, so the last code that is drawn may be masked in part.
    """

    def forward(self, scores: Tensor, mask_ratio: float) -> TokenSplit:
        """Draw a partition from scores (B, N)."""
        noise = torch.rand(scores.shape, device=scores.device)
        same = scores[:, :, None] == scores[:, None, :]
        highest = torch.where(same, noise[:, None, :], 0.0).amax(dim=2)
        return split_tokens(rank_scores(highest, noise).argsort(dim=1), mask_ratio)
