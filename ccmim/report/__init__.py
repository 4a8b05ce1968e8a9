"""Pictures of what a network learns."""

from ccmim.report.reconstruction import (
    Reconstruction,
    reconstruct,
    reconstruction_sheet,
)

__all__ = ['Reconstruction', 'reconstruct', 'reconstruction_sheet']
