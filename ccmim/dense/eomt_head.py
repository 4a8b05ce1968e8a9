"""The head of EoMT: learned queries among the tokens of a plain ViT.

B batch, Q queries, N patches, T tokens (queries, class token, registers, patches), D
width, P patch side, C classes, H W image.
"""

from collections.abc import Sequence
from typing import Annotated, Any

import torch
import torch.nn.functional as F
from annotated_types import Len
from mmdet.models.dense_heads import Mask2FormerHead
from mmdet.models.dense_heads.base_dense_head import BaseDenseHead
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.registry import TASK_UTILS
from mmengine.logging import MessageHub, print_log
from torch import Tensor, nn

from ccmim.dense.eomt_parts import LOSSES, POINTS, check_images, make_upscale
from ccmim.dense.mask_annealing import check_moments, kept_masks
from ccmim.ranges import Count, Index, NonNegative, Part, Ratio
from ccmim.registry import MODELS
from ccmim.vit import VisionTransformer

Predictions = tuple[list[Tensor], list[Tensor]]  # of classes and masks, by block


@MODELS.register_module()
class EoMTHead(Mask2FormerHead):
    """Class and mask of each query, with Mask2Former's matching and losses.

    "Your ViT is Secretly an Image Segmentation Model",
    https://arxiv.org/abs/2503.19108: learned queries go through the last blocks of the
    ViT among its own tokens. In training each of these blocks is preceded by a
    prediction, which has a loss and says which patches a query attends to; such masks
    fade, see ``kept_masks``. In testing there are none.

    Args:
        embed_dim: Width D of the backbone.
        patch_size: Side P of its patches.
        depth: Its number of blocks.
        num_queries: Number Q of queries.
        num_blocks: Number of last blocks with queries; as published, 3 of up to 12
            blocks, 4 of up to 24 and 5 of more, when None.
        num_things_classes: Classes of countable objects; they come first.
        num_stuff_classes: Classes of which an image has one region.
        annealing: When masks fade: the beginning of the first block, the end of the
            last and how long each takes, in fractions of the run.
        loss_cls: Config of the loss of the classes.
        loss_mask: Config of the loss of a mask's points.
        loss_dice: Likewise, of their overlap.
        no_object_weight: Weight of the class of queries without an object.
        train_cfg: Of mmdet's ``Mask2FormerHead``: ``assigner``, ``sampler``, points.
        test_cfg: Kept for the detector.

    Raises:
        ValueError: If there are no classes, or not so many blocks.
    """

    def __init__(
        self,
        embed_dim: Count,
        patch_size: Count,
        depth: Count,
        num_queries: Count = 200,
        num_blocks: Count | None = None,
        num_things_classes: Index = 80,
        num_stuff_classes: Index = 0,
        annealing: Annotated[Sequence[Ratio], Len(3, 3)] = (1 / 6, 5 / 6, 1 / 6),
        loss_cls: Part | None = None,
        loss_mask: Part | None = None,
        loss_dice: Part | None = None,
        no_object_weight: NonNegative = 0.1,
        train_cfg: Part | None = None,
        test_cfg: Part | None = None,
    ) -> None:
        BaseDenseHead.__init__(self)  # Mask2Former's would build its decoders
        self.num_things_classes = num_things_classes
        self.num_stuff_classes = num_stuff_classes
        self.num_classes = num_things_classes + num_stuff_classes
        if not self.num_classes:
            raise ValueError(
                f'{type(self).__name__} has no classes: set their number '
                '(num_things_classes, num_stuff_classes, num_classes) to that of the '
                'data'
            )
        self.num_queries = num_queries
        self.num_blocks = num_blocks or (3 if depth <= 12 else 4 if depth <= 24 else 5)
        if self.num_blocks > depth:
            raise ValueError(
                f'num_blocks={self.num_blocks} are to have queries, and the backbone '
                f'has {depth} blocks: lower it to {depth} at most'
            )
        check_moments(annealing)
        self.annealing, self.has_warned = tuple(annealing), False

        self.query = nn.Embedding(num_queries, embed_dim)
        self.class_head = nn.Linear(embed_dim, self.num_classes + 1)
        self.mask_head = nn.Sequential(
            nn.Linear(embed_dim, embed_dim),
            nn.GELU(),
            nn.Linear(embed_dim, embed_dim),
            nn.GELU(),
            nn.Linear(embed_dim, embed_dim),
        )
        self.upscale = make_upscale(embed_dim, patch_size)

        self.train_cfg, self.test_cfg = train_cfg, test_cfg
        if train_cfg:
            self.assigner = TASK_UTILS.build(train_cfg['assigner'])
            self.sampler = TASK_UTILS.build(
                train_cfg['sampler'], default_args=dict(context=self)
            )
            for name, usual in POINTS.items():
                setattr(self, name, train_cfg.get(name, usual))
        self.class_weight = [1.0] * self.num_classes + [no_object_weight]
        losses = dict(loss_cls=loss_cls, loss_mask=loss_mask, loss_dice=loss_dice)
        for name, loss in losses.items():
            loss = {**LOSSES[name], **(loss or {})}
            if name == 'loss_cls':
                loss['class_weight'] = self.class_weight
            setattr(self, name, MMDET_MODELS.build(loss))

    def init_weights(self) -> None:
        """Leave PyTorch's first weights, as published."""

    def encode(self, backbone: VisionTransformer, images: Tensor) -> Predictions:
        """Run a backbone with the queries, and predict.

        Args:
            backbone: The Vision Transformer.
            images: Normalized images (B, 3, H, W).

        Returns:
            Logits of the classes (B, Q, C + 1), the last of no object, and of the masks
            (B, Q, h, w): a list of each, with the final prediction alone in testing, in
            training after those before each block with queries.

        Raises:
            ValueError: If the images are no whole patches.
        """
        check_images(images, backbone.patch_size)
        grid = backbone.grid_of(images)
        x = backbone.start(backbone.embed(images))
        first = backbone.depth - self.num_blocks
        for i in range(first):
            x = backbone.run(i, x, grid)
        queries = self.query.weight.to(x.dtype).expand(x.shape[0], -1, -1)
        x = torch.cat([queries, x], dim=1)  # (B, T, D)
        predicted: Predictions = ([], [])
        kept = self._kept_masks() if self.training else ()
        for i in range(first, backbone.depth):
            seen = None
            if self.training:
                self._predict(backbone.norm(x), grid, predicted)
                seen = self.seen(predicted[1][-1], kept[i - first], x.shape[1], grid)
            x = backbone.run(i, x, grid, seen)
        self._predict(backbone.norm(x), grid, predicted)
        return predicted

    def forward(self, x: Predictions, batch_data_samples: Any = None) -> Predictions:
        """Hand on what ``encode`` gave: the losses of mmdet ask for it here."""
        return x

    def seen(
        self, masks: Tensor, kept: float, length: int, grid: tuple[int, int]
    ) -> Tensor | None:
        """Say which tokens each query attends to.

        Args:
            masks: Logits (B, Q, h, w).
            kept: How likely a query keeps its mask.
            length: Number T of tokens.
            grid: Rows and columns of the patches.

        Returns:
            True or False of shape (B, Q, T); None for all.
        """
        if kept == 0:
            return None
        with torch.no_grad():
            inside = F.interpolate(masks, grid, mode='bilinear').flatten(2) > 0
            if kept < 1:
                drawn = torch.rand(inside.shape[:2], device=inside.device)
                inside |= (drawn > kept).unsqueeze(-1)
            others = length - inside.shape[2]
            return F.pad(inside, (others, 0), value=True)

    def loss_by_feat(
        self,
        all_cls_scores: list[Tensor],
        all_mask_preds: list[Tensor],
        batch_gt_instances: list[Any],
        batch_img_metas: list[dict[str, Any]],
    ) -> dict[str, Tensor]:
        """Compute the losses of all predictions, in float32.

        Args:
            all_cls_scores: Logits of the classes, by block.
            all_mask_preds: Logits of the masks, by block.
            batch_gt_instances: ``labels`` and ``masks`` of each image.
            batch_img_metas: What is known of each image.

        Returns:
            Losses by name.
        """
        most = max(len(objects.labels) for objects in batch_gt_instances)
        if most > self.num_queries and not self.has_warned:
            self.has_warned = True
            print_log(
                f'an image has {most} objects, and num_queries={self.num_queries}: '
                'those that fit worst are not learned from; raise num_queries',
                logger='current',
                level=30,
            )
        with torch.autocast(all_cls_scores[0].device.type, enabled=False):
            return super().loss_by_feat(
                all_cls_scores, all_mask_preds, batch_gt_instances, batch_img_metas
            )

    def _predict(
        self, x: Tensor, grid: tuple[int, int], predicted: Predictions
    ) -> None:
        queries = x[:, : self.num_queries]
        patches = x[:, -grid[0] * grid[1] :].transpose(1, 2).unflatten(2, grid)
        maps = self.upscale(patches)
        masks = self.mask_head(queries) @ maps.flatten(2)
        predicted[0].append(self.class_head(queries).float())
        predicted[1].append(masks.unflatten(2, maps.shape[2:]).float())

    def _kept_masks(self) -> list[float]:
        hub = MessageHub.get_current_instance()
        done, steps = hub.get_info('iter', 0), hub.get_info('max_iters', 1)
        return kept_masks(done, steps, self.num_blocks, *self.annealing)
