"""Who has started the processes, and where they meet, from environment variables."""

import pytest
import torch

from ccmim.engine import connect, launchers
from ccmim.engine.launchers import adopt_launcher, find_launcher

STEP = dict(SLURM_JOB_ID='7', SLURM_STEP_ID='1', SLURM_STEP_NUM_TASKS='6')
TASK = dict(STEP, SLURM_PROCID='4', SLURM_LOCALID='1', SLURM_NODEID='2')
TASK.update(SLURM_STEP_NUM_NODES='3', SLURM_STEP_TASKS_PER_NODE='1(x2),4')
TASK.update(SLURM_STEP_NODELIST='gpu[03-05,9],login1')
RANK_1_OF_2 = dict(OMPI_COMM_WORLD_RANK='1', OMPI_COMM_WORLD_SIZE='2')
LOCAL = dict(OMPI_COMM_WORLD_LOCAL_RANK='1', OMPI_COMM_WORLD_LOCAL_SIZE='2')
OPEN_MPI = RANK_1_OF_2 | LOCAL
MPICH = dict(PMI_RANK='1', PMI_SIZE='4', MPI_LOCALRANKID='1', MPI_LOCALNRANKS='2')


@pytest.fixture
def environment(monkeypatch):
    """Replace the environment."""

    def environment(**values):
        monkeypatch.setattr(launchers.os, 'environ', dict(values))
        return launchers.os.environ

    return environment


@pytest.mark.parametrize(
    ('values', 'launcher'),
    [
        ({}, 'none'),
        (dict(RANK='0', WORLD_SIZE='2'), 'pytorch'),
        (dict(RANK='0', WORLD_SIZE='1'), 'none'),
        (TASK, 'slurm'),
        # torchrun and MPI within a step of Slurm, which starts one agent a host.
        (dict(TASK, RANK='0', WORLD_SIZE='8'), 'pytorch'),
        (dict(TASK, **OPEN_MPI), 'mpi'),
        (dict(TASK, **MPICH), 'mpi'),
        (dict(TASK, PMI_RANK='4', PMI_SIZE='6'), 'slurm'),  # srun --mpi=pmi2
        (OPEN_MPI, 'mpi'),
        (MPICH, 'mpi'),
        (dict(OPEN_MPI, OMPI_COMM_WORLD_SIZE='1'), 'none'),
        # A shell of salloc, a batch script, an interactive step of one task.
        (dict(SLURM_NTASKS='2', SLURM_JOB_ID='7'), 'none'),
        (dict(SLURM_NTASKS='2', SLURM_JOB_ID='7', SLURM_PROCID='0'), 'none'),
        (dict(TASK, SLURM_STEP_NUM_TASKS='1', SLURM_PROCID='0'), 'none'),
    ],
)
def test_the_launcher_of_the_environment(environment, values, launcher):
    environment(**values)
    assert find_launcher() == launcher


def test_slurm_says_all_that_torchrun_would(environment):
    found = environment(**TASK)
    adopt_launcher('slurm')
    ranks = dict(RANK='4', WORLD_SIZE='6', LOCAL_RANK='1', LOCAL_WORLD_SIZE='4')
    place = dict(MASTER_ADDR='gpu03', MASTER_PORT='20050')
    assert {k: v for k, v in found.items() if k not in TASK} == ranks | place
    found = environment(**TASK, MASTER_ADDR='10.0.0.1', MASTER_PORT='7')
    adopt_launcher('slurm')
    assert (found['MASTER_ADDR'], found['MASTER_PORT']) == ('10.0.0.1', '7')


@pytest.mark.parametrize(
    ('nodes', 'first'),
    [('vm', 'vm'), ('a1,a2', 'a1'), ('r[2-3]n[07,9],x', 'r2n07'), ('n[1-2]-b', 'n1-b')],
)
def test_the_first_host_of_a_list(nodes, first):
    assert launchers.first_host(nodes) == first


def test_mpi_says_all_that_torchrun_would(environment):
    found = environment(**OPEN_MPI)
    adopt_launcher('mpi')
    assert (found['RANK'], found['WORLD_SIZE'], found['LOCAL_RANK']) == ('1', '2', '1')
    assert (found['MASTER_ADDR'], found['MASTER_PORT']) == ('127.0.0.1', '29500')
    environment(**MPICH)
    with pytest.raises(ValueError, match='on several hosts: set MASTER_ADDR'):
        adopt_launcher('mpi')
    found = environment(**MPICH, MASTER_ADDR='h1')
    adopt_launcher('mpi')
    place = [found[key] for key in ('RANK', 'LOCAL_RANK', 'MASTER_ADDR')]
    assert place == ['1', '1', 'h1']
    environment(PMI_RANK='0', PMI_SIZE='2')
    with pytest.raises(ValueError, match='does not tell which processes share a host'):
        adopt_launcher('mpi')


@pytest.mark.parametrize(
    ('launcher', 'values'),
    [
        ('pytorch', {}),
        ('slurm', dict(SLURM_PROCID='0', SLURM_NTASKS='2', RANK='0')),
        ('mpi', TASK),
    ],
)
def test_a_launcher_must_have_started_the_process(environment, launcher, values):
    environment(**values)
    with pytest.raises(ValueError, match=f'--launcher {launcher} is for processes'):
        adopt_launcher(launcher)


@pytest.mark.parametrize(
    ('launcher', 'gpus', 'given', 'local_rank'),
    [('pytorch', 4, '', '3'), ('slurm', 4, '4', '3'), ('slurm', 1, '4', '0')],
)
def test_each_process_has_a_gpu(
    environment, monkeypatch, launcher, gpus, given, local_rank
):
    """Slurm shows each task its own alone where it was asked for GPUs by task."""
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: gpus)
    found = environment(LOCAL_RANK='3', LOCAL_WORLD_SIZE='4', SLURM_GPUS_ON_NODE=given)
    connect._choose_gpu(launcher)
    assert found['LOCAL_RANK'] == local_rank


def test_more_processes_than_gpus(environment, monkeypatch):
    monkeypatch.setattr(torch.cuda, 'device_count', lambda: 1)
    for launcher, given in (('pytorch', ''), ('slurm', '1')):
        environment(LOCAL_WORLD_SIZE='4', SLURM_GPUS_ON_NODE=given)
        with pytest.raises(ValueError, match='4 processes were started for 1 GPUs'):
            connect._choose_gpu(launcher)
