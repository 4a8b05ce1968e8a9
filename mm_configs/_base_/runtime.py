"""What every run has in common: logging, checkpoints, seeds, processes."""

default_hooks = dict(
    runtime_info=dict(type='ccmim.DeferredRuntimeInfoHook'),
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=50),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(type='ccmim.SafeCheckpointHook', interval=1, max_keep_ckpts=3),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    progress=dict(type='ccmim.ProgressHook'),
    speed=dict(type='ccmim.SpeedHook'),
)
# For hooks of your own. Those that resuming, stopping and bad numbers rely on are added
# to every run as default_hooks.step_seed, finite, resume and stop.
custom_hooks = []
# `tensorboard --logdir work_dirs` shows the curves. For another tracker set
# `visualizer.vis_backends.1.type=WandbVisBackend`, or MLflowVisBackend, which writes
# files with MLFLOW_ALLOW_FILE_STORE=true.
visualizer = dict(
    type='Visualizer',
    vis_backends=[dict(type='LocalVisBackend'), dict(type='TensorboardVisBackend')],
)
env_cfg = dict(
    cudnn_benchmark=True,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    # Seconds that a process waits for another one. Some wait on purpose: the first
    # computes COCO's AP alone, which takes minutes.
    dist_cfg=dict(backend='nccl', timeout=600),
)
# torch.compile of the transformer blocks: 'auto' on GPUs (on a CPU it takes minutes and
# gains 5 per cent), True everywhere, False nowhere.
compile_blocks = 'auto'
float32_matmul = 'high'  # TF32 on GPUs for what autocast leaves in float32
randomness = dict(seed=0)
log_level = 'INFO'
load_from = None
resume = False
# Settings, or parts of the config, that may differ from the checkpoint's, such as
# 'model.mask_ratio'; 'data' for images that are gone, new, renamed or replaced.
resume_changed = []
