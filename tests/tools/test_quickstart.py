"""What the quickstart hands to its stages."""

import sys

import pytest


def test_photos_are_looked_for_where_the_user_stands(request, tmp_path, monkeypatch):
    """The stages are started in the checkout."""
    monkeypatch.syspath_prepend(request.config.rootpath / 'tools')
    import quickstart

    def compare(plan, out, photos, seeds):
        raise SystemExit(str(photos))

    monkeypatch.setattr(quickstart, 'compare', compare)
    monkeypatch.setenv('CCMIM_TOY', '')
    monkeypatch.chdir(tmp_path)
    (tmp_path / 'photos').mkdir()
    words = ['quickstart.py', '--images', 'photos', '--out', 'out']
    monkeypatch.setattr(sys, 'argv', words)
    with pytest.raises(SystemExit, match=f'^{tmp_path}/photos$'):
        quickstart.main()
