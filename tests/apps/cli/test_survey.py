"""What pretrain says of the images that it was given."""

from collections import Counter

import pytest

from ccmim.apps.cli import survey
from ccmim.apps.cli.survey import look
from ccmim.data.check import Checked


@pytest.fixture
def mixed(image_folder):
    """Eight good photos, two damaged ones and three other files."""
    data = (image_folder / 'part0' / '0.jpg').read_bytes()
    (image_folder / 'cut.jpg').write_bytes(data[: len(data) // 2])
    (image_folder / 'empty.png').touch()
    for name in ('a.txt', 'b.txt', 'c.json'):
        (image_folder / name).write_text('x')
    return image_folder


def test_it_counts_what_is_there_and_what_is_not_used(mixed):
    seen = look([str(mixed)])
    assert (seen.total, seen.num_good, seen.median_side) == (10, 8, 80)
    assert set(seen.bad) == {str(mixed / 'cut.jpg'), str(mixed / 'empty.png')}
    assert seen.looked_at_all
    text = '\n'.join(seen.lines())
    assert 'Images       10\n' in text
    assert 'damaged    2: ' in text
    assert '1 empty' in text
    assert '3 other files: 2 .txt, 1 .json' in text
    assert f'     64 - 127         8 {"#" * 40}' in text


def test_a_large_folder_is_sampled_and_said_to_be(mixed, monkeypatch):
    monkeypatch.setattr(survey, '_ALL', 5)
    monkeypatch.setattr(survey, '_SAMPLE', 4)
    seen = look([str(mixed)])
    assert len(seen.checked) == 4
    assert not seen.looked_at_all
    assert seen.lines()[0] == 'Images       10 (4 looked at)'


def test_the_side_is_the_median_so_that_a_few_large_photos_do_not_count():
    sides = [40, 40, 50, 60, 4000]
    checked = [Checked('x.jpg', None, 'JPEG', 'RGB', side) for side in sides]
    assert survey.Survey(5, checked, Counter()).median_side == 50
