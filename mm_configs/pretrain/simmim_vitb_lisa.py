"""SimMIM, ViT-B/16 with structure-aware attention: see simmim_vitb.py.

    tools/dist_train.sh mm_configs/pretrain/simmim_vitb_lisa.py 8

LiSA's idea in every block, see ``ccmim.vit.attentions``: cost grows as N log N with the
number of patches. It pays from about 10,000 patches (1600 px) on a CPU, and is slower
below. Downstream configs need `model.backbone.attention=lisa`. Not run at full length.
"""

_base_ = 'simmim_vitb.py'
model = dict(backbone=dict(attention='lisa'))
