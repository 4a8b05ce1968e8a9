"""Features of a folder in a file, with what is almost the same."""

import csv
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import ccmim as package
from ccmim.evaluation import embeddings
from ccmim.evaluation.embeddings import Embeddings
from ccmim.vit import VisionTransformer


@pytest.fixture
def weights(tmp_path):
    vit = VisionTransformer('tiny', img_size=32, patch_size=8)
    torch.save(vit.state_dict(), tmp_path / 'vit.pth')
    return tmp_path / 'vit.pth'


def test_a_folder_with_a_copy_and_a_damaged_photo(ccmim, weights, class_folders):
    folder = class_folders / 'dog'
    shutil.copy(folder / '3.jpg', folder / '3_again.jpg')
    (folder / '9.jpg').write_bytes(b'\xff\xd8cut')
    out = weights.with_name('x.csv')
    words = ['embed', folder, '--weights', weights, '--out', out]
    more = ['--duplicates', '--least', '0.999', '--nearest', folder / '3.jpg']
    code, said, _ = ccmim(*words, *more)
    assert code == 1
    head, *rows = csv.reader(out.open())
    assert head[:2] == ['name', 'f0']
    assert len(head) == 193
    assert [row[0] for row in rows[:5]] == [
        str(folder / f'{name}.jpg') for name in ('0', '1', '2', '3', '3_again')
    ]
    assert rows[3][1:] == rows[4][1:]
    assert len(rows) == 10
    pairs = list(csv.reader(weights.with_name('x_duplicates.csv').open()))
    assert pairs[1:] == [[str(folder / '3.jpg'), str(folder / '3_again.jpg'), '1.0000']]
    first = said.split('Nearest to', 1)[1].splitlines()[1]
    assert first == f'   1.00  {folder}/3_again.jpg'
    assert '9.jpg\t' in weights.with_name('x_bad_files.txt').read_text()
    code, _, error = ccmim(*words)
    assert code == 2
    assert 'is there already' in error


@pytest.mark.parametrize('kind', ['npy', 'parquet'])
def test_files_hold_what_python_gives(ccmim, weights, class_folders, kind):
    if kind == 'parquet':
        parquet = pytest.importorskip('pyarrow.parquet')
    pool = 'patches' if kind == 'npy' else 'both'
    out = weights.with_name(f'x.{kind}')
    words = ['embed', class_folders, '--weights', weights, '--out', out]
    assert ccmim(*words, '--pool', pool)[0] == 0
    found = package.embed(weights, class_folders, pool=pool)
    if kind == 'npy':
        assert np.load(out).shape == (20, 16, 192)
        with pytest.raises(ValueError, match='patches have no neighbors'):
            found.nearest(0)
        with pytest.raises(ValueError, match='go into a .npy'):
            found.save('x.csv')
        assert np.array_equal(np.load(out), found.features.numpy())
        assert out.with_suffix('.txt').read_text().splitlines() == found.names
    else:
        table = parquet.read_table(out)
        assert table['name'].to_pylist() == found.names
        assert np.array_equal(table['feature'].to_pylist(), found.features.numpy())


def test_what_all_photos_share_makes_none_alike(monkeypatch):
    """Class tokens of some methods are nearly the same: cosines of 0.99 and more."""
    own = torch.tensor([[1.0, 0], [0.999, 0.05], [-1, 0], [-1, 1e-3], [0, 1]])
    found = Embeddings(list('abcde'), own + 100)
    pairs = found.duplicates(0.95)
    assert [pair[:2] for pair in pairs] == [('c', 'd'), ('a', 'b')]  # most alike first
    monkeypatch.setattr(embeddings, '_AT_ONCE', 10)  # two rows
    assert found.duplicates(pairs[1][2]) == pairs
    assert Embeddings(list('abc'), (100 * own[:3] + 999).int()).nearest(2)[0][1] < 0
    assert [name for name, _ in found.nearest(0, 2)] == ['b', 'e']
    assert len(found.nearest(0)) == 4
    ((_, cosine),) = Embeddings(list('ab'), own[:2] + 1).nearest(0)
    assert 0.99 < cosine < 1, 'two photos share no more than each other'


def test_a_file_of_another_kind_is_refused(ccmim, weights, class_folders, monkeypatch):
    words = ['embed', class_folders, '--weights', weights, '--out']
    assert 'must end in one of' in ccmim(*words, 'x.txt')[2]
    assert 'go into a .npy' in ccmim(*words, 'x.csv', '--pool', 'patches')[2]
    monkeypatch.setitem(sys.modules, 'pyarrow', None)  # is not installed
    embeddings.check_format(Path('x.csv'), False)
    with pytest.raises(ImportError):
        embeddings.check_format(Path('x.parquet'), False)
