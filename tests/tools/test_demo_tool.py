"""Which images are drawn, to which files, and what is said of mistakes."""

from pathlib import Path

import pytest


@pytest.fixture
def demo(request, monkeypatch):
    monkeypatch.syspath_prepend(request.config.rootpath / 'tools')
    import demo

    return demo


def test_images_and_places(demo, image_folder, tmp_path):
    (image_folder / 'part0' / 'notes.txt').write_text('no image')
    one = image_folder / 'part1' / '1.jpg'
    images = demo.find_images([str(image_folder / 'part0'), str(one)])
    assert [p.name for p in images] == ['0.jpg', '2.jpg', '4.jpg', '6.jpg', '1.jpg']
    assert demo.output_files(Path('a.png'), [one]) == [Path('a.png')]
    assert demo.output_files(Path('out'), [one]) == [Path('out/1.png')]
    twice = demo.output_files(None, [one, one])
    assert twice == [Path('demo/0_1.png'), Path('demo/1_1.png')]
    with pytest.raises(ValueError, match='one file for 2 images'):
        demo.output_files(Path('a.png'), [one, one])
    with pytest.raises(ValueError, match='has no images'):
        demo.find_images([str(tmp_path)])


def test_no_image_is_drawn_over(demo, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    image = tmp_path / 'a.png'
    image.touch()
    for out in (Path('a.png'), tmp_path):
        with pytest.raises(ValueError, match='a.png is one of the given images'):
            demo.output_files(out, [image])
    assert demo.output_files(tmp_path, [tmp_path / 'b.jpg']) == [tmp_path / 'b.png']
