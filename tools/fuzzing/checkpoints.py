"""Checkpoints: what a Runner writes, old pickles, safetensors, forged numpy types."""

import io
import json
import pickle
import random
import zipfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from numpy._core import multiarray
from safetensors.torch import save

from ccmim.checkpoints import load_file, read_weights
from ccmim.vit import VisionTransformer
from fuzzing.changes import changed_bytes, harmed

NAMES = (
    *(b'numpy\ndtype\n', b'numpy\nndarray\n', b'numpy._core.multiarray\nscalar\n'),
    *(b'numpy._core.multiarray\n_reconstruct\n', b'builtins\ngetattr\n'),
    *(b'collections\nOrderedDict\n', b'torch._utils\n_rebuild_tensor_v2\n'),
    *(b'torch._utils\n_rebuild_parameter\n', b'torch\nFloatStorage\n'),
    *(b'torch._utils\n_rebuild_sparse_tensor\n', b'torch\nSize\n', b'torch\nTensor\n'),
    *(b'torch._utils\n_rebuild_qtensor\n', b'mmengine.logging.history_buffer\n'),
    *(b'torch._utils\n_rebuild_wrapper_subclass\n', b'_codecs\nencode\n'),
    *(b'torch.storage\nUntypedStorage\n', b'torch._tensor\n_rebuild_from_type_v2\n'),
)
TYPES = ('f8', 'O8', 'V8', 'i4', 'U3', 'M8[s]', 'S0', 'b1', 'c16', 'f2', 'V999999999')
PIXELS = dict(mean=[1.0, 2.0, 3.0], std=[4.0, 5.0, 6.0])
WRITTEN = dict(
    architecture=dict(embed_dim=12, depth=1, num_heads=2, img_size=32, act='gelu'),
)
CONFIG = dict(
    model_type='vit',
    hidden_size=12,
    num_attention_heads=2,
    num_hidden_layers=1,
    intermediate_size=48,
    image_size=32,
    patch_size=16,
    layer_norm_eps=1e-6,
)
NUMBERS = (-1, 0, 1, 8, 63, 2**31 - 1, -(2**31), 2**62, 2**64)


class Forged:
    """Pickles a call and a state."""

    def __init__(self, *call: object) -> None:
        self._call = call

    def __reduce__(self) -> tuple:
        """Say what the pickle calls."""
        return self._call


def try_checkpoint(draw: random.Random, folder: Path) -> str | None:
    """Make a checkpoint and read it."""
    name, content = mutated(draw)
    file = folder / name
    file.write_bytes(content)
    if name == 'model.safetensors':
        for other, text in beside(draw).items():
            (folder / other).write_text(text, 'utf-8', 'surrogateescape')
    try:
        repr(load_file(file))  # looks at every number
        read_weights(folder if name == 'model.safetensors' else file)
    except ValueError as error:
        if str(folder) not in str(error):
            raise AssertionError(f'a line without the name: {error}') from None
        return str(error)
    return None


def mutated(draw: random.Random) -> tuple[str, bytes]:
    """Make a file: its name and content."""
    kinds = ['zip', 'zip', 'zip', 'numpy', 'numpy', 'old', 'safetensors', 'network']
    kind = draw.choice([*kinds, 'declared'])
    if kind == 'network':
        told = dict(ccmim=odd_text(draw, dict(WRITTEN, pixels=PIXELS)))
        return 'model.safetensors', save(network(), told)
    if kind == 'declared':
        meta = dict(ccmim=harmed(draw, WRITTEN))
        return 'a.pth', saved(dict(meta=meta, state_dict=network()))
    if kind == 'safetensors':
        return 'a.safetensors', changed_header(draw)
    if kind == 'old':
        return 'a.pth', changed_bytes(draw, old_file())
    content = forged_numpy(draw) if kind == 'numpy' else usual_file()
    if draw.random() < 0.2:
        return 'a.pth', changed_bytes(draw, content)
    change = changed_bytes if draw.random() < 0.5 else changed_words
    if kind == 'numpy' and draw.random() < 0.6:
        return 'a.pth', content
    return 'a.pth', with_pickle(content, lambda text: change(draw, text))


def beside(draw: random.Random) -> dict[str, str]:
    """Damaged files that lie beside weights."""
    return {
        'config.json': odd_text(draw, CONFIG),
        'preprocessor_config.json': odd_text(draw, dict(image_mean=[0.5] * 3)),
    }


def odd_text(draw: random.Random, content: dict) -> str:
    """Write odd values as JSON, or damage its text."""
    deep = '[' * 10 ** draw.randrange(1, 6)
    text = json.dumps(harmed(draw, content))
    changed = changed_bytes(draw, text.encode()).decode('latin-1')
    return draw.choice([text, text, text, changed, deep])


@cache
def network() -> dict[str, torch.Tensor]:
    """Weights of a small network of ours."""
    sizes = dict(embed_dim=12, depth=1, num_heads=2)
    return VisionTransformer(arch=sizes, img_size=32).state_dict()


def usual() -> dict:
    """What a Runner writes, small."""
    return dict(
        state_dict=dict(weight=torch.ones(2, 3), bias=torch.arange(3)),
        optimizer=dict(state={0: dict(exp_avg=torch.zeros(2), step=torch.ones(()))}),
        message_hub=dict(log=HistoryBuffer([1.0, 2.0], [1, 1]), last=np.float64(3)),
        meta=dict(epoch=1, iter=2, cfg='a = 1', seen=np.arange(3), name=np.array('x')),
    )


def usual_file() -> bytes:
    """The file of a Runner."""
    return saved(usual())


def old_file() -> bytes:
    """The same as before PyTorch 1.6."""
    buffer = io.BytesIO()
    torch.save(usual(), buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def saved(content: object) -> bytes:
    """Save as torch does."""
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def forged_numpy(draw: random.Random) -> bytes:
    """A file with a numpy type, array or scalar with any flags and sizes."""

    def number() -> int:
        return draw.choice(NUMBERS)

    def some(*values: object) -> object:
        return draw.choice([None, number(), 'a', (), {}, *values])

    code = draw.choice(TYPES)
    state = [3, draw.choice('<>|=x'), some(), some(('a',)), some(), number(), number()]
    state.append(draw.randrange(256))
    state = tuple(state[: draw.choice([3, 7, 8, 8, 8, 8])])
    kind = Forged(np.dtype, (code, draw.random() < 0.5, draw.random() < 0.5), state)
    data = bytes(draw.randrange(256) for _ in range(draw.choice([0, 1, 8, 16, 64])))
    shape = tuple(number() for _ in range(draw.randrange(4)))
    array = Forged(
        multiarray._reconstruct,
        (np.ndarray, (draw.choice((0, number())),), b'b'),
        (
            1,
            some(shape, shape, shape),
            kind,
            draw.random() < 0.5,
            some(data, data, [1]),
        ),
    )
    scalar = Forged(multiarray.scalar, (kind, data))
    return saved(dict(meta=dict(a=draw.choice([kind, array, scalar, [array, scalar]]))))


def with_pickle(content: bytes, change: Callable[[bytes], bytes]) -> bytes:
    """Change the pickle of a file, with right checksums all around it."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(buffer, 'w') as z:
        for name in old.namelist():
            part = old.read(name)
            z.writestr(name, change(part) if name.endswith('data.pkl') else part)
    return buffer.getvalue()


def changed_words(draw: random.Random, content: bytes) -> bytes:
    """Put names and numbers in the place of others."""
    text = content
    for _ in range(draw.choice([1, 2, 4])):
        names = [at for at in range(len(text)) if text[at : at + 1] == b'c']
        if names and draw.random() < 0.5:
            at = draw.choice(names) + 1
            end = text.find(b'\n', text.find(b'\n', at) + 1) + 1
            text = text[:at] + draw.choice(NAMES) + text[end:]
        else:
            at = draw.randrange(len(text))
            number = pickle.dumps(draw.choice(NUMBERS), protocol=2)[2:-1]
            text = text[:at] + number + text[at + draw.choice([0, 2, 5]) :]
    return text


def changed_header(draw: random.Random) -> bytes:
    """A safetensors file whose header or bytes are others."""
    content = save(dict(a=torch.ones(2, 3), b=torch.arange(3)), dict(note='x'))
    size = int.from_bytes(content[:8], 'little')
    header, data = content[8 : 8 + size], content[8 + size :]
    match draw.randrange(4):
        case 0:
            return changed_bytes(draw, content)
        case 1:
            header = changed_bytes(draw, header)
        case 2:
            old = draw.choice([b'F32', b'I64', b'[2,3]', b'[0,24]', b'[24,48]', b'"a"'])
            new = [
                b'F8_E4M3',
                b'C64',
                b'[-1]',
                b'[9e9]',
                b'[1,1e400]',
                b'[48,0]',
                b'""',
            ]
            header = header.replace(old, draw.choice(new))
        case 3:
            depth = draw.choice([10, 1000, 100_000])
            header = b'{"__metadata__":' + b'[' * depth + b']' * depth + b'}'
    return len(header).to_bytes(8, 'little') + header + data
