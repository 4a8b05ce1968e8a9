"""Captions: data sets of them, their words, and the tower that encodes them."""

from ccmim.lazy import attach

__getattr__, __dir__, __all__ = attach(
    __name__,
    {
        'captioned': ('CaptionedImages',),
        'captions': ('read_captions',),
        'tower': ('TextTower',),
        'word_pieces': ('WordPieces',),
    },
)
