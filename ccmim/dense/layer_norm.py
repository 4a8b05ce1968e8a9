"""Layer norm over the channels of an image-shaped tensor."""

from timm.layers import LayerNorm2d

from ccmim.registry import MODELS

# Heads of mmdet ask for it by ``norm_cfg=dict(type='ccmim.LN2d', eps=1e-6)``; without
# ``eps``, mmcv would fill in 1e-5.
LN2d = MODELS.register_module(name='LN2d', module=LayerNorm2d)
