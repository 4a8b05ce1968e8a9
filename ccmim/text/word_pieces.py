"""A caption tokenizer whose vocabulary is part of the checkpoint.

B captions, L words.
"""

import os
import zlib
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch import Tensor, nn

from ccmim.ranges import Count
from ccmim.registry import MODELS

PAD, UNKNOWN = '[PAD]', '[UNK]'
_BYTES = 64  # a piece in a packed vocabulary; CLIP's takes 20
_UNKNOWNS = (UNKNOWN, '<unk>', '<|endoftext|>')  # of BERT, SentencePiece and CLIP


@MODELS.register_module()
class WordPieces(nn.Module):
    """Split captions into pieces of words, by the library ``tokenizers``.

    Without a file the vocabulary is made of the captions of the training set, before
    the first step (``ccmim.VocabularyHook``): the same captions in any order make the
    same one. It lies in the checkpoint as packed text, and no code is run to read it.

    Args:
        num_words: Most pieces in the vocabulary, padding and unknown ones included:
            the rows of the tower's table.
        context: Pieces of a caption that are kept, L.
        file: A ``tokenizer.json`` of the library, or a ``vocab.txt`` of BERT's kind,
            whose letters are made small; or ``hf:OWNER/NAME`` of a model that has the
            first, as ``hf:openai/clip-vit-base-patch32`` has CLIP's, of 49,409 pieces.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read or has more than ``num_words`` pieces.
    """

    def __init__(
        self,
        num_words: Count = 30522,
        context: Count = 32,
        file: str | os.PathLike | None = None,
    ) -> None:
        super().__init__()
        self.num_words, self.context = num_words, context
        self._tokenizer: Any = None
        # Of one size whatever is in it, as all that is loaded or resumed.
        room = torch.zeros(_BYTES * num_words + 1024, dtype=torch.uint8)
        self.register_buffer('vocabulary', room)
        if file is not None:
            self._take(_read(os.fspath(file)), os.fspath(file))

    @property
    def is_ready(self) -> bool:
        """Whether there is a vocabulary."""
        return self._tokenizer is not None

    def learn(self, captions: Iterable[str]) -> None:
        """Make the vocabulary of captions.

        Raises:
            ValueError: If there are no words in them.
        """
        _require_library()
        from tokenizers.trainers import WordPieceTrainer

        texts = sorted(caption for caption in captions if caption.strip())
        if not texts:
            raise ValueError('no caption has a word: there is no vocabulary to make')
        tokenizer = _empty()
        # The library numbers letters inside of words by chance, and of equal pairs
        # takes the one with the lower numbers: unless they are numbered beforehand.
        letters = {
            c for text in texts for c in tokenizer.normalizer.normalize_str(text)
        }
        inside = [f'##{letter}' for letter in sorted(letters) if not letter.isspace()]
        trainer = WordPieceTrainer(
            vocab_size=self.num_words,
            special_tokens=[PAD, UNKNOWN, *inside],
            show_progress=False,
        )
        tokenizer.train_from_iterator(texts, trainer)
        self._take(_empty(tokenizer.get_vocab()), 'the captions')

    def forward(self, captions: Sequence[str]) -> Tensor:
        """Number the words of captions.

        Args:
            captions: B texts.

        Returns:
            Numbers (B, L) on the host, 0 behind the end. A caption without words is one
            unknown word.

        Raises:
            ValueError: If there is no vocabulary yet.
        """
        if self._tokenizer is None:
            raise ValueError(
                'WordPieces has no vocabulary: set file, load a checkpoint that has '
                'one, or train with ccmim.VocabularyHook'
            )
        numbers = torch.zeros(len(captions), self.context, dtype=torch.long)
        encode = self._tokenizer.encode_batch
        encodings = encode(list(captions), add_special_tokens=False)
        for row, piece in zip(numbers, encodings, strict=True):
            ids = (piece.ids or [self._unknown])[: self.context]
            # 0 is the padding, also where the file has another piece there.
            row[: len(ids)] = torch.tensor(ids) + self._shift
        return numbers

    def _load_from_state_dict(self, *args: Any) -> None:
        super()._load_from_state_dict(*args)
        packed = bytes(self.vocabulary.tolist()).rstrip(b'\0')
        if packed:
            _require_library()
            from tokenizers import Tokenizer

            text = zlib.decompressobj().decompress(packed + bytes(8)).decode()
            self._take(Tokenizer.from_str(text), 'the checkpoint')

    def _take(self, tokenizer: Any, source: str) -> None:
        numbers = map(tokenizer.token_to_id, _UNKNOWNS)
        unknown = next((number for number in numbers if number is not None), None)
        if unknown is None:
            raise ValueError(
                f'{source} has no piece for unknown words: {", ".join(_UNKNOWNS)}'
            )
        shift = 0 if tokenizer.token_to_id(PAD) == 0 else 1
        size = tokenizer.get_vocab_size() + shift
        if size > self.num_words:
            raise ValueError(
                f'num_words={self.num_words} are fewer than the {size:,} pieces of '
                f'{source}, the padding included: set it to {size}'
            )
        packed = zlib.compress(tokenizer.to_str().encode())
        if len(packed) > len(self.vocabulary):
            raise ValueError(
                f'{source} takes {len(packed):,} bytes, and a checkpoint has room for '
                f'{len(self.vocabulary):,}: take a vocabulary of fewer words'
            )
        self.vocabulary.zero_()
        self.vocabulary[: len(packed)] = torch.frombuffer(
            bytearray(packed), dtype=torch.uint8
        )
        self._tokenizer, self._unknown, self._shift = tokenizer, unknown, shift


def _empty(vocabulary: dict[str, int] | None = None) -> Any:
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer

    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=UNKNOWN))
    tokenizer.normalizer = BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


def _require_library() -> None:
    if find_spec('tokenizers') is None:
        raise ImportError('words of captions need a library: pip install tokenizers')


def _read(file: str) -> Any:
    _require_library()
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece

    if file.startswith('hf:'):
        return _download(file)
    if not os.path.isfile(file):
        raise FileNotFoundError(f'No such vocabulary: {os.path.abspath(file)}')
    try:
        if file.endswith('.json'):
            return Tokenizer.from_file(file)
        return _empty(WordPiece.read_file(file))
    except Exception as error:  # the library raises plain Exception
        raise ValueError(
            f'{file} is no vocabulary, tokenizer.json or vocab.txt: {error}'
        ) from error


def _download(name: str) -> Any:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    from tokenizers import Tokenizer

    owner_and_name = name.removeprefix('hf:')
    try:
        path = hf_hub_download(owner_and_name, 'tokenizer.json')
    except (HFValidationError, HfHubHTTPError, OSError) as error:
        reason = str(error).strip().partition('\n')[0]
        raise ValueError(
            f'{name}: no tokenizer.json could be had ({reason}): check the name and '
            'the network, or set file to a copy of it'
        ) from error
    return Tokenizer.from_file(path)
