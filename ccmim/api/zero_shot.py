"""Zero-shot classification and retrieval with a run of FLIP."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.device import get_device
from torch import Tensor, nn

from ccmim.checkpoints import load_file
from ccmim.checkpoints.config_text import read_values
from ccmim.classification import LabeledImages
from ccmim.evaluation import (
    class_vectors,
    retrieval_chance,
    retrieval_recall,
    zero_shot_accuracy,
)
from ccmim.pictures.saved_method import load_method
from ccmim.text import CaptionedImages
from ccmim.text.captions import TEMPLATES, check_templates, spoken


def load_flip(checkpoint: str | Path) -> nn.Module:
    """Build the network of both towers that a run has trained, with its words.

    Args:
        checkpoint: Of a run of FLIP.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If another method wrote it, or it has no vocabulary.
    """
    content = load_file(checkpoint)
    text = (content.get('meta') or {}).get('config_text')
    cfg = Config(read_values(text) if text else dict(model={}))  # runs no code
    if 'text_tower' not in cfg.get('model', {}):
        kind = cfg.get('model', {}).get('type', 'no run of this library')
        raise ValueError(
            f'{checkpoint} is of {kind}, which knows no words: give one of FLIP'
        )
    cfg.model.tokenizer.file = None  # in the checkpoint
    model = load_method(cfg, checkpoint)
    if not model.tokenizer.is_ready:
        raise ValueError(
            f'{checkpoint} has no vocabulary: train with ccmim.VocabularyHook, whose '
            'checkpoints hold it'
        )
    return model.to(get_device())


def knows_words(checkpoint: str | Path) -> bool:
    """Whether a file is a checkpoint of FLIP, with the words of its captions."""
    if not Path(checkpoint).is_file():
        return False
    content = load_file(checkpoint)
    state = content.get('state_dict', content)
    words = state.get('tokenizer.vocabulary') if isinstance(state, dict) else None
    return words is not None and bool(words.any())


def zero_shot(
    model: str | Path | nn.Module,
    data: str | os.PathLike,
    templates: Sequence[str] = TEMPLATES,
    batch_size: int = 64,
    **options: Any,
) -> dict[str, float]:
    """Classify photos by the names of their classes alone.

    Args:
        model: Checkpoint of a run of FLIP, or its network.
        data: A folder with a folder for each class, or a list file.
        templates: Sentences with ``{}`` where the name of a class stands, averaged.
        batch_size: Photos at a time.
        options: Of ``LabeledImages``, such as ``label_ratio``.

    Returns:
        ``zero-shot``, in percent; and ``chance``.
    """
    model = _network(model)
    check_templates(templates)
    images = LabeledImages(data, _transform(model), **options)
    names = [spoken(name) for name in images.metainfo['classes']]
    sentences = [template.format(name) for name in names for template in templates]
    classes = class_vectors(_texts(model, sentences, batch_size), len(names))
    accuracy = zero_shot_accuracy(
        _images(model, images, batch_size), classes, torch.tensor(images.labels)
    )
    return {'zero-shot': accuracy, 'chance': 100 / len(names)}


def retrieve(
    model: str | Path | nn.Module,
    data: str | os.PathLike,
    captions: str | os.PathLike | None = None,
    batch_size: int = 64,
    **options: Any,
) -> dict[str, float]:
    """Find captions of photos and photos of captions.

    Args:
        model: Checkpoint of a run of FLIP, or its network.
        data: See ``CaptionedImages``.
        captions: Likewise.
        batch_size: Photos or captions at a time.
        options: Likewise, such as ``part='test'``.

    Returns:
        What ``retrieval_recall`` gives, and under ``chance text R@1`` and so on what
        guessing would.
    """
    model = _network(model)
    images = CaptionedImages(data, _transform(model), captions, **options)
    pairs = [(text, i) for i, texts in enumerate(images.captions) for text in texts]
    texts = _texts(model, [text for text, _ in pairs], batch_size)
    owner = torch.tensor([i for _, i in pairs])
    recalls = retrieval_recall(_images(model, images, batch_size), texts, owner)
    chance = retrieval_chance(owner)
    return recalls | {f'chance {name}': value for name, value in chance.items()}


def _network(model: str | Path | nn.Module) -> nn.Module:
    return model.eval() if isinstance(model, nn.Module) else load_flip(model)


def _transform(model: nn.Module) -> list[dict[str, Any]]:
    height, width = (n * model.backbone.patch_size for n in model.backbone.grid)
    crop = dict(type='ccmim.ResizeCenterCrop', size=(height, width), crop_ratio=1.0)
    return [crop, dict(type='ccmim.ToUint8Tensor')]


@torch.no_grad()
def _images(model: nn.Module, images: Any, batch_size: int) -> Tensor:
    features = []
    for ids in _parts(range(len(images)), batch_size):
        batch = dict(inputs=[images[i]['inputs'] for i in ids])
        inputs = model.data_preprocessor(batch, False)['inputs']
        features.append(model.encode_images(inputs).cpu())
    return torch.cat(features)


@torch.no_grad()
def _texts(model: nn.Module, texts: Sequence[str], batch_size: int) -> Tensor:
    parts = _parts(texts, batch_size)
    return torch.cat([model.encode_captions(part).cpu() for part in parts])


def _parts(items: Sequence[Any], size: int) -> Iterator[Sequence[Any]]:
    return (items[i : i + size] for i in range(0, len(items), size))
