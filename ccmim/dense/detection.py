"""Everything that is built on mmdet.

Imports mmdet, so the package does not import it: detection configs name it in
``custom_imports``.
"""

from ccmim.dense.cascade_head import OneMaskCascadeRoIHead
from ccmim.dense.context_roi_head import ContextRoIHead
from ccmim.dense.detector_heads import Float32RPNHead, SmallInitMaskHead
from ccmim.dense.eomt import EoMT
from ccmim.dense.eomt_head import EoMTHead
from ccmim.dense.federated_loss import FederatedLoss
from ccmim.dense.instance_tta import InstanceTTAModel
from ccmim.dense.multi_level_fpn import MultiLevelFPN
from ccmim.dense.roi_extractor import RoIExtractor

__all__ = [
    'ContextRoIHead',
    'EoMT',
    'EoMTHead',
    'FederatedLoss',
    'MultiLevelFPN',
    'Float32RPNHead',
    'InstanceTTAModel',
    'OneMaskCascadeRoIHead',
    'RoIExtractor',
    'SmallInitMaskHead',
]
