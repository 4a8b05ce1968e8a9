"""A printed config is whole, changed as asked for, and can be read again."""

from mmengine.config import Config


def test_resolved_and_saved(request, run_tool, tmp_path):
    file = tmp_path / 'resolved.py'
    config = request.config.rootpath / 'mm_configs/small/ccmim_vitt.py'
    words = [config, '--save-path', file, '--cfg-options', 'randomness.seed=7']
    _, said, _ = run_tool('print_config.py', *words)
    assert said.endswith(file.read_text() + '\n')
    saved = Config.fromfile(file)
    assert saved.randomness.seed == 7
    assert saved.model == Config.fromfile(config).model
