"""What a config will read, checked before it is read."""

from ccmim.apps.dataset_check.check import SPLITS, check_config
from ccmim.apps.dataset_check.drawing import write_sheet
from ccmim.apps.dataset_check.report import Report

__all__ = ['SPLITS', 'Report', 'check_config', 'write_sheet']
