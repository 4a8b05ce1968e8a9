r"""EoMT with ViT-L/16 on COCO (instances): 12 epochs, LSJ 640, batch 16.

    tools/dist_train.sh mm_configs/detection/eomt_vitl_coco.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: EoMT, configs/dinov2/coco/instance/eomt_large_640.yaml. Expected: 45.2 mask AP
(EoMT, model_zoo/dinov2.md: with DINOv2's weights, which have registers and layer
scale). Departs: no registers; no layer scale; the embedding learns as one block more;
photos with a side below 32 px left out. With ccMIM's weights: not known. Not run. Eight
GPUs at batch 2 each. COCO is in `data/coco` or where `CCMIM_COCO` points.
"""

_base_ = [
    '../_base_/models/eomt_vit.py',
    '../_base_/datasets/coco_instance_lsj_640.py',
    '../_base_/schedules/eomt_coco.py',
    '../_base_/detection.py',
]
