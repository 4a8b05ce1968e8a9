"""Captions: datasets, tokenizer and text encoder."""

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
