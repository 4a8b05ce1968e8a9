"""Labeled data, read by the same code for checks and for training."""

from ccmim.labels.drawing import write_sheet
from ccmim.labels.read import LabelError
from ccmim.labels.report import Report

__all__ = ['LabelError', 'Report', 'write_sheet']
