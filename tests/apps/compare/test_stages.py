"""Stages run once, in chains side by side; what was cut short is run again."""

import os
import re
import signal
import threading
import time
from dataclasses import replace
from functools import partial

import pytest

from ccmim.apps.compare import Stage, StageError, run_stages
from ccmim.engine.version import this_version

SCRIPT = """
import os, sys, time
from pathlib import Path
out, seconds, code = Path(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3])
begun = time.time()
print('Iter(train) [ 3/10]  lr: 1  eta: 0:00:05  loss: 0.25', flush=True)
time.sleep(seconds)
if code:
    print('error: the disk is full' if code == 3 else 'it broke')
    sys.exit(code)
out.write_text(f'{begun} {time.time()} {os.environ["OMP_NUM_THREADS"]}')
"""


@pytest.fixture
def stage(tmp_path, monkeypatch):
    monkeypatch.setattr('ccmim.apps.compare.running._LOOK', 0.05)
    script = tmp_path / 'train.py'
    script.write_text(SCRIPT)

    def build(name, seconds=0.0, code=0, depends='', content=''):
        result = tmp_path / name / 'result.txt'
        return Stage(name, [script, result, seconds, code], result, depends, content)

    return build


@pytest.fixture(params=[False, True], ids=['processes', 'copies'])
def run(request):
    """Run stages in processes of their own, or in copies of this one."""
    return partial(run_stages, in_copies=request.param)


def test_a_stage_that_is_done_is_not_run_again(stage, tmp_path, capsys):
    assert stage('a').version == ''
    run_stages([[stage('a')]], tmp_path)
    assert stage('a').version == this_version()
    first = stage('a').result.read_text()
    assert stage('a').is_done
    run_stages([[stage('a')], [stage('b')]], tmp_path)
    assert stage('a').result.read_text() == first
    out = capsys.readouterr().out
    assert out.count('a: done before') == 1
    assert 'b: done before' not in out


@pytest.mark.parametrize(
    'change',
    [dict(seconds=0.01), dict(depends='other photos'), dict(content='another config')],
)
def test_a_training_of_other_settings_is_moved_aside(stage, tmp_path, change, capsys):
    for name in ('a.old', 'a.old2'):  # nothing there is replaced
        run_stages([[stage('a')]], tmp_path)
        left = stage('a').result.with_name('iter_3.pth')
        left.write_text(name)
        assert not stage('a', **change).is_done
        run_stages([[stage('a', **change)]], tmp_path)
        assert stage('a', **change).is_done
        assert not left.exists()
        said = f'{left.parent} is of other settings: moved to {name}'
        assert said in capsys.readouterr().out
        stage('a').finish()
    assert (tmp_path / 'a.old/iter_3.pth').read_text() == 'a.old'


def test_what_was_done_before_contents_were_noted_counts(stage, tmp_path):
    run_stages([[stage('a')]], tmp_path)
    stamp = stage('a').result.with_name('train.stamp')
    stamp.write_text(stamp.read_text().rstrip('\n'))
    assert stage('a', content='a config').is_done
    assert not stage('a', seconds=0.01, content='a config').is_done


def test_an_interrupted_stage_finds_its_folder_as_it_was(stage, tmp_path):
    with pytest.raises(StageError):
        run_stages([[stage('a', code=3)]], tmp_path)
    left = stage('a').result.with_name('iter_3.pth')
    left.write_text('weights')
    with pytest.raises(StageError):
        run_stages([[stage('a', code=3)]], tmp_path)
    assert left.exists()


def test_a_result_that_is_gone_is_made_again_with_what_follows(stage, tmp_path):
    run_stages([[stage('a'), stage('b')]], tmp_path)
    before = stage('b').result.read_text()
    stage('a').result.unlink()
    run_stages([[stage('a'), stage('b')]], tmp_path)
    assert stage('a').is_done
    assert stage('b').result.read_text() != before


def test_stages_overlap_and_share_the_cores(run, stage, tmp_path, monkeypatch):
    monkeypatch.setattr('os.sched_getaffinity', lambda pid: set(range(6)))
    monkeypatch.delenv('OMP_NUM_THREADS', raising=False)
    stages = [stage('a', seconds=0.6), stage('b', seconds=0.6)]
    run([[s] for s in stages], tmp_path)
    (begun_a, end_a, threads), (begun_b, end_b, _) = (
        [float(word) for word in s.result.read_text().split()] for s in stages
    )
    assert max(begun_a, begun_b) < min(end_a, end_b)
    assert threads == 3


def test_a_chain_runs_in_order_and_no_more_chains_than_slots_at_a_time(stage, tmp_path):
    chains = [[stage('a', 0.4), stage('b')], [stage('c')]]
    run_stages(chains, tmp_path, slots=[{'OMP_NUM_THREADS': '7'}])
    times = [
        [float(word) for word in s.result.read_text().split()]
        for chain in chains
        for s in chain
    ]
    ends = [end for _, end, _ in times]
    assert [threads for *_, threads in times] == [7, 7, 7]
    assert ends == sorted(ends)
    assert all(begun >= end for (begun, *_), end in zip(times[1:], ends, strict=False))


def test_a_prefix_stands_before_every_command(stage, tmp_path):
    run_stages([[stage('a')]], tmp_path, prefix=['env', 'OMP_NUM_THREADS=9'])
    assert stage('a').result.read_text().endswith(' 9')


@pytest.mark.parametrize(
    ('code', 'said'),
    [
        (2, r'(?s)bad failed; the end of .*it broke'),
        (3, r'^bad: error: the disk is full \(log: .*/bad/train\.log\)$'),
    ],
)
def test_a_failure_is_shown_and_ends_only_its_own_chain(
    run, stage, tmp_path, code, said
):
    slow, bad, after = stage('slow', 0.4), stage('bad', code=code), stage('after')
    with pytest.raises(StageError, match=said):
        run([[slow], [bad, after]], tmp_path)
    assert slow.is_done
    assert not bad.is_done
    assert not after.is_done


def test_the_newest_progress_is_shown_short(run, stage, tmp_path, capsys):
    assert stage('a').status() == ''  # it has hardly begun
    run([[stage('a', seconds=0.5)]], tmp_path)
    assert stage('a').status() == 'train [ 3/10], 0:00:05 to go, loss 0.25'
    assert re.search(r'train \[ 3/10\], 0:00:05 to go', capsys.readouterr().out)


def test_sigterm_ends_the_stages_too(run, stage, tmp_path):
    """As Ctrl-C does; the handler of before is there again afterwards."""
    before = signal.getsignal(signal.SIGTERM)
    threading.Timer(0.5, os.kill, [os.getpid(), signal.SIGTERM]).start()
    begun = time.time()
    with pytest.raises(KeyboardInterrupt):
        run([[stage('a', seconds=60)]], tmp_path)
    assert time.time() - begun < 30
    assert not stage('a', seconds=60).result.exists()
    assert signal.getsignal(signal.SIGTERM) is before


def test_stages_run_in_a_thread_too(stage, tmp_path):
    """Where no signal can be caught."""
    thread = threading.Thread(target=run_stages, args=([[stage('a')]], tmp_path))
    thread.start()
    thread.join()
    assert stage('a').is_done


def test_a_chain_waits_for_what_it_needs_of_another(stage, tmp_path):
    a, b = stage('a', seconds=0.3), stage('b')
    c = replace(stage('c'), after=(a,))
    run_stages([[c], [a], [b]], tmp_path)
    begun = {s.name: s.result.read_text().split() for s in (a, b, c)}
    assert float(begun['c'][0]) >= float(begun['a'][1]) > float(begun['b'][0])
    # What has failed is waited for no longer, and nothing is made of it.
    d = stage('d', code=2)
    e = replace(stage('e'), after=(d,))
    with pytest.raises(StageError, match='^d failed'):
        run_stages([[e], [d]], tmp_path)
    assert not e.result.exists()
