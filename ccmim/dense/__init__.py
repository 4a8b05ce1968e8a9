"""Adapters between the Vision Transformer and dense tasks.

Light to import: mmdet and mmseg build these parts, and are not imported here.
"""

from ccmim.dense.multi_level_pyramid import MultiLevelPyramid
from ccmim.dense.simple_feature_pyramid import LN2d, SimpleFeaturePyramid

__all__ = ['LN2d', 'MultiLevelPyramid', 'SimpleFeaturePyramid']
