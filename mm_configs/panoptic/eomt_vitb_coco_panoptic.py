r"""EoMT with ViT-B/16 on COCO (panoptic): 24 epochs, LSJ 640, batch 16.

    tools/dist_train.sh mm_configs/panoptic/eomt_vitb_coco_panoptic.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: EoMT, configs/dinov2/coco/panoptic/eomt_base_640_2x.yaml; else as
eomt_vitl_coco_panoptic.py. Expected: 51.6 PQ (EoMT, model_zoo/dinov2.md: with DINOv2's
weights, which have registers and layer scale). Departs: no registers; no layer scale;
the embedding learns as one block more; photos with a side below 32 px left out. Not
run. Eight GPUs at batch 2 each.
"""

_base_ = [
    '../_base_/models/eomt_vit_panoptic.py',
    '../_base_/datasets/coco_panoptic.py',
    '../_base_/schedules/eomt_coco_2x.py',
    '../_base_/detection.py',
]
model = dict(backbone=dict(arch='base'))
