"""All parts that are built on mmdet's.

Imports mmdet, so the room does not import it: detection configs name it in
``custom_imports``.
"""

from ccmim.dense.cascade_head import OneMaskCascadeRoIHead
from ccmim.dense.federated_loss import FederatedLoss
from ccmim.dense.instance_tta import InstanceTTAModel
from ccmim.dense.mask_head import SmallInitMaskHead
from ccmim.dense.multi_level_fpn import MultiLevelFPN
from ccmim.dense.rpn_head import Float32RPNHead

__all__ = [
    'FederatedLoss',
    'MultiLevelFPN',
    'Float32RPNHead',
    'InstanceTTAModel',
    'OneMaskCascadeRoIHead',
    'SmallInitMaskHead',
]
