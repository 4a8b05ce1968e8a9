import subprocess
import sys

import pytest

# Minor page faults of eight blocks of 40 MB, one after the other: 10,240 pages each.
_BLOCKS = """
import os, resource
from ccmim.memory import keep_memory
print(keep_memory())
def use():
    block = bytearray(40 << 20)
use()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(8):
    use()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(sys.platform != 'linux', reason='glibc')
@pytest.mark.parametrize('own', [{}, {'MALLOC_ARENA_MAX': '2'}])
def test_what_is_freed_is_kept_unless_the_environment_chooses(own):
    """The system clears each page once; with mappings of their own, eight times."""
    command = [sys.executable, '-c', _BLOCKS]
    run = subprocess.run(command, env=own, capture_output=True, text=True, check=True)
    kept, faults = run.stdout.split()
    assert kept == str(not own)
    assert (int(faults) < 1000) == (not own)
