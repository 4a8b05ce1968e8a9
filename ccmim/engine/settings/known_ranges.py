"""Ranges of the keys that people set in parts of mmengine, mmdet, mmcv and mmseg.

Data alone: their classes state no ranges. ``check_arguments`` reads it. None is taken
everywhere, as it mostly means a default.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len, MinLen, MultipleOf

from ccmim.ranges import (
    Count,
    Index,
    NonNegative,
    Part,
    Parts,
    Path,
    Positive,
    PositiveRatio,
    Ratio,
    RatioBelowOne,
)

Steps = Annotated[float, Ge(1), MultipleOf(1)]  # 1e5 is a whole number
AllOrCount = Annotated[int, Ge(-1)]
Numbers = NonNegative | Annotated[Sequence[NonNegative], MinLen(1)]
Widths = Count | Annotated[Sequence[Index], MinLen(1)]
Lengths = Count | Annotated[Sequence[Count], MinLen(1)]
TwoRatios = Annotated[Sequence[RatioBelowOne], Len(2, 2)]

# Whole keys. What a `type` is not needed for, and what it is read by.
BY_PATH: dict[str, Any] = {
    'model': Part,
    'train_dataloader': Part,
    'val_dataloader': Part,
    'test_dataloader': Part,
    'optim_wrapper': Part,
    'optim_wrapper.optimizer': Part,
    'train_cfg': Part,
    'param_scheduler': Parts | dict[str, Parts],
    'default_hooks': Part,
    'custom_hooks': Sequence[Part],
    'resume': bool,
    'load_from': Path,
    'work_dir': Path,
    'compile_blocks': bool | Literal['auto'],
    'float32_matmul': Literal['highest', 'high', 'medium'],
    'find_unused_parameters': bool,
    'randomness.seed': Index,
    'randomness.deterministic': bool,
    'auto_scale_lr.base_batch_size': Positive,
    'auto_scale_lr.enable': bool,
    'default_hooks.logger.interval': Index,
}
# Keys that must not be None: it would be another choice, made without a word.
NEVER_NONE = {'param_scheduler': '[] for a constant rate'}
# Of the command line, more strictly than of files.
ASKED_FOR: dict[str, Any] = {'dropout_ratio': Ratio}
# Last names of keys, wherever they stand in a part of another package.
BY_NAME: dict[str, Any] = {
    # data
    'batch_size': Count,
    'num_workers': Index,
    'persistent_workers': bool,
    'drop_last': bool,
    'shuffle': bool,
    'prefetch_factor': Count,
    'crop_size': Lengths,
    'prob': Ratio | Sequence[Ratio],
    'cat_max_ratio': Ratio,
    'keep_ratio': bool,
    'pad_size_divisor': Count,
    # run
    'max_epochs': Steps,
    'max_iters': Steps,
    'val_interval': Steps,
    'accumulative_counts': Count,
    'interval': AllOrCount,
    'max_keep_ckpts': AllOrCount,
    'by_epoch': bool,
    # optimizer and schedule
    'lr': NonNegative,
    'weight_decay': NonNegative,
    'betas': TwoRatios,
    'max_norm': Positive,
    'power': NonNegative,
    'eta_min': NonNegative,
    'start_factor': PositiveRatio,
    'end_factor': PositiveRatio,
    'milestones': Sequence[NonNegative],  # below 1 a fraction of the run
    'begin': NonNegative,
    'end': Positive,
    'T_max': Count,
    # networks
    'num_classes': Count,
    'in_channels': Widths,
    'out_channels': Widths,
    'channels': Widths,
    'feat_channels': Widths,
    'conv_out_channels': Count,
    'fc_out_channels': Count,
    'num_convs': Index,
    'num_outs': Count,
    'dropout_ratio': Ratio | Literal[-1],  # as some files of mmseg write 0
    'drop_path_rate': Ratio,
    'loss_weight': Numbers,
    # detection
    'score_thr': Ratio,
    'iou_threshold': Ratio,
    'min_pos_iou': Ratio,
    'pos_fraction': Ratio,
    'max_per_img': AllOrCount,
    'nms_pre': AllOrCount,
    'mask_thr_binary': Annotated[float, Ge(-1), Le(1)],
}
