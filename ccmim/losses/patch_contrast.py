"""Contrast between the patches of one image."""

from torch import Tensor, nn

from ccmim.losses.cosine import cross_entropy_and_accuracy, products, unit
from ccmim.masking import TokenSplit
from ccmim.ranges import Positive
from ccmim.registry import MODELS


@MODELS.register_module()
class PatchContrast(nn.Module):
    """Distinguish a masked patch's key from those of all other patches of its image.

    InfoNCE over the N keys of the same image (https://arxiv.org/abs/2205.09616, eq. 3):
    -log(exp(q_j.k_j / T) / sum over all i of exp(q_j.k_i / T)), of unit vectors,
    averaged over the masked patches j.

    Args:
        temperature: Divisor T of the cosine similarities.
    """

    def __init__(self, temperature: Positive = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(
        self, queries: Tensor, keys: Tensor, split: TokenSplit
    ) -> tuple[Tensor, Tensor]:
        """Compute the loss.

        Args:
            queries: Of the masked patches in the order of ``ids_masked``, of shape
                (B, M, C).
            keys: Of all patches by their ids, of shape (B, N, C).
            split: Which patches were masked.

        Returns:
            Scalar, at least float32, log N when all keys are alike; and the fraction of
            masked patches that are distinguished from all others of their image.
        """
        logits = products(unit(queries), unit(keys)) / self.temperature  # (B, M, N)
        return cross_entropy_and_accuracy(
            logits.flatten(0, 1), split.ids_masked.flatten()
        )
