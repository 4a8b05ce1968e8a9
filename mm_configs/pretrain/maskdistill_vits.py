"""MaskDistill, ViT-S/16, 300 epochs on ImageNet-1K: see maskdistill_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/maskdistill_vits.py 8 \
        --cfg-options model.teacher.checkpoint=FILE

Departs: the source has no ViT-S. Not run at full length.
"""

_base_ = 'maskdistill_vitb.py'
model = dict(backbone=dict(arch='small'))
