"""What a hidden patch must become."""

from ccmim.targets.pixels import normalise_patches, patchify, unpatchify

__all__ = ['normalise_patches', 'patchify', 'unpatchify']
