"""What turns tokens back into pixels."""

from ccmim.decoders.mae_decoder import MAEDecoder

__all__ = ['MAEDecoder']
