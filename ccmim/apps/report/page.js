'use strict';
// Charts: a range of steps is chosen by dragging, values are read by pointing. The
// points come out of the drawing itself, and the axes are drawn anew for each range.
// Pictures: a slider through those of one run. Without this script all stays readable.

const SVG = 'http://www.w3.org/2000/svg';
const LEAST = 1e-6; // of the whole range: the smallest that can be chosen

function element(name, attributes, parent) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  parent.append(made);
  return made;
}

function numbers(text) {
  return text.split(' ').map(Number);
}

function ticks([low, high], count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = power * [1, 2, 5, 10].find((times) => times * power >= rough);
  const found = [];
  for (let i = Math.ceil(low / step); i * step <= high; i += 1) found.push(i * step);
  return found;
}

function written(value) {
  const size = Math.abs(value);
  if (size < 1e-12) return '0';
  if (size < 1e-3) return value.toExponential(2).replace(/\.?0+e/, 'e');
  if (size >= 1e4) return Math.round(value).toLocaleString('en');
  return String(Number(value.toPrecision(5)));
}

function prepare(chart) {
  const svg = chart.querySelector('svg');
  const [left, top, right, bottom] = numbers(svg.dataset.box);
  const whole = { x: numbers(svg.dataset.x), y: numbers(svg.dataset.y) };
  let view = whole;

  const scale = (v, [low, high], a, b) => a + ((v - low) / (high - low)) * (b - a);
  const toX = (value, of) => scale(value, of.x, left, right);
  const toY = (value, of) => scale(value, of.y, bottom, top);
  const fromX = (place, of) => scale(place, [left, right], ...of.x);

  const lines = [...svg.querySelectorAll('.line')].map((group) => {
    const path = group.querySelector('path[clip-path]');
    const parts = [...path.getAttribute('d').matchAll(/([ML]) (\S+) (\S+)/g)];
    const points = parts.map(([, letter, x, y]) => ({
      letter,
      x: fromX(Number(x), whole),
      y: scale(Number(y), [bottom, top], ...whole.y),
    }));
    const run = Number([...group.classList].find((c) => c.startsWith('run-')).slice(4));
    return { group, path, points, run, marks: [...group.querySelectorAll('use')] };
  });
  const marks = lines.flatMap((line) =>
    line.marks.map((use) => ({
      use,
      x: fromX(Number(use.getAttribute('x')), whole),
      y: scale(Number(use.getAttribute('y')), [bottom, top], ...whole.y),
    })),
  );
  const shown = () => lines.filter(({ group }) => getComputedStyle(group).display !== 'none');

  const axes = element('g', { class: 'ticks' }, svg);
  lines[0].group.before(axes);
  const button = document.createElement('button');
  button.className = 'whole';
  button.textContent = 'Reset';
  button.hidden = true;
  const tip = document.createElement('div');
  tip.className = 'tip';
  tip.hidden = true;
  chart.append(button, tip);
  const rule = element('line', { class: 'rule', y1: top, y2: bottom, visibility: 'hidden' }, svg);
  const selection = element('rect', { class: 'selection', y: top, width: 0, height: bottom - top }, svg);

  function draw() {
    rest();
    for (const line of lines) {
      const texts = line.points.map((p) => `${p.letter} ${toX(p.x, view).toFixed(2)} ${toY(p.y, view).toFixed(2)}`);
      line.path.setAttribute('d', texts.join(' '));
    }
    for (const mark of marks) {
      mark.use.setAttribute('x', toX(mark.x, view));
      mark.use.setAttribute('y', toY(mark.y, view));
    }
    const zoomed = view !== whole;
    button.hidden = !zoomed;
    for (const tick of svg.querySelectorAll('.xtick, .ytick')) tick.style.display = zoomed ? 'none' : '';
    axes.replaceChildren();
    if (!zoomed) return;
    const grid = { style: 'stroke: var(--faint); stroke-width: .8' };
    for (const value of ticks(view.x, 5)) {
      const x = toX(value, view);
      element('line', { ...grid, x1: x, x2: x, y1: top, y2: bottom }, axes);
      element('text', { x, y: bottom + 13, 'text-anchor': 'middle', 'font-size': 9 }, axes).textContent = written(value);
    }
    for (const value of ticks(view.y, 4)) {
      const y = toY(value, view);
      element('line', { ...grid, x1: left, x2: right, y1: y, y2: y }, axes);
      element('text', { x: left - 4, y: y + 3, 'text-anchor': 'end', 'font-size': 9 }, axes).textContent = written(value);
    }
  }

  function look(low, high) {
    const [first, last] = whole.x;
    const width = Math.max(Math.min(high - low, last - first), (last - first) * LEAST);
    low = Math.min(Math.max(low, first), last - width);
    if (width >= last - first) {
      view = whole;
    } else {
      const range = [low, low + width];
      const seen = shown().flatMap((line) => line.points.filter((p) => p.x >= range[0] && p.x <= range[1]).map((p) => p.y));
      const least = Math.min(...seen), most = Math.max(...seen);
      const room = (most - least) * 0.06 || Math.abs(most) * 0.01 || 1;
      view = { x: range, y: seen.length ? [least - room, most + room] : view.y };
    }
    draw();
  }

  function closer(factor, at) {
    const [low, high] = view.x;
    look(at - (at - low) * factor, at + (high - at) * factor);
  }

  function place(event) {
    const box = svg.getBoundingClientRect();
    const x = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    return Math.min(Math.max(x, left), right);
  }

  function point(x) {
    const rows = new Map();
    let step = null;
    for (const line of shown()) {
      if (rows.has(line.run) || !line.points.length) continue;
      const at = fromX(x, view);
      const near = line.points.reduce((a, b) => (Math.abs(b.x - at) < Math.abs(a.x - at) ? b : a));
      if (near.x < view.x[0] || near.x > view.x[1]) continue;
      step = step ?? near.x;
      rows.set(line.run, near.y);
    }
    tip.replaceChildren();
    tip.hidden = !rows.size;
    rule.setAttribute('visibility', rows.size ? 'visible' : 'hidden');
    if (!rows.size) return;
    const head = document.createElement('div');
    head.textContent = `step ${Math.round(step).toLocaleString('en')}`;
    tip.append(head);
    for (const [run, value] of rows) {
      const row = document.createElement('div');
      const dot = document.createElement('span');
      dot.className = 'swatch';
      dot.style.color = `var(--run-${run % 8})`;
      const name = document.querySelector(`.name[data-run="${run}"]`);
      row.append(dot, `${name ? `${name.textContent} ` : ''}${written(value)}`);
      tip.append(row);
    }
    const on = toX(step, view);
    rule.setAttribute('x1', on);
    rule.setAttribute('x2', on);
    const isRight = on > (left + right) / 2;
    tip.style.left = isRight ? '3.2rem' : 'auto';
    tip.style.right = isRight ? 'auto' : '.8rem';
  }

  function rest() {
    tip.hidden = true;
    rule.setAttribute('visibility', 'hidden');
  }

  let begin = null;
  svg.addEventListener('pointerdown', (event) => {
    if (event.pointerType !== 'mouse' || event.button) return point(place(event));
    begin = place(event);
    svg.setPointerCapture(event.pointerId);
    chart.focus({ preventScroll: true });
    event.preventDefault();
  });
  svg.addEventListener('pointermove', (event) => {
    const x = place(event);
    point(x);
    if (begin === null) return;
    selection.setAttribute('x', Math.min(begin, x));
    selection.setAttribute('width', Math.abs(x - begin));
  });
  svg.addEventListener('pointerup', (event) => {
    if (begin === null) return;
    const ends = [begin, place(event)].sort((a, b) => a - b);
    begin = null;
    selection.setAttribute('width', 0);
    if (ends[1] - ends[0] > 4) look(fromX(ends[0], view), fromX(ends[1], view));
  });
  svg.addEventListener('pointercancel', () => {
    begin = null;
    selection.setAttribute('width', 0);
  });
  svg.addEventListener('pointerleave', rest);
  svg.addEventListener('dblclick', () => look(...whole.x));
  button.addEventListener('click', () => look(...whole.x));
  svg.addEventListener('wheel', (event) => {
    // A wheel that only scrolls past must not zoom.
    if (document.activeElement !== chart && !event.ctrlKey) return;
    event.preventDefault();
    closer(event.deltaY < 0 ? 0.8 : 1.25, fromX(place(event), view));
  }, { passive: false });
  chart.addEventListener('keydown', (event) => {
    const [low, high] = view.x;
    const middle = (low + high) / 2, shift = (high - low) / 4;
    const moves = {
      '+': () => closer(0.5, middle),
      '=': () => closer(0.5, middle),
      '-': () => closer(2, middle),
      0: () => look(...whole.x),
      Escape: () => (chart.blur(), look(...whole.x)),
      ArrowLeft: () => look(low - shift, high - shift),
      ArrowRight: () => look(low + shift, high + shift),
    };
    if (event.target !== chart || !(event.key in moves)) return;
    moves[event.key]();
    event.preventDefault();
  });
}

function makeSlider(strip) {
  const frames = [...strip.querySelectorAll('figure')];
  if (frames.length < 2) return;
  const slider = document.createElement('input');
  slider.type = 'range';
  slider.max = frames.length - 1;
  slider.value = slider.max;
  slider.setAttribute('autocomplete', 'off');
  slider.setAttribute('aria-label', `${strip.dataset.title}: which one`);
  const show = () => {
    frames.forEach((frame, i) => { frame.hidden = i !== Number(slider.value); });
    slider.setAttribute('aria-valuetext', frames[slider.value].innerText.trim());
  };
  slider.addEventListener('input', show);
  strip.classList.add('single');
  strip.append(slider);
  show();
}

function makeLarge(image, dialog) {
  image.tabIndex = 0;
  image.setAttribute('role', 'button');
  const open = () => {
    const large = image.cloneNode();
    large.removeAttribute('tabindex');
    dialog.replaceChildren(large);
    dialog.setAttribute('aria-label', image.alt);
    dialog.showModal();
  };
  image.addEventListener('click', open);
  image.addEventListener('keydown', (event) => {
    if (event.key !== 'Enter') return;
    open();
    event.preventDefault();
  });
}

for (const chart of document.querySelectorAll('.chart')) prepare(chart);
for (const help of document.querySelectorAll('.help')) help.hidden = false;
for (const strip of document.querySelectorAll('.strip')) makeSlider(strip);
const dialog = document.createElement('dialog');
dialog.addEventListener('click', () => dialog.close());
document.body.append(dialog);
for (const image of document.querySelectorAll('.picture img')) {
  if (image.getAttribute('width') < 500) image.classList.add('small');
  makeLarge(image, dialog);
}
