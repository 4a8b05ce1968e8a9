"""Export to ONNX."""

from ccmim.export.onnx import MissingLibrary, compare_with_onnx, export_onnx

__all__ = ['MissingLibrary', 'compare_with_onnx', 'export_onnx']
