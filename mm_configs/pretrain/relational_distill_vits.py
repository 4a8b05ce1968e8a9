"""Relational distillation, ViT-S/16, 100 epochs: see relational_distill_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/relational_distill_vits.py 8 \
        --cfg-options model.teacher.checkpoint=FILE

Not run at full length.
"""

_base_ = 'relational_distill_vitb.py'
model = dict(backbone=dict(arch='small'))
