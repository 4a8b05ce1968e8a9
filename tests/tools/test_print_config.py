"""A printed config is whole, changed as asked for, and can be read again."""

import sys

import pytest
from mmengine.config import Config


def test_resolved_and_saved(request, monkeypatch, capsys, tmp_path):
    root, file = request.config.rootpath, tmp_path / 'resolved.py'
    monkeypatch.syspath_prepend(root / 'tools')
    import print_config

    config = str(root / 'mm_configs/small/ccmim_vitt.py')
    words = [config, '--save-path', str(file), '--cfg-options', 'randomness.seed=7']
    monkeypatch.setattr(sys, 'argv', ['print_config.py', *words])
    print_config.main()
    assert capsys.readouterr().out.endswith(file.read_text() + '\n')
    saved = Config.fromfile(file)
    assert saved.randomness.seed == 7
    assert saved.model == Config.fromfile(config).model
    monkeypatch.setattr(
        sys, 'argv', ['print_config.py', config, '--cfg-options', 'a.b=1']
    )
    with pytest.raises(SystemExit) as end:
        print_config.main()
    assert end.value.code == 2
    assert 'a' in capsys.readouterr().err
