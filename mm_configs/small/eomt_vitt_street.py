r"""EoMT with ViT-Ti/16 on street photos, panoptic: 3 classes of objects, 8 of regions.

    CCMIM_STREET=data/street_panoptic \
        tools/dist_train.sh mm_configs/small/eomt_vitt_street.py 1 \
        --cfg-options model.backbone.init_cfg.checkpoint=FILE

From scratch without the option. The data are made of CamVid and Penn-Fudan:

    CCMIM_DATA=data python tools/make_panoptic.py data/street_panoptic \
        --maps mm_configs/small/upernet_vitt_camvid.py \
        --things car pedestrian bicyclist \
        --objects mm_configs/small/mask_rcnn_vitt_penn_fudan.py \
        --rename person=pedestrian
"""

_base_ = [
    '../_base_/models/eomt_vit_panoptic_slim.py',
    '../_base_/datasets/street_panoptic.py',
    '../_base_/schedules/eomt_short.py',
    '../_base_/detection.py',
]
model = dict(
    backbone=dict(img_size=384),
    panoptic_head=dict(num_things_classes=3, num_stuff_classes=8),
)
