"""Reading a checkpoint runs no code that it holds, and damage is named."""

import contextlib
import importlib.util
import io
import os
import pickle
import zipfile

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModule
from mmengine.runner import Runner, checkpoint
from mmengine.runner.checkpoint import CheckpointLoader
from numpy._core import multiarray

from ccmim.checkpoints import choose_resume, guard_mmengine, load_file, read_weights
from ccmim.checkpoints.safe_load import is_safetensors


class _Payload:
    """Pickles as a call of its own choosing, with a state if one is given."""

    def __init__(self, function, *arguments, **state):
        self.call = function, arguments, *state.values()

    def __reduce__(self):
        return self.call


def _saved(content):
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


# Each would make a file if it ran.
FORGED = {
    'a command': lambda file: _Payload(os.system, f'touch {file}'),
    'an expression': lambda file: _Payload(eval, f'open({str(file)!r}, "w").close()'),
    'a program': lambda file: _Payload(exec, f'open({str(file)!r}, "w").close()'),
    'in the weights': lambda file: dict(
        weight=torch.ones(1), bias=_Payload(os.system, f'touch {file}')
    ),
    'in a storage': lambda file: _Payload(
        torch.storage._load_from_bytes,
        _saved(dict(weight=_Payload(os.system, f'touch {file}'))),
    ),
    'another method': lambda file: _Payload(getattr, HistoryBuffer, '__init__'),
    'what a method knows': lambda file: _Payload(
        getattr, _Payload(getattr, HistoryBuffer, 'mean'), '__globals__'
    ),
}


@pytest.fixture
def forged(tmp_path):
    """Write a file that holds code; it, and what the code would make."""

    def forge(kind):
        marker = tmp_path / 'marker'
        content = dict(state_dict=dict(weight=torch.ones(1)), optimizer={})
        content |= dict(message_hub={}, meta=dict(iter=1, epoch=1))
        content['extra'] = FORGED[kind](marker)
        torch.save(content, tmp_path / 'bad.pth')
        return tmp_path / 'bad.pth', marker

    return forge


REFUSED = 'holds code.*CCMIM_TRUST_CHECKPOINT=1 only if you made the file yourself'


@pytest.mark.parametrize('kind', FORGED)
def test_code_is_refused(forged, kind):
    file, marker = forged(kind)
    with pytest.raises(ValueError, match=REFUSED):
        load_file(file)
    assert not marker.exists()


@pytest.fixture
def alone(monkeypatch):
    """mmengine as it is by itself, whatever guards were set before."""
    spec = importlib.util.find_spec(checkpoint.__name__)
    fresh = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fresh)
    for name in ('_safe_torch_load', 'load_url'):
        # mmengine before 0.10.8 calls torch.load, which is safe since torch 2.6.
        if hasattr(fresh, name):
            monkeypatch.setattr(checkpoint, name, getattr(fresh, name))
    schemes = dict(CheckpointLoader._schemes)
    CheckpointLoader.register_scheme('', checkpoint.load_from_local, force=True)
    yield
    CheckpointLoader._schemes = schemes


@pytest.fixture
def guarded(alone):
    """mmengine with the guard."""
    guard_mmengine()


class Line(BaseModule):
    """One weight."""

    def __init__(self, init_cfg=None):
        super().__init__(init_cfg)
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def train_step(self, data, optim_wrapper):
        return {}


def _runner(folder, **options):
    return Runner(
        Line(),
        str(folder / 'run'),
        train_dataloader=dict(
            dataset=[1.0], batch_size=1, sampler=dict(type='DefaultSampler')
        ),
        train_cfg=dict(by_epoch=True, max_epochs=1),
        optim_wrapper=dict(optimizer=dict(type='SGD', lr=0.1)),
        experiment_name=os.urandom(4).hex(),
        **options,
    )


WAYS = {
    'load_from': lambda file, folder: _runner(folder, load_from=str(file)).train(),
    'resume': lambda file, folder: _runner(
        folder, load_from=str(file), resume=True
    ).train(),
    'choose_resume': lambda file, folder: choose_resume(folder, file),
    'read_weights': lambda file, _: read_weights(file),
    'init_cfg': lambda file, folder: Line(
        dict(type='Pretrained', checkpoint=str(file))
    ).init_weights(),
    'test': lambda file, folder: _runner(folder).load_checkpoint(str(file)),
    'address': lambda file, _: CheckpointLoader.load_checkpoint(file.as_uri()),
    'model zoo': lambda *_: CheckpointLoader.load_checkpoint('torchvision://forged'),
}


@pytest.fixture
def local_addresses(alone, monkeypatch, tmp_path):
    """Let mmengine take addresses of files for those of the web."""
    monkeypatch.setenv('TORCH_HOME', str(tmp_path / 'cache'))
    CheckpointLoader.register_scheme('file://', checkpoint.load_from_http)
    address = (tmp_path / 'bad.pth').as_uri()
    monkeypatch.setattr(
        checkpoint, 'get_torchvision_models', lambda: dict(forged=address)
    )


@pytest.mark.parametrize('way', WAYS)
def test_no_way_into_mmengine_runs_code(
    guarded, forged, local_addresses, tmp_path, way
):
    """Also where its own loader would fall back to unrestricted unpickling."""
    file, marker = forged('a command')
    with pytest.raises(ValueError, match=REFUSED):
        WAYS[way](file, tmp_path)
    assert not marker.exists()


@pytest.mark.parametrize('guard', [True, False])
def test_texts_of_configs_are_dropped(request, tmp_path, guard):
    """The control: on resume mmengine executes one as Python."""
    request.getfixturevalue('guarded' if guard else 'alone')
    file, marker = tmp_path / 'clean.pth', tmp_path / 'marker'
    code = f'open({str(marker)!r}, "w").close()'
    meta = dict(config=code, cfg=code, iter=1, epoch=1)
    state = dict(weight=torch.ones(1))
    torch.save(dict(state_dict=state, optimizer={}, message_hub={}, meta=meta), file)
    with contextlib.suppress(Exception):  # there is no history to go on with
        WAYS['resume'](file, tmp_path)
    assert marker.exists() != guard
    assert load_file(file)['meta'] == dict(iter=1, epoch=1, config_text=code)


def test_trust_by_name(tmp_path, monkeypatch):
    marker = tmp_path / 'marker'
    torch.save(dict(extra=_Payload(os.system, f'touch {marker}')), tmp_path / 'own.pth')
    monkeypatch.setenv('CCMIM_TRUST_CHECKPOINT', '1')
    load_file(tmp_path / 'own.pth')
    assert marker.exists()


def test_what_a_runner_writes_is_read(tmp_path):
    history = HistoryBuffer([1.5], [1], 1)
    written = dict(
        state_dict={'slow.projector.weight': torch.ones(2)},
        message_hub=dict(log=history, last=np.float64(3.5)),
        meta=dict(epoch=2),
    )
    torch.save(written, tmp_path / 'epoch_2.pth')
    read = load_file(tmp_path / 'epoch_2.pth')
    assert [*read['state_dict']] == ['teacher.projector.weight'], 'as it is called now'
    assert read['message_hub']['log'].mean() == 1.5
    assert read['message_hub']['log'].max_length == 1
    assert read['message_hub']['last'] == 3.5
    assert read['meta'] == dict(epoch=2)


def _type(code, order='<', *more, flags=0):
    state = (3, order, *(more or (None, None, None, -1, -1)), flags)
    return _Payload(np.dtype, code, False, True, state=state)


def _array(shape, kind, data, by_column=False):
    call = multiarray._reconstruct, np.ndarray, (0,), b'b'
    return _Payload(*call, state=(1, shape, kind, by_column, data))


def _scalar(kind, data):
    return _Payload(multiarray.scalar, kind, data)


def _history(values, longest=9):
    history = HistoryBuffer([1.0, 2.0], [1, 1])
    history._log_history, history.max_length = values, longest
    return history


EIGHT = b'\0' * 8
# Many of these crashed the process, when numpy built what they describe.
FORGED_NUMPY = {
    'objects in a number': _type('f8', flags=0x3F),
    'an object type': _type('O8'),
    'fields': _type('f8', '<', None, ('a',), {'a': (np.dtype('O'), 0)}, 8, 1),
    'a type in a type': _type('f8', '<', (np.dtype('f8'), (9**9,)), None, None, 8, 1),
    'a huge element': _type('V8', '<', None, None, None, 2**40, 1),
    'a negative size': _type('f8', '<', None, None, None, -8, 0),
    'a wrong byte order': _type('f8', 'x'),
    'a time': _type('M8'),
    'no state at all': _Payload(np.dtype, 'f8', state=()),
    'objects': _array((1,), _type('O8'), EIGHT),
    'objects by a flag': _array((1,), _type('f8', flags=0x3F), EIGHT),
    'too few bytes': _array((2**20,), _type('f8'), EIGHT),
    'too many bytes': _array((1,), _type('f8'), 2 * EIGHT),
    'an overflowing shape': _array((2**62, 2, 2), _type('f8'), EIGHT),
    'a negative shape': _array((-1, -1), _type('f8'), EIGHT),
    'a shape in a list': _array([1], _type('f8'), EIGHT),
    'a shape of texts': _array(('a',), _type('f8'), EIGHT),
    'numbers as bytes': _array((1,), _type('f8'), 12345678),
    'a list as bytes': _array((1,), _type('f8'), [1.0]),
    'sizes of nothing': _array((2**40,), _type('S0'), b''),
    'no characters': _array((2,), _type('U1'), b'\xff' * 8),
    'one character too high': _array((1,), _type('U1'), b'\0\0\x11\0'),
    'too many dimensions': _array((1,) * 33, _type('f8'), EIGHT),
    'a scalar of an object': _scalar(_type('O8'), EIGHT),
    'a long scalar': _scalar(_type('f8'), 3 * EIGHT),
    'a scalar of no type': _scalar(7, EIGHT),
    'an array without values': _Payload(
        multiarray._reconstruct, np.ndarray, (2**40,), b'b'
    ),
    'a history by two axes': _history(np.ones((2, 1))),
    'a history of texts': _history(np.array(['a', 'b'])),
    'a history of no array': _history([1.0, 2.0]),
    'a history without counts': _history(np.ones(3)),
    'a history of no length': _history(np.ones(2), 0),
    'a history of half a length': _history(np.ones(2), 1.5),
    'an array as a key': {_array((1,), _type('f8'), EIGHT): 1},
    'an array in a set': {_array((1,), _type('f8'), EIGHT)},
}  # fmt: skip


HARMLESS = (
    *('objects in a number', 'a type in a type', 'a negative size'),
    'objects by a flag',
)


@pytest.mark.parametrize('kind', FORGED_NUMPY)
def test_numpy_is_never_built_as_a_file_describes_it(tmp_path, kind):
    """A type whose forged parts are ignored is harmless; all else is refused."""
    torch.save(dict(weight=FORGED_NUMPY[kind]), tmp_path / 'bad.pth')
    if kind not in HARMLESS:
        with pytest.raises(ValueError, match='bad.pth holds code or is no') as caught:
            load_file(tmp_path / 'bad.pth')
        assert '\n' not in str(caught.value)
        return
    read = load_file(tmp_path / 'bad.pth')['weight']
    plain = np.dtype('f8') if isinstance(read, np.dtype) else np.zeros(1)
    assert read == plain, kind
    assert not np.dtype(getattr(read, 'dtype', read)).hasobject


@pytest.mark.parametrize(
    'value',
    [
        *(np.arange(6.0).reshape(2, 3), np.arange(3, dtype='>i4'), np.array([True, 0])),
        *(np.array([True, False]), np.zeros((1,) * 32), np.zeros((0, 4), np.float32)),
        *(np.array(['ab', 'c', '\U0010ffff']), np.array(1 + 2j), np.float32(1.5)),
        np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        *(np.int64(-3), np.bool_(True), np.dtype('float32')),
    ],
    ids=repr,
)
def test_plain_numpy_comes_back(save, value):
    """Wherever it stands."""
    read = load_file(save(dict(a=dict(a=value), b=[value], c=(1, (value,)))))
    for found in (read['a']['a'], read['b'][0], read['c'][1][0]):
        assert type(found) is type(value)
        assert np.array_equal(found, value)
        assert getattr(found, 'dtype', None) == getattr(value, 'dtype', None)


def _by_hand(file, content):
    """Write a pickle that no pickler would."""
    with zipfile.ZipFile(file, 'w') as archive:
        archive.writestr(f'{file.stem}/data.pkl', content)
        archive.writestr(f'{file.stem}/version', '3')
        archive.writestr(f'{file.stem}/byteorder', 'little')
    return file


def test_deep_metadata(tmp_path):
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        torch.save(dict(meta=deep), tmp_path / 'deep.pth')
    content = b'\x80\x02}X\x01\x00\x00\x00a' + b']' * 90_000 + b'a' * 89_999 + b's.'
    with pytest.raises(ValueError, match=r'deep.pth is damaged \('):
        load_file(_by_hand(tmp_path / 'deep.pth', content))


def test_circular_metadata(tmp_path):
    circle = dict(a=[np.ones(1)])
    circle['a'] += [circle, circle['a']]
    circle['b'] = circle
    torch.save(circle, tmp_path / 'circle.pth')
    read = load_file(tmp_path / 'circle.pth')
    assert read['a'][1] is read
    assert read['a'][0] == 1


ODD = [{3: torch.ones(1)}, dict(state_dict={('a', 1): 2}), dict(meta={None: 1})]


@pytest.mark.parametrize('content', ODD, ids=str)
def test_names_are_texts(save, content):
    with pytest.raises(ValueError, match='odd.pth calls something .*: its names must'):
        load_file(save(content, 'odd.pth'))


def test_a_name_with_a_line_break_makes_no_line_of_its_own(tmp_path):
    content = b'\x80\x02cx\x1b[1Aall is well\nOdd\n.'
    with pytest.raises(ValueError, match='odd.pth holds code') as caught:
        load_file(_by_hand(tmp_path / 'odd.pth', content))
    assert 'x\\x1b[1Aall is well' in str(caught.value)


def _header(text, data=b''):
    return len(text).to_bytes(8, 'little') + text + data


GOOD = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'
HEADERS = {
    **{'empty': b'', 'a short length': b'\1\2', 'a list': _header(b'[]')},
    'a huge length': (2**62).to_bytes(8, 'little') + b'{}',
    **{'no JSON': _header(b'{"a":'), 'not UTF-8': _header(b'{"\xff":1}')},
    'an unknown type': _header(GOOD.replace(b'F32', b'X99'), b'1234'),
    'a negative shape': _header(GOOD.replace(b'[1]', b'[-1]'), b'1234'),
    'another size': _header(GOOD.replace(b'[1]', b'[2]'), b'1234'),
    'offsets beyond the end': _header(GOOD.replace(b',4]', b',400]'), b'1234'),
    'offsets backwards': _header(GOOD.replace(b'[0,4]', b'[4,0]'), b'1234'),
    **{'missing bytes': _header(GOOD, b'12'), 'a pickle': pickle.dumps(dict(a=1))},
    'nested metadata': _header(b'{"__metadata__":' + b'[' * 9000 + b']' * 9000 + b'}'),
}


@pytest.mark.parametrize('kind', HEADERS)
def test_a_broken_header_names_the_file(tmp_path, kind):
    (tmp_path / 'broken.safetensors').write_bytes(HEADERS[kind])
    with pytest.raises(ValueError, match='broken.safetensors is damaged') as caught:
        load_file(tmp_path / 'broken.safetensors')
    assert '\n' not in str(caught.value)


def test_safetensors_are_told_by_their_beginning(tmp_path):
    file, length = tmp_path / 'x', (9).to_bytes(8, 'little')
    for start, found in (
        *((_header(GOOD, b'1234'), True), (length + b'x' * 9, False)),
        *((length + b'{', False), (b'\xff' * 8 + b'{', False)),
    ):
        file.write_bytes(start)
        assert is_safetensors(file) == found


CUT = [_saved(torch.ones(1000))[:keep] for keep in (0, 10, 500)]
TEXTS = [b'import torch', b'a list of photos', b'{"a": 1}', b'i']


@pytest.mark.parametrize('content', CUT + TEXTS)
def test_what_is_cut_or_a_text_is_no_checkpoint(tmp_path, content):
    (tmp_path / 'bad.pth').write_bytes(content)
    no_checkpoint = 'is damaged|holds code or is no|is a JSON text, no'
    with pytest.raises(ValueError, match=f'bad.pth ({no_checkpoint})'):
        load_file(tmp_path / 'bad.pth')
