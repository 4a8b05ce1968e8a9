"""Nothing is silent for longer than the pause between two lines."""

import re
import time

from ccmim import progress


def test_what_has_no_known_end_is_said_to_run(monkeypatch, capsys):
    monkeypatch.setattr(progress, '_PAUSE', 0.02)
    with progress.waiting('Writing\nthe graph'):
        time.sleep(0.2)
    said = capsys.readouterr().err.splitlines()
    assert len(said) >= 2
    assert all(re.fullmatch(r'Writing\\nthe graph: \d+ s', line) for line in said)
    time.sleep(0.1)
    assert not capsys.readouterr().err, 'it has ended'
