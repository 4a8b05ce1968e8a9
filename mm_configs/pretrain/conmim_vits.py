"""ConMIM, ViT-S/16, 300 epochs on ImageNet-1K: see conmim_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/conmim_vits.py 8

Recipe: as conmim_vitb.py. Expected: 82.0 top-1 fine-tuned (ConMIM, imgs/results.png:
after 300 epochs). Departs: rate, batch and warm-up of ViT-L's command; fixed absolute
positions in place of relative ones that all blocks share; no layer scale; a projector
that begins with Xavier's weights; colors are changed in a fixed order, and the hue in
YIQ. Not run at full length.
"""

_base_ = 'conmim_vitb.py'
model = dict(backbone=dict(arch='small'))
train_cfg = dict(max_epochs=300)
_base_.param_scheduler[0].end = 10 / 300
_base_.param_scheduler[1].begin = 10 / 300
