r"""EoMT with ViT-L/16 on COCO (panoptic): 12 epochs, LSJ 640, batch 16.

    tools/dist_train.sh mm_configs/panoptic/eomt_vitl_coco_panoptic.py 8 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

Recipe: EoMT, configs/dinov2/coco/panoptic/eomt_large_640.yaml. Expected: 56.0 PQ
(EoMT, model_zoo/dinov2.md: with DINOv2's weights, which have registers and layer
scale). Departs: no registers; no layer scale; the embedding learns as one block more;
photos with a side below 32 px left out. With ccMIM's weights: not known. Not run. Eight
GPUs at batch 2 each. COCO's photos, `annotations/panoptic_*.json` and the folders of
maps beside them are in `data/coco` or where `CCMIM_COCO` points.
"""

_base_ = [
    '../_base_/models/eomt_vit_panoptic.py',
    '../_base_/datasets/coco_panoptic.py',
    '../_base_/schedules/eomt_coco.py',
    '../_base_/detection.py',
]
