"""A command ends with one line and the right code, or with the bug's own error."""

from types import SimpleNamespace

import pytest
import torch
from mmengine.config import Config
from torch import distributed
from torch.distributed import DistBackendError

from ccmim.engine.settings import StartHook, clear_errors, errors
from ccmim.files import WriteError
from ccmim.registry import HOOKS, MODELS


def _fail(error):
    if isinstance(error, BaseException):
        raise error
    error()


@pytest.fixture
def end(capsys):
    """Raise an error in a command; exit code and what is printed."""

    def end(error, started=False, debug=False, runner=None):
        start = StartHook()
        start.started, start.runner = started, runner
        with pytest.raises(SystemExit) as caught, clear_errors(start, debug):
            _fail(error)
        return caught.value.code, capsys.readouterr().err

    return end


TWO = 'too many values to unpack (expected 2)'
IN_WORKER = """Caught ValueError in DataLoader worker process 0.
Original Traceback (most recent call last):
  File
ValueError: too small"""
NO_MEMORY = 'the memory of this machine does not suffice: fewer'
NO_FILES = 'too many files are open, '


@pytest.mark.parametrize(
    ('error', 'code', 'line'),
    [
        (ValueError('no'), 2, 'no'),
        (ValueError('no\n\n  way'), 2, 'no; way'),
        (FileNotFoundError(2, 'No such file', 'x.py'), 2, 'x.py: No such file'),
        (TypeError('no'), 2, 'TypeError: no (--debug shows where)'),
        (ValueError(TWO), 2, f'ValueError: {TWO} (--debug shows where)'),
        (ImportError('no'), 2, 'ImportError: no (--debug shows where)'),
        (RuntimeError('no key'), 2, 'RuntimeError: no key (--debug shows where)'),
        (FloatingPointError('loss is nan'), 1, 'loss is nan'),
        (WriteError('disk full'), 3, 'disk full'),
        (MemoryError(), 3, NO_MEMORY),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you"), 3, NO_MEMORY),
        (OSError(24, 'Too many open files'), 3, NO_FILES),
        (RuntimeError('received 0 items of ancdata'), 3, NO_FILES),
        (OSError(28, 'No space left', 'a.csv'), 3, 'cannot write a.csv: No space left'),
        (OSError(30, 'Read-only', 'a.csv'), 3, 'cannot write a.csv: Read-only'),
        (ValueError(IN_WORKER), 2, 'too small'),
    ],
)
def test_before_the_first_step_it_is_one_line(end, error, code, line):
    got, text = end(error)
    assert got == code
    assert text.startswith(f'error: {line}')
    assert text.count('\n') == 1


@pytest.mark.parametrize(
    'error', [DistBackendError('lost'), RuntimeError('CUDA error: no kernel image')]
)
def test_what_the_machine_is_to_blame_for_keeps_its_traceback(error):
    with pytest.raises(RuntimeError, match=str(error)), clear_errors(StartHook()):
        raise error


def test_after_the_first_step_nothing_is_a_mistake():
    start = StartHook()
    start.started = True
    with pytest.raises(ValueError, match='bug'), clear_errors(start):
        raise ValueError('bug')


def test_numbers_disks_and_lost_loaders_are_clear_at_any_step(end):
    assert end(FloatingPointError('nan'), started=True) == (1, 'error: nan\n')
    assert end(WriteError('full'), started=True) == (3, 'error: full\n')
    killed = RuntimeError('DataLoader worker (pid 7) is killed by signal: Killed. ')
    code, text = end(killed, started=True)
    assert code == 1
    assert text.startswith('error: A loader worker was killed (often out of memory)')


def test_what_comes_from_a_file_writes_no_line_of_its_own(end):
    forged = ValueError("no place for 'a\x1b[2K'")
    assert end(forged) == (2, "error: no place for 'a\\x1b[2K'\n")
    text = end(FloatingPointError('x\nerror: all is well'), started=True)[1]
    assert text == 'error: x\\nerror: all is well\n'


def test_debug_shows_the_traceback_as_well(end):
    code, text = end(ValueError('no'), debug=True)
    assert code == 2
    assert text.startswith('Traceback (most recent call last):')
    assert text.endswith('error: no\n')


def test_ctrl_c_ends_quietly(end):
    said = '\nInterrupted before the first step\n'
    assert end(KeyboardInterrupt()) == (130, said)
    assert end(KeyboardInterrupt(), started=True) == (130, '')


def test_an_unknown_type_is_named_with_the_nearest(end):
    code, text = end(lambda: MODELS.build(dict(type='ccmim.VisionTransfomer')))
    assert code == 2
    meant = 'did you mean ccmim.VisionTransformer?'
    assert text == f'error: unknown type ccmim.VisionTransfomer: {meant}\n'
    text = end(lambda: HOOKS.build(dict(type='ccmim.FinitHook')))[1]
    assert 'did you mean ccmim.FiniteHook?' in text


def test_a_part_that_cannot_be_built_is_named_with_its_values(end):
    decoder = dict(type='ccmim.MAEDecoder', in_dim=8, depth=1, num_head=2)
    code, text = end(lambda: MODELS.build(decoder))
    assert code == 2
    assert text.startswith('error: MAEDecoder(in_dim=8, depth=1, num_head=2) cannot be')
    assert "'num_head': did you mean num_heads?" in text

    class Guessing(MODELS.get('ccmim.MAEDecoder')):
        def __init__(self, **kwargs):  # as Python 3.13 does
            text = "unexpected keyword argument 'num_head'. Did you mean 'num_heads'?"
            raise TypeError(text)

    text = end(lambda: MODELS.build(dict(type=Guessing, num_head=2)))[1]
    assert text.count('num_heads') == 1


OUT_OF_MEMORY = torch.OutOfMemoryError(
    'CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of '
    '79.10 GiB of which 1.25 GiB is free.'
)


def _runner(batch, accumulated, **changes):
    cfg = dict(
        model=dict(contrast=dict()),
        train_dataloader=dict(batch_size=batch),
        optim_wrapper=dict(type='OptimWrapper', accumulative_counts=accumulated),
    )
    return SimpleNamespace(iter=2, cfg=Config({**cfg, **changes}))


@pytest.mark.parametrize(
    ('batch', 'accumulated', 'advice'),
    [
        (256, 4, 'batch_size=128 with optim_wrapper.accumulative_counts=8 keeps the s'),
        (6, 1, 'batch_size=3 with optim_wrapper.accumulative_counts=2 keeps the same'),
        (7, 3, 'batch_size=1 with optim_wrapper.accumulative_counts=21 keeps the sam'),
        (1, 3, 'with batch_size=1 only a smaller model or image helps, or model.back'),
    ],
)
def test_too_little_memory_names_settings_that_train_alike(
    end, batch, accumulated, advice
):
    code, text = end(OUT_OF_MEMORY, True, runner=_runner(batch, accumulated))
    assert code == 3
    assert text.startswith(
        'error: the GPU memory of 79.10 GiB does not suffice at step 3, 2.00 GiB more '
        'were needed: '
    )
    assert advice in text
    assert text.count('\n') == 1


def test_other_ways_to_less_memory_are_named_where_they_exist(end):
    text = end(OUT_OF_MEMORY, True, runner=_runner(8, 1))[1]
    assert '(with fewer keys for the contrast), --amp needs less as well' in text
    wrapper = dict(type='AutocastOptimWrapper', dtype='bfloat16')
    runner = _runner(8, 1, model=dict(), optim_wrapper=wrapper)
    text = end(OUT_OF_MEMORY, True, runner=runner)[1]
    assert text.endswith('keeps the same effective batch\n')
    runner = _runner(8, 1, model=dict(teacher=dict()), optim_wrapper=wrapper)
    text = end(OUT_OF_MEMORY, True, runner=runner)[1]
    assert 'accumulative_counts=2 and model.teacher.interval=2 keeps the same' in text


def test_other_processes_let_the_main_process_speak_first(end, monkeypatch):
    waits = []
    monkeypatch.setattr(errors.time, 'sleep', waits.append)
    monkeypatch.setenv('RANK', '1')
    monkeypatch.setenv('WORLD_SIZE', '2')
    assert end(ValueError('no')) == (2, 'error of process 1: no\n')
    assert end(WriteError('full')) == (3, 'error of process 1: full\n')
    assert waits == [errors._PATIENCE]


def test_a_full_disk_names_the_last_good_checkpoint(end):
    hooks = [SimpleNamespace(), SimpleNamespace(last_ckpt='run/epoch_3.pth')]
    runner = SimpleNamespace(hooks=hooks, train_dataloader=None)
    code, text = end(OSError(28, 'No space left', 'a.json'), True, runner=runner)
    assert code == 3
    assert text.endswith('left; the last good checkpoint is run/epoch_3.pth\n')


@pytest.mark.parametrize(
    ('tasks', 'name'), [('1', 'error'), ('4', 'error of process 3')]
)
def test_a_stray_number_of_slurm_names_no_process(end, monkeypatch, tasks, name):
    monkeypatch.setenv('SLURM_PROCID', '3')
    monkeypatch.setenv('SLURM_STEP_NUM_TASKS', tasks)
    monkeypatch.setattr(errors, '_PATIENCE', 0)
    assert end(ValueError('no'))[1] == f'{name}: no\n'


def test_a_command_that_ends_well_leaves_its_group():
    """Else threads of gloo abort the exit of a finished run now and then."""
    store = distributed.HashStore()
    distributed.init_process_group('gloo', store=store, rank=0, world_size=1)
    with clear_errors(StartHook()):
        assert distributed.is_initialized()
    assert not distributed.is_initialized()
