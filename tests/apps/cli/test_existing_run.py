"""A run goes on when the command that began it is given again, and no other."""

import pytest
from mmengine.config import Config

from ccmim.apps.cli.existing_run import asked, extend, is_resumed
from ccmim.apps.cli.mistakes import Mistake
from ccmim.apps.cli.parsers import make_parser


def parse(*words):
    return make_parser().parse_args(['pretrain', *words])


@pytest.fixture
def run(tmp_path):
    """What three epochs on `photos`, stopped after one, leave."""
    (tmp_path / 'epoch_1.pth').touch()
    begun = asked(parse('photos', '--epochs', '3'))
    text = f'asked = {begun!r}\ntrain_cfg = dict(max_epochs=3)\n'
    (tmp_path / 'recipe.py').write_text(text)
    return tmp_path


@pytest.mark.parametrize('words', [[], ['--resume']])
def test_a_run_is_made_longer_by_its_command_with_more_epochs(run, words):
    longer = parse('photos', '--epochs', '5', *words)
    assert is_resumed(longer, run)
    extend(longer, run)
    assert is_resumed(parse('photos', '--epochs', '5'), run)
    assert Config.fromfile(run / 'recipe.py').train_cfg.max_epochs == 5
    with pytest.raises(Mistake, match='--epochs 4 is less than the 5'):
        extend(parse('photos', '--epochs', '4'), run)


def test_the_same_command_goes_on_wherever_it_writes(run):
    assert is_resumed(parse('photos', '--epochs', '3'), run)
    assert is_resumed(parse('./photos/', '--epochs', '3', '--out', 'x'), run)
    assert is_resumed(parse('photos', '--resume'), run)
    assert is_resumed(parse('photos', '--resume', '--epochs', '3'), run)


@pytest.mark.parametrize(
    'words',
    [
        ['photos'],
        ['others', '--epochs', '3'],
        ['photos', '--epochs', '3', '--method', 'ccmim'],
        ['photos', '--epochs', '3', '--cfg-options', 'a=1'],
    ],
)
def test_another_command_is_refused_with_the_one_that_began(run, words):
    with pytest.raises(Mistake, match='another command .*photos .*--epochs 3'):
        is_resumed(parse(*words), run)


def test_a_photos_folder_elsewhere_is_another_one(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(Mistake, match='another command'):
        is_resumed(parse('photos', '--epochs', '3'), run)


def test_a_new_run_begins_where_there_is_none_or_it_is_overwritten(run, tmp_path):
    assert not is_resumed(parse('photos', '--overwrite'), run)
    (run / 'epoch_1.pth').unlink()
    assert not is_resumed(parse('photos'), run), 'a dry run leaves its recipe'
    with pytest.raises(Mistake, match='no run to resume'):
        is_resumed(parse('photos', '--resume'), tmp_path / 'nowhere')
    with pytest.raises(Mistake, match='--batch-size cannot change'):
        is_resumed(parse('photos', '--resume', '--batch-size', '4'), run)


def test_a_run_of_other_tools_is_left_alone(run):
    (run / 'recipe.py').unlink()
    with pytest.raises(Mistake, match=r'another command \(not of ccmim pretrain\)'):
        is_resumed(parse('photos'), run)


@pytest.mark.parametrize('words', [['photos', '--epochs', '3'], ['photos', '--resume']])
@pytest.mark.parametrize('begun', [True, False])
@pytest.mark.parametrize(
    'line',
    [
        'open("marker", "w").close()',
        "_base_ = ['./evil.py']",
        "custom_imports = dict(imports=['ccmim.dense.detection', 'evil'])",
        "custom_imports = dict(imports='evil')",
        "custom_hooks = [dict(type='CosineLR'), dict(type='evil.Hook')]",
        "optim_wrapper = dict(type='ccmim.files.write_file', path='a', content='b')",
        "default_scope = 'evil.scope'",
        "data = '{{$DATA:photos}}'",
    ],
)
def test_what_lies_in_a_folder_is_not_run(run, words, begun, line, monkeypatch):
    monkeypatch.chdir(run)
    recipe = run / 'recipe.py'
    text = recipe.read_text() if begun else ''
    recipe.write_text(f'{text}{line}\n')
    with pytest.raises(Mistake, match='is no recipe of ccmim pretrain .*was not run'):
        is_resumed(parse(*words), run)
    assert not (run / 'marker').exists()
