"""Detect the launcher of this process, and set torchrun's variables."""

import os
import re

# Where each launcher puts the rank of a process, before the processes are connected.
RANKS = ('RANK', 'OMPI_COMM_WORLD_RANK', 'PMI_RANK', 'SLURM_PROCID')
_PORT = 29500  # torchrun's


def find_launcher() -> str:
    """Detect which launcher has started several processes.

    A number alone means nothing: Slurm gives one to shells and batch scripts as well.

    Returns:
        'pytorch', 'slurm', 'mpi', or 'none' for one process.
    """
    if _number('WORLD_SIZE') > 1 and 'RANK' in os.environ:
        return 'pytorch'
    # MPI within Slurm starts one agent a host through srun: MPI's numbers count.
    if _number('OMPI_COMM_WORLD_SIZE') > 1:
        return 'mpi'
    # Slurm may speak MPI's protocol as well; then both say the same.
    numbers = [_number(name, 0) for name in ('PMI_SIZE', 'PMI_RANK')]
    slurm = [_number(name, 0) for name in ('SLURM_STEP_NUM_TASKS', 'SLURM_PROCID')]
    if numbers[0] > 1 and numbers != slurm:
        return 'mpi'
    return 'slurm' if slurm[0] > 1 else 'none'


def adopt_launcher(launcher: str) -> None:
    """Give torchrun's environment variables the values of another launcher.

    MASTER_ADDR and MASTER_PORT are left alone where they are set.

    Args:
        launcher: 'pytorch', 'slurm' or 'mpi'.

    Raises:
        ValueError: If it has not started this process, or leaves open where the
            processes meet.
    """
    variables = {'slurm': _from_slurm, 'mpi': _from_mpi}.get(launcher, dict)()
    os.environ.update({name: str(value) for name, value in variables.items()})
    if 'RANK' not in os.environ or (launcher != 'pytorch' and not variables):
        raise ValueError(
            f'--launcher {launcher} is for processes that were started together: use '
            'tools/dist_train.sh, tools/slurm_train.sh, srun or mpirun, or leave it out'
        )


def _from_slurm() -> dict[str, object]:
    if 'SLURM_STEP_NUM_TASKS' not in os.environ:  # a shell, or a batch script
        return {}
    job, step = _number('SLURM_JOB_ID', 0), _number('SLURM_STEP_ID', 0)
    nodes = os.environ.get('SLURM_STEP_NODELIST', '')
    alone = _number('SLURM_STEP_NUM_NODES') == 1
    each = _expand(os.environ.get('SLURM_STEP_TASKS_PER_NODE', '1'))
    return dict(
        RANK=_number('SLURM_PROCID', 0),
        WORLD_SIZE=_number('SLURM_STEP_NUM_TASKS'),
        LOCAL_RANK=_number('SLURM_LOCALID', 0),
        LOCAL_WORLD_SIZE=each[min(_number('SLURM_NODEID', 0), len(each) - 1)],
        # Two jobs on a host shall not meet at one port.
        MASTER_PORT=_given('MASTER_PORT', 20000 + (7 * job + step) % 10000),
        MASTER_ADDR=_given('MASTER_ADDR', '127.0.0.1' if alone else first_host(nodes)),
    )


def _from_mpi() -> dict[str, object]:
    names = {
        'RANK': ('OMPI_COMM_WORLD_RANK', 'PMI_RANK'),
        'WORLD_SIZE': ('OMPI_COMM_WORLD_SIZE', 'PMI_SIZE'),
        'LOCAL_RANK': ('OMPI_COMM_WORLD_LOCAL_RANK', 'MPI_LOCALRANKID'),
        'LOCAL_WORLD_SIZE': ('OMPI_COMM_WORLD_LOCAL_SIZE', 'MPI_LOCALNRANKS'),
    }
    variables = {
        name: next((os.environ[key] for key in keys if key in os.environ), None)
        for name, keys in names.items()
    }
    if None in (variables['RANK'], variables['WORLD_SIZE']):
        return {}
    if None in variables.values():
        raise ValueError(
            'this MPI does not tell which processes share a host: use Open MPI, MPICH, '
            'Intel MPI, or tools/dist_train.sh'
        )
    alone = variables['WORLD_SIZE'] == variables['LOCAL_WORLD_SIZE']
    address = _given('MASTER_ADDR', '127.0.0.1' if alone else '')
    if not address:
        raise ValueError(
            'MPI has started processes on several hosts: set MASTER_ADDR to the '
            'address of the first one'
        )
    return dict(
        variables, MASTER_ADDR=address, MASTER_PORT=_given('MASTER_PORT', _PORT)
    )


def first_host(nodes: str) -> str:
    """Return the first host of a Slurm node list, such as ``gpu[03-05,9],login1``."""
    first = re.match(r'(?:[^,\[]|\[[^\]]*\])*', nodes)[0]  # type: ignore[index]
    return re.sub(r'\[(\d+)[^\]]*\]', r'\1', first)


def _expand(counts: str) -> list[int]:
    """List what Slurm shortens to ``4(x2),1``."""
    pairs = re.findall(r'(\d+)(?:\(x(\d+)\))?', counts)
    return [int(count) for count, times in pairs for _ in range(int(times or 1))]


def _number(name: str, default: int = 1) -> int:
    return int(os.environ.get(name) or default)


def _given(name: str, default: object) -> object:
    return os.environ.get(name) or default
