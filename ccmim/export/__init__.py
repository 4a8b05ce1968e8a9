"""The backbone for machines that run no PyTorch."""

from ccmim.export.onnx import MissingLibrary, compare_with_onnx, export_onnx

__all__ = ['MissingLibrary', 'compare_with_onnx', 'export_onnx']
