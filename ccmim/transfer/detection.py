"""All parts that are built on mmdet's.

Imports mmdet, so the room does not import it: detection configs name it in
``custom_imports``.
"""

from ccmim.transfer.cascade_head import OneMaskCascadeRoIHead
from ccmim.transfer.federated_loss import FederatedLoss
from ccmim.transfer.instance_tta import InstanceTTAModel
from ccmim.transfer.mask_head import SmallInitMaskHead
from ccmim.transfer.multi_level_fpn import MultiLevelFPN
from ccmim.transfer.rpn_head import Float32RPNHead

__all__ = [
    'FederatedLoss',
    'MultiLevelFPN',
    'Float32RPNHead',
    'InstanceTTAModel',
    'OneMaskCascadeRoIHead',
    'SmallInitMaskHead',
]
