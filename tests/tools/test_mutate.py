"""Mutants differ in one place, and those that no test notices are listed."""

import ast
import sys

from mutating.changes import changed, mutants
from tests.processes import ROOT, run

ROOM = """
def f(x: int = 1) -> int:
    if x < 3:
        return 2 * x
    log('large')
    raise ValueError('x + 1')
"""
TEST = 'import os\nfrom room import f\n\ndef test_here():\n    f(1)\n\n'
TEST += 'def test_in_a_fork():\n    os.fork() or os._exit(f(1) != 2)\n'
TEST += '    assert not os.wait()[1]\n'


def test_each_mutant_has_one_change():
    found = {
        (m.line, m.what): ast.unparse(changed(ROOM, m)).splitlines()
        for m in mutants(ROOM)
    }
    plain = ast.unparse(ast.parse(ROOM)).splitlines()
    assert {
        where: [line.strip() for line in lines if line not in plain]
        for where, lines in found.items()
    } == {
        (2, '1 -> 2'): ['def f(x: int=2) -> int:'],
        (3, 'condition negated'): ['if not x < 3:'],
        (3, 'Lt -> LtE'): ['if x <= 3:'],
        (3, '3 -> 4'): ['if x < 4:'],
        (4, 'Mult -> Div'): ['return 2 / x'],
        (4, '2 -> 3'): ['return 3 * x'],
        (5, 'call left out'): ['None'],
    }


def test_survivors_are_listed_and_answers_are_kept(tmp_path):
    """A quotient by 1 is the product, and nobody asks beyond x = 1."""
    (tmp_path / 'pytest.ini').touch()  # whatever stands above
    (tmp_path / 'room.py').write_text(ROOM)
    (tmp_path / 'test_room.py').write_text(TEST)

    def ask(*words):
        script = [sys.executable, ROOT / 'tools/mutate.py', 'room.py']
        options = ['--tests', 'test_room.py', '--preload', 'pytest', *words]
        env = dict(PYTEST_DISABLE_PLUGIN_AUTOLOAD=1)
        done = run(*script, *options, cwd=tmp_path, env=env)
        return done.stdout.splitlines(), done.stderr

    lines, error = ask('--out', 'a.json')
    assert sorted(lines[:-1]) + lines[-1:] == [
        '   2 room.py 1 -> 2: def f(x: int = 1) -> int:',
        '   3 room.py 3 -> 4: if x < 3:',
        '   3 room.py Lt -> LtE: if x < 3:',
        '   4 room.py Mult -> Div: return 2 * x',
        "   5 room.py call left out: log('large')",
        'room.py: 2 of 7 mutants killed (28.6 per cent), 0 not asked, 0 equivalent',
    ], error
    assert ask('--out', 'a.json', '--minutes', '0')[0] == lines, 'all are known'
    last = ask('--out', 'b.json', '--minutes', '0', '--limit', '3')[0][-1]
    assert last == 'room.py: 0 of 0 mutants killed, 3 not asked, 0 equivalent'
