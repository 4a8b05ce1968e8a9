"""SOHO's visual dictionary: a moving codebook, and the loss that predicts its codes.

B batch, N patches, n patches of a process, C channels, K codes, R processes.
"""

from typing import Annotated

import torch
from annotated_types import Ge
from torch import Tensor, nn

from ccmim.losses.cosine import cross_entropy_and_accuracy, products, unit
from ccmim.losses.gather import gather_constant, num_processes, sum_constant
from ccmim.ranges import Count, InnerRatio, Positive, RatioBelowOne
from ccmim.registry import MODELS


@MODELS.register_module()
class VisualDictionary(nn.Module):
    """Number patches by the nearest code, and let the codes follow the patches.

    SOHO (https://arxiv.org/abs/2104.03135): each code is a moving average of the
    features that were nearest to it, over all processes; no gradient trains it. Changed
    are three things. Features and codes have length 1, so that their scale cannot
    drift. A code that few patches use is drawn anew from the features of the step; in
    the published code one that wins no patch in the first step never wins one again.
    And a prediction is compared by cosines over a temperature; without one the cross
    entropy of 2,048 codes cannot fall below 5.6.

    Args:
        dim: Channels C.
        num_codes: Codes K; the first features that come are taken for codes. More
            than there are patches in a step are drawn with repetitions.
        decay: How much of the averages a step keeps.
        redraw_below: A code is drawn anew whose average use falls to this fraction of
            an even use, which is patches of a step / K; at 0 it stays for good. None
            keeps the random codes of the start too, as the published code does.
        temperature: Divisor T of the cosines in the prediction.
    """

    codes: Tensor  # (K, C), of length 1
    counts: Tensor  # (K,), patches a step, a moving average
    sums: Tensor  # (K, C), of their features, likewise

    def __init__(
        self,
        dim: Count = 256,
        num_codes: Annotated[int, Ge(2)] = 512,
        decay: InnerRatio = 0.99,
        redraw_below: RatioBelowOne | None = 0.1,
        temperature: Positive = 0.1,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.decay = decay
        self.redraw_below = redraw_below
        self.temperature = temperature
        self.register_buffer('codes', unit(torch.randn(num_codes, dim)))
        self.register_buffer('counts', torch.zeros(num_codes))
        self.register_buffer('sums', torch.zeros(num_codes, dim))

    @torch.no_grad()
    def look_up(
        self, features: Tensor, learn: bool = True
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Number patches; in training, draw codes anew before, and follow afterwards.

        Args:
            features: Of shape (B, N, C).
            learn: False to leave the codes as they are in training too.

        Returns:
            Numbers of the codes (B, N), in [0, K); and what to log of the step:
            ``codes_used``, the share of codes that some patch has, and
            ``code_perplexity``, the exponential of the entropy of their use: 1 when
            all patches have one code, K when all codes are used alike.
        """
        x = unit(features).to(self.codes.dtype).flatten(0, 1)  # (n, C)
        # A step of bad numbers is left out, and must not spoil the next ones.
        x = torch.where(x.isfinite().all(dim=1, keepdim=True), x, 0)
        learn = learn and self.training
        if learn and self.redraw_below is not None:
            self._redraw(x)
        ids = products(x, self.codes).argmax(dim=1)
        one_hot = ids[:, None] == torch.arange(len(self.codes), device=ids.device)
        one_hot = (one_hot & x.any(dim=1, keepdim=True)).to(x.dtype)  # (n, K)
        counts = sum_constant(one_hot.sum(dim=0))
        if learn:
            self._follow(counts, sum_constant(products(one_hot.T, x.T)))
        usage = counts / counts.sum().clamp(min=1)
        seen = dict(
            codes_used=(counts > 0).float().mean(),
            code_perplexity=torch.special.entr(usage).sum().exp(),
        )
        return ids.unflatten(0, features.shape[:2]), seen

    def forward(self, pred: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Compare predictions (B, M, C) with the codes that patches have (B, M).

        Returns:
            The cross entropy over all codes, a scalar of at least float32; and the
            fraction of patches whose code is the nearest of all to the prediction.
        """
        # The next step makes other codes: the backward pass keeps these.
        pred = unit(pred)
        logits = products(pred, self.codes.to(pred.dtype)) / self.temperature
        logits = logits.flatten(0, 1)
        return cross_entropy_and_accuracy(logits, ids.flatten())

    def _redraw(self, x: Tensor) -> None:
        # At first all counts are 0, and all codes are drawn.
        num_codes = len(self.codes)
        parts = num_processes()
        even = x.new_tensor(parts * len(x) / num_codes)
        # Each process offers its part, since each draws numbers of its own.
        order = torch.rand((len(x),), device=x.device).argsort()
        offered = torch.arange(-(-num_codes // parts), device=x.device) % len(x)
        drawn = gather_constant(x[order[offered]])[:num_codes]  # (K, C)
        dead = (self.counts <= self.redraw_below * even)[:, None]
        dead = dead & drawn.any(dim=1, keepdim=True)
        self.codes = torch.where(dead, drawn, self.codes)
        self.counts = torch.where(dead[:, 0], even, self.counts)
        self.sums = torch.where(dead, drawn * even, self.sums)

    def _follow(self, counts: Tensor, sums: Tensor) -> None:
        self.counts = torch.lerp(counts, self.counts, self.decay)
        self.sums = torch.lerp(sums, self.sums, self.decay)
        used = (counts > 0)[:, None]
        self.codes = torch.where(used, unit(self.sums), self.codes)
