"""The report is one file that needs no other."""

import base64
import io

from PIL import Image

from ccmim.apps.report.html import Figure, write_report


def test_everything_is_inside(tmp_path):
    picture = tmp_path / 'a.png'
    Image.new('RGB', (3, 2), (1, 2, 3)).save(picture)
    report = tmp_path / 'report.html'
    table, figures = (
        [['', 'AP'], ['row <1>', '2.5']],
        [Figure(picture, 'caption & more')],
    )
    write_report(report, 'Title', table, ['A note.'], figures, ['python a.py'])
    text = report.read_text()
    assert '<th scope="row">row &lt;1&gt;</th><td>2.5</td>' in text
    assert 'caption &amp; more' in text
    data = text.split('data:image/png;base64,')[1].split('"')[0]
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert image.size == (3, 2)
    assert image.getpixel((0, 0)) == (1, 2, 3)
    assert 'src="data:' in text
    assert text.count('src=') == 1
