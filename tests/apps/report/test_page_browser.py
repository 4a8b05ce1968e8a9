"""The report in a real browser: it loads, reads well everywhere, zooms and prints."""

import re
import shutil

import numpy as np
import pytest
from PIL import Image

from ccmim.apps.report.html import Figure, write_report
from tests.logged import curve, write_session

sync_api = pytest.importorskip('playwright.sync_api')
CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason='chromium is not installed'),
]
READABLE = 4.5  # contrast that WCAG 2.2 asks of text
PATIENCE = 1.5  # CPU seconds of the page, 0.7 measured: it opens in 2 s
VISIBLE = 3.0  # and of lines in charts
DRAWN = """[...document.querySelectorAll('.plot')].every(
    plot => plot.querySelector('.scatterlayer .trace'))"""


@pytest.fixture(scope='module')
def report(tmp_path_factory):
    """The address of a page with two runs, pictures, long names and a table."""
    folder = tmp_path_factory.mktemp('runs')
    rng = np.random.default_rng(0)
    for i, name in enumerate(['mae', f'ccmim_{"long" * 20}']):
        steps = np.arange(10, 2010, 10)
        losses = np.exp(-steps / 500) + 0.05 * rng.random(200) + i
        lines = curve(losses.tolist(), every=10, time=0.5)
        lines = [dict(line, lr=line['loss'] / 1000) for line in lines]
        lines.append(dict(mIoU=30.0 + i, step=2000))
        lines.insert(50, dict(mIoU=20.0 + i, step=500))
        write_session(folder / name, lines, f'model = dict(x="{i}{"y" * 200}")\n')
        (folder / name / 'pictures').mkdir()
        for epoch in (1, 2, 3):
            image = Image.new('RGB', (300, 100), (80 * epoch, 0, 0))
            image.save(folder / name / 'pictures' / f'masks_epoch_{epoch}.png')
    Image.new('RGB', (64, 64), (9, 9, 200)).save(folder / 'a.png')
    head = ['', *(f'measure {k}' for k in range(9))]
    write_report(
        folder / 'report.html',
        'A report with quite a long title',
        [head, ['row', *'123456789']],
        ['note ' * 40],
        [Figure(folder / 'a.png', 'A picture')],
        ['python tools/train.py ' + '--option=value ' * 30],
        [folder / 'mae', folder / name],
    )
    return (folder / 'report.html').as_uri()


@pytest.fixture(scope='module')
def browser():
    with sync_api.sync_playwright() as playwright:
        options = dict(executable_path=CHROMIUM, args=['--no-sandbox'])
        browser = playwright.chromium.launch(**options)
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, report):
    """Open the page; what the console or the network says counts as an error."""
    opened, errors = [], []

    def open_page(width=1280, **options):
        page = browser.new_page(viewport=dict(width=width, height=900), **options)
        page.on('console', lambda message: errors.append(message.text))
        page.on('pageerror', lambda error: errors.append(str(error)))
        page.on('requestfailed', lambda request: errors.append(request.url))
        page.goto(report)
        if options.get('java_script_enabled', True):
            for plot in page.locator('.plot').all():
                plot.scroll_into_view_if_needed()
            page.wait_for_function(DRAWN)
        opened.append(page)
        return page

    yield open_page
    for page in opened:
        page.close()
    assert errors == []


def sizes(page, selector):
    return page.eval_on_selector_all(
        selector, 'all => all.map(e => [e.clientWidth, e.clientHeight])'
    )


@pytest.mark.parametrize(('width', 'script'), [(1280, True), (390, True), (390, False)])
def test_all_is_there_and_fits(visit, width, script):
    """Nothing is empty, and the page itself never scrolls sideways."""
    page = visit(width, java_script_enabled=script)
    charts = [('.plot .main-svg', 3)] if script else []
    for selector, count in (*charts, ('table', 4), ('.box', 4)):
        found = sizes(page, selector)
        assert len(found) >= count
        assert all(x > 100 and y > 50 for x, y in found), (selector, found)
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    shown = [size for size in sizes(page, '.picture img') if all(size)]
    assert len(shown) == (3 if script else 7)  # with a script, one of each strip
    loaded = 'all => all.every(image => image.complete && image.naturalWidth > 0)'
    assert page.eval_on_selector_all('.picture img', loaded)


def channels(text):
    return [float(x) for x in re.findall(r'[\d.]+', text)[:3]]


def luminance(text):
    linear = [
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4
        for c in (x / 255 for x in channels(text))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


COLORS = """all => all.map(e => {
    const style = getComputedStyle(e);
    let behind = e;
    while (getComputedStyle(behind).backgroundColor === 'rgba(0, 0, 0, 0)')
        behind = behind.parentElement;
    const front = {line: style.stroke, text: style.fill}[PAINT] ?? style.color;
    return [front, getComputedStyle(behind).backgroundColor];
})"""


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_text_and_lines_stand_out(visit, scheme):
    """Dark is dark, and in both modes text and curves can be seen."""
    page = visit(color_scheme=scheme)
    background = page.evaluate('getComputedStyle(document.body).backgroundColor')
    assert (luminance(background) < 0.05) == (scheme == 'dark')
    for selector, paint, least in (
        ('h1, h2, h3, p, td, th, small, label, figcaption, pre', '', READABLE),
        ('.plot .xtick text, .plot .ytick text', 'text', READABLE),
        ('.plot .js-line', 'line', VISIBLE),
    ):
        script = COLORS.replace('PAINT', f"'{paint}'")
        pairs = page.eval_on_selector_all(selector, script)
        assert pairs
        dim = [pair for pair in pairs if contrast(*pair) < least]
        assert dim == [], selector


@pytest.mark.parametrize('scheme', ['light', 'dark'])
@pytest.mark.parametrize('width', [1280, 390])
def test_axe_finds_no_barrier(visit, scheme, width):
    """The rules of WCAG 2 and the usual practice, by axe-core."""
    axe = pytest.importorskip('axe_playwright_python.sync_playwright')
    page = visit(width, color_scheme=scheme)
    found = axe.Axe().run(page).response['violations']
    nodes = [(v['id'], node['html'][:200]) for v in found for node in v['nodes']]
    assert nodes == []


def test_ten_long_runs_open_at_once(browser, tmp_path):
    """Each of 100,000 steps; the page draws a thousand points of a curve."""
    rng = np.random.default_rng(0)
    for i in range(10):
        losses = np.exp(-np.arange(100_000) / 3e4) + 0.05 * rng.random(100_000)
        write_session(tmp_path / f'run{i}', curve(losses.tolist(), lr=0.1))
    folders = [tmp_path / f'run{i}' for i in range(10)]
    write_report(tmp_path / 'report.html', 'Ten runs', runs=folders)
    page = browser.new_page(viewport=dict(width=1280, height=900))
    page.goto((tmp_path / 'report.html').as_uri())
    page.locator('.plot').first.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('.plot .scatterlayer .trace')")
    session = page.context.new_cdp_session(page)
    session.send('Performance.enable')
    metrics = session.send('Performance.getMetrics')['metrics']
    (took,) = [m['value'] for m in metrics if m['name'] == 'ProcessTime']
    drawn = page.locator('.plot').first.evaluate(STATE)['y']
    page.close()
    assert len(drawn) == 10
    assert all(200 < len(curve) <= 5000 for curve in drawn)
    assert took < PATIENCE, f'{took:.1f} s of computing'


def chart(page):
    """The chart of the loss, and where its curves are seen."""
    found = page.locator('.chart', has_text='loss').first
    found.scroll_into_view_if_needed()
    return found, found.locator('.nsewdrag').bounding_box()


STATE = """plot => ({x: plot.layout.xaxis.range, type: plot.layout.yaxis.type,
                     y: plot.data.map(trace => trace.y)})"""


def test_dragging_zooms_and_double_click_shows_all(visit):
    """The axis tells the chosen range, and a double click restores the whole one."""
    page = visit()
    found, box = chart(page)
    plot = found.locator('.plot')
    low, high = plot.evaluate(STATE)['x']
    y = box['y'] + box['height'] / 2
    page.mouse.move(box['x'] + 0.5 * box['width'], y)
    page.mouse.down()
    page.mouse.move(box['x'] + 0.7 * box['width'], y, steps=4)
    page.mouse.up()
    page.wait_for_timeout(300)
    chosen = plot.evaluate(STATE)['x']
    wanted = [low + part * (high - low) for part in (0.5, 0.7)]
    assert chosen == pytest.approx(wanted, abs=30)
    page.mouse.dblclick(box['x'] + 0.6 * box['width'], y)
    page.wait_for_timeout(600)
    assert plot.evaluate(STATE)['x'] == pytest.approx([low, high], abs=1)


def test_pointing_reads_the_values(visit):
    """The tip gives the step and the value of each run, as they were logged."""
    page = visit()
    found, box = chart(page)
    page.mouse.move(box['x'] + box['width'] - 2, box['y'] + box['height'] / 2)
    page.wait_for_timeout(300)
    text = ' '.join(found.locator('.hoverlayer text').all_text_contents())
    step = int(text.split(' ')[0].replace(',', ''))
    assert 1900 <= step <= 2000
    for trace in found.locator('.plot').evaluate(STATE)['y']:
        assert f' : {trace[step // 10 - 1]:.5g}' in text


def test_smoothing_and_logarithmic_axis(visit):
    """Smoothing is TensorBoard's, beside the raw curve; a positive value may be log."""
    page = visit()
    found, _ = chart(page)
    plot = found.locator('.plot')
    raw = plot.evaluate(STATE)['y'][0]
    page.locator('#smoothing').focus()
    page.locator('#smoothing').fill('0.8')
    after = plot.evaluate(STATE)['y']
    total, weights, smooth = 0.0, 0.0, []
    for value in raw:
        total, weights = 0.8 * total + 0.2 * value, 0.8 * weights + 0.2
        smooth.append(total / weights)
    assert after[0] == raw
    assert after[1] == pytest.approx(smooth)
    page.locator('#log').check()
    assert plot.evaluate(STATE)['type'] == 'log'


def test_runs_can_be_hidden_and_strips_move(visit):
    """A click on a name hides its curves; the slider shows another picture."""
    page = visit()
    found, _ = chart(page)
    shown = 'plot => plot.data.map(trace => trace.visible)'
    assert found.locator('.plot').evaluate(shown) == [True, True]
    page.locator('.legend label').first.click()
    assert found.locator('.plot').evaluate(shown) == [False, True]
    strip = page.locator('.strip').first
    assert 'epoch 3' in strip.inner_text()
    strip.locator('input').focus()
    page.keyboard.press('Home')
    assert 'epoch 1' in strip.inner_text()
    strip.locator('figure:not([hidden]) img').click()
    assert page.locator('dialog img').is_visible()
    page.keyboard.press('Escape')
    assert not page.locator('dialog img').is_visible()


def test_page_prints(visit):
    """Ink goes onto white, also from a dark screen."""
    page = visit(color_scheme='dark')
    page.emulate_media(media='print', color_scheme='dark')
    ink = page.evaluate('getComputedStyle(document.body).color')
    assert contrast(ink, 'rgb(255, 255, 255)') > READABLE
    pdf = page.pdf(format='A4')
    assert pdf.startswith(b'%PDF')
    assert len(re.findall(rb'/Type\s*/Page\b', pdf)) >= 2
