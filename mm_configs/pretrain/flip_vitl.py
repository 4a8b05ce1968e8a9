"""FLIP, ViT-L/16 and a text tower of 12 layers, 32 epochs of LAION-400M.

    tools/dist_train.sh mm_configs/pretrain/flip_vitl.py 8 --cfg-options \
        train_dataloader.dataset.data=FOLDER train_dataloader.dataset.captions=FILE

Recipe: FLIP, configs/cfg_flip_large.py and default.py. Expected: 74.3 top-1 zero-shot
on ImageNet-1K (FLIP, README.md). Departs, as flip_vitb.py does: 4096 pairs are compared
a step, where the source compares 65,536; a vocabulary that is made of the captions;
words that do not see the padding; the exact GELU. Not run at full length.
"""

_base_ = 'flip_vitb.py'
model = dict(
    backbone=dict(arch='large'),
    text_tower=dict(embed_dim=768, num_heads=12, out_dim=768),
)
