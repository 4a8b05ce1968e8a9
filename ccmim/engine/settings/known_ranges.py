"""Ranges of common keys of mmengine, mmdet, mmcv and mmseg.

Data alone: their classes state no ranges. ``check_arguments`` reads it. None is taken
everywhere, as it mostly means a default.
"""

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, Len, MinLen, MultipleOf
from typing_extensions import TypedDict

from ccmim.ranges import (
    Count,
    Index,
    InnerRatio,
    NonNegative,
    Part,
    Parts,
    Path,
    Positive,
    PositiveRatio,
    Ratio,
    RatioBelowOne,
    Spreads,
)

Steps = Annotated[float, Ge(1), MultipleOf(1)]  # 1e5 is a whole number
AllOrCount = Annotated[int, Ge(-1)]
AllOrSome = Count | Literal[-1]
Byte = Annotated[int, Ge(0), Le(255)]
Ignored = Annotated[int, Ge(0), Le(65535)] | Literal[-1, -100]  # a pixel, or no one
Numbers = NonNegative | Annotated[Sequence[NonNegative], MinLen(1)]
Widths = Count | Annotated[Sequence[Index], MinLen(1)]
Lengths = Count | Annotated[Sequence[Count], MinLen(1)]
Sizes = Positive | Annotated[Sequence[Positive | Sequence[Positive]], MinLen(1)]
Kernels = Count | Annotated[Sequence[Count | Sequence[Count]], MinLen(1)]
TwoPositive = Annotated[Sequence[Positive], Len(2, 2)]
TwoNumbers = Annotated[Sequence[NonNegative], Len(2, 2)]
Thresholds = Ratio | Annotated[Sequence[Ratio], MinLen(1)]
Level = Literal['DEBUG', 'INFO', 'WARNING', 'ERROR', 'CRITICAL']
Items = Literal[
    'mAP',
    'mAP_50',
    'mAP_75',
    'mAP_s',
    'mAP_m',
    'mAP_l',
    'AR@100',
    'AR@300',
    'AR@1000',
    'AR_s@1000',
    'AR_m@1000',
    'AR_l@1000',
]
Directions = Literal['horizontal', 'vertical', 'diagonal']
TwoRatios = Annotated[Sequence[RatioBelowOne], Len(2, 2)]


class Groups(TypedDict, total=False):
    """What mmengine's constructor of parameter groups reads; it drops the rest.

    So ``wd_mult`` is refused, which one of mmseg's configs of DNLNet writes for
    ``decay_mult``: it would decay what it says it does not.
    """

    custom_keys: dict[str, Part]
    bias_lr_mult: NonNegative
    bias_decay_mult: NonNegative
    norm_decay_mult: NonNegative
    flat_decay_mult: NonNegative
    dwconv_decay_mult: NonNegative
    dcn_offset_lr_mult: NonNegative
    bypass_duplicate: bool


# What it reads of each custom key, beside the arguments of the optimizer.
MULTIPLIERS = dict(lr_mult=NonNegative, decay_mult=NonNegative)


class Suppression(TypedDict, total=False):
    """What mmcv's ``batched_nms`` takes, in a dict called ``nms``."""

    type: Literal['nms', 'soft_nms', 'nms_match']
    iou_threshold: Ratio
    score_threshold: Ratio
    max_num: AllOrCount
    class_agnostic: bool
    split_thr: Count
    sigma: Positive
    min_score: Ratio
    method: Literal['naive', 'linear', 'gaussian']
    offset: Literal[0, 1]


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
    'log_level': Level,
    'launcher': Literal['none', 'pytorch', 'slurm', 'mpi'],
    'log_processor.window_size': Count,
    'log_processor.custom_cfg': Sequence[Part],
    'log_processor.num_digits': Index,
    'env_cfg.cudnn_benchmark': bool,
    'env_cfg.mp_cfg.mp_start_method': Literal['fork', 'spawn', 'forkserver'],
    'env_cfg.mp_cfg.opencv_num_threads': Index,
    'env_cfg.dist_cfg.timeout': Positive,
    'env_cfg.dist_cfg.backend': Literal['nccl', 'gloo', 'mpi', 'hccl', 'cncl', 'mccl'],
    'default_hooks.visualization.interval': Index,
    'default_hooks.checkpoint.rule': Literal['greater', 'less'] | Sequence[str],
    'randomness.diff_rank_seed': bool,
    'env_cfg.resource_limit': Count,
    'experiment_name': str,
    'model_wrapper_cfg': Part,
    'resume_changed': str | Sequence[str],
    'log_processor': Part,
    'visualizer': Part,
    'visualizer.name': str,
    'visualizer.alpha': Ratio,
    'visualizer.line_width': Positive,
    'model.data_preprocessor.std': Spreads,
    'model.data_preprocessor.size_divisor': Count,
    'model.data_preprocessor.size': Lengths,
    'model.decode_head.threshold': Ratio,
    'model.test_cfg.mode': Literal['slide', 'whole', 'slide_flip'],
}
# Keys that must not be None: it would be another choice, made without a word.
NEVER_NONE = {'param_scheduler': '[] for a constant rate'}
# Of the command line, more strictly than of files.
ASKED_FOR: dict[str, Any] = {'dropout_ratio': Ratio}
# Of some classes, where the names below mean something else.
BY_CLASS: dict[str, dict[str, Any]] = {
    'CocoMetric': dict(metric_items=Sequence[Items]),
    'EMAHook': dict(interval=Count, momentum=InnerRatio),
    'EarlyStoppingHook': dict(rule=Literal['greater', 'less']),
}
# Last names of keys, wherever they stand in a part of another package.
BY_NAME: dict[str, Any] = {
    # data
    'batch_size': Count,
    'num_workers': Index,
    'persistent_workers': bool,
    'drop_last': bool,
    'seed': Index,
    'img_suffix': str,
    'seg_map_suffix': str,
    'pad_value': float,
    'mask_pad_value': Byte,
    'direction': Directions | Sequence[Directions],
    'imdecode_backend': Literal['cv2', 'turbojpeg', 'pillow', 'tifffile'],
    'shuffle': bool,
    'prefetch_factor': Count,
    'crop_size': Lengths,
    'prob': Ratio | Sequence[Ratio],
    'cat_max_ratio': Ratio,
    'mean': Sequence[float],
    'bgr_to_rgb': bool,
    'rgb_to_bgr': bool,
    'pad_mask': bool,
    'pad_val': float | Sequence[float] | Part,
    'seg_pad_val': Byte,
    'min_size': NonNegative,
    'max_refetch': Index,
    'ignore_index': Ignored,
    'keep_ratio': bool,
    'timeout': NonNegative,
    'scale': Sizes,
    'scales': Sizes,
    'ratio_range': TwoPositive,
    'brightness_delta': NonNegative,
    'hue_delta': NonNegative,
    'contrast_range': TwoNumbers,
    'saturation_range': TwoNumbers,
    'filter_empty_gt': bool,
    'reduce_zero_label': bool,
    'test_mode': bool,
    'with_bbox': bool,
    'with_mask': bool,
    'pad_size_divisor': Count,
    # run
    'max_epochs': Steps,
    'max_iters': Steps,
    'val_interval': Steps,
    'accumulative_counts': Count,
    'interval': AllOrCount,
    'max_keep_ckpts': AllOrSome,
    'by_epoch': bool,
    'save_last': bool,
    'save_optimizer': bool,
    'update_buffers': bool,
    'patience': Index,
    'interval_exp_name': Index,
    'val_begin': Count,
    'dynamic_intervals': Sequence[Sequence[Count]],
    'out_dir': Path,
    'output_dir': Path,
    'filename_tmpl': str,
    'published_keys': str | Sequence[str],
    'prefix': str,
    'data_src': str,
    'method_name': Literal['mean', 'max', 'min', 'current'],
    'save_begin': Index,
    'begin_iter': Index,
    'begin_epoch': Index,
    'format_only': bool,
    'classwise': bool,
    'proposal_nums': Lengths,
    'iou_thrs': Thresholds,
    'iou_metrics': Sequence[Literal['mIoU', 'mDice', 'mFscore']],
    'nan_to_num': int,
    # optimizer and schedule
    'lr': NonNegative,
    'weight_decay': NonNegative,
    'betas': TwoRatios,
    'max_norm': Positive,
    'norm_type': Positive,
    'clip_value': Positive,
    'eps': NonNegative,
    'momentum': Ratio,
    'gamma': NonNegative,
    'factor': Positive,
    'step_size': Positive,
    'power': NonNegative,
    'eta_min': NonNegative,
    'start_factor': PositiveRatio,
    'end_factor': PositiveRatio,
    'eta_max': NonNegative,
    'total_steps': Count,
    'pct_start': Ratio,
    'loss_scale': Positive | Literal['dynamic'] | Part,
    'dtype': Literal['float16', 'bfloat16', 'float32', 'float64'],
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
    'num_heads': Lengths,
    'num_layers': Lengths,
    'num_queries': Count,
    'num_stages': Count,
    'stacked_convs': Index,
    'embed_dims': Lengths,
    'feedforward_channels': Lengths,
    'kernel_size': Kernels,
    'conv_kernel_size': Kernels,
    'dilations': Kernels,
    'strides': Sizes,  # of maps that are no whole part of the image, too
    'groups': Count,
    'pool_scales': Annotated[Sequence[Count], MinLen(1)],
    'align_corners': bool,
    'norm_eval': bool,
    'with_cp': bool,
    'attn_drop_rate': Ratio,
    'drop_rate': Ratio,
    'use_sigmoid': bool,
    'avg_non_ignore': bool,
    'reduction': Literal['none', 'mean', 'sum'] | Count,  # of channels, too
    'class_weight': Numbers | str,  # or a file of them
    'stride': Kernels,
    'beta': NonNegative,
    'temperature': Positive,
    'dropout_ratio': Ratio | Literal[-1],  # as some files of mmseg write 0
    'drop_path_rate': Ratio,
    'loss_weight': Numbers,
    # detection
    'score_thr': Ratio,
    'iou_threshold': Ratio,
    'min_pos_iou': Ratio,
    'pos_iou_thr': Thresholds,
    'neg_iou_thr': Thresholds,
    'neg_pos_ub': Annotated[float, Ge(-1)],
    'min_bbox_size': Annotated[float, Ge(-1)],
    'add_gt_as_proposals': bool,
    'ignore_iof_thr': Annotated[float, Ge(-1), Le(1)],
    'center_offset': Ratio,
    'target_means': Sequence[float],
    'thresh': Ratio,
    'min_kept': Index,
    'nms': Suppression,
    'iou_thr': Thresholds,
    'object_mask_thr': Ratio,
    'max_per_image': Count,
    'num_points': Count,
    'oversample_ratio': Annotated[float, Ge(1)],
    'importance_sample_ratio': Ratio,
    'panoptic_on': bool,
    'semantic_on': bool,
    'instance_on': bool,
    'filter_low_score': bool,
    'ratios': Sizes,
    'target_stds': Spreads,
    'output_size': Lengths,
    'roi_feat_size': Lengths,
    'mask_size': Lengths,
    'num': AllOrSome,
    'pos_weight': Annotated[float, Ge(-1)],
    'sampling_ratio': AllOrCount,
    'featmap_strides': Lengths,
    'finest_scale': Count,
    'class_agnostic': bool,
    'reg_class_agnostic': bool,
    'pos_fraction': Ratio,
    'max_per_img': AllOrSome,
    'nms_pre': AllOrCount,
    'mask_thr_binary': Annotated[float, Ge(-1), Le(1)],
}
