"""MAE's fine-tuning of ViT-L and ViT-H: twice the rate of ViT-B, 50 epochs."""

_base_ = './finetune_100e.py'
large_lr = 1e-3 * 1024 / 256
train_cfg = dict(max_epochs=50)
optim_wrapper = dict(optimizer=dict(lr=large_lr), paramwise_cfg=dict(layer_decay=0.75))
_base_.param_scheduler[0].end = 5 / 50
_base_.param_scheduler[1].begin = 5 / 50
_base_.param_scheduler[1].eta_min_ratio = 1e-6 / large_lr
