"""Top-k accuracy."""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

import torch
from annotated_types import MinLen
from mmengine.evaluator import BaseMetric

from ccmim.ranges import Count
from ccmim.registry import METRICS


@METRICS.register_module()
class TopAccuracy(BaseMetric):
    """Top-k accuracy in percent, over all processes.

    Equal scores count in the order of the classes, so a network that scores all alike
    gets no more than chance.

    Args:
        topk: The k.
        collect_device: 'cpu' or 'gpu', over which processes exchange results.
        prefix: What stands before the name of the metric in the log.
    """

    default_prefix = 'accuracy'

    def __init__(
        self,
        topk: Annotated[Sequence[Count], MinLen(1)] = (1, 5),
        collect_device: Literal['cpu', 'gpu'] = 'cpu',
        prefix: str | None = None,
    ) -> None:
        super().__init__(collect_device, prefix)
        self.topk = tuple(topk)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Note the rank of the right class, from 0, and which is right and predicted.

        Args:
            data_batch: Not looked at.
            data_samples: ``scores`` (C,) and ``label`` of each image.

        Raises:
            ValueError: If there are scores of more or fewer classes than the data has.
        """
        scores = torch.stack([sample['scores'] for sample in data_samples])
        labels = torch.tensor([sample['label'] for sample in data_samples])
        classes = (self.dataset_meta or {}).get('classes')
        if classes is not None and len(classes) != scores.shape[1]:
            raise ValueError(
                f'the model tells {scores.shape[1]} classes apart, the data set has '
                f'{len(classes)}: set model.head.num_classes or dataset.classes'
            )
        order = scores.argsort(dim=1, descending=True, stable=True)
        ranks = (order == labels.to(order.device)[:, None]).int().argmax(1)
        columns = (ranks, labels, order[:, 0].cpu())
        self.results.extend(zip(*(part.tolist() for part in columns), strict=True))

    def compute_metrics(self, results: list[tuple[int, int, int]]) -> dict[str, float]:
        """Compute the accuracies, in [0, 100], from what was noted of all samples."""
        ranks = torch.tensor([rank for rank, _, _ in results])
        return {f'top{k}': 100 * (ranks < k).double().mean().item() for k in self.topk}
