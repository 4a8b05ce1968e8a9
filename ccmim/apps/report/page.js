'use strict';
// Charts by plotly, pictures by a slider. Without this script all numbers stand in the
// tables, and each chart is described in words.

const data = JSON.parse(document.getElementById('data').textContent);
const plots = [...document.querySelectorAll('.plot')];
const DASHES = ['solid', 'dash', 'dot', 'dashdot']; // for the ninth run and beyond
const dark = matchMedia('(prefers-color-scheme: dark)');
const look = { smoothing: 0, log: false };

const variable = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const isShown = (run) => document.getElementById(`show-${run}`)?.checked ?? true;

// Exponential smoothing without a bias towards the first value, as TensorBoard has it.
function smooth(values, weight) {
  let sum = 0, seen = 0;
  return values.map((value) => {
    if (value === null) return null;
    sum = sum * weight + (1 - weight) * value;
    seen = seen * weight + (1 - weight);
    return sum / seen;
  });
}

function traces(chart) {
  return chart.lines.flatMap(({ run, x, y }) => {
    const name = data.names[run];
    const color = variable(`--run-${run % 8}`);
    const line = { color, width: 2, dash: DASHES[Math.floor(run / 8) % 4] };
    const mode = x.length > 25 ? 'lines' : 'lines+markers';
    const base = { x, name, line, mode, visible: isShown(run), hovertemplate: '%{y:.5~g}' };
    if (!look.smoothing) return [{ ...base, y }];
    const thin = { ...base, y, opacity: 0.3, line: { ...line, width: 1 }, hoverinfo: 'skip', hovertemplate: null };
    return [thin, { ...base, y: smooth(y, look.smoothing), mode: 'lines' }];
  });
}

function layout(chart) {
  const ink = variable('--ink'), faint = variable('--faint');
  const axis = { color: ink, gridcolor: faint, zeroline: false, automargin: true };
  const values = chart.lines.flatMap(({ y }) => y).filter((value) => value !== null);
  const isPositive = values.every((value) => value > 0);
  return {
    paper_bgcolor: 'transparent', plot_bgcolor: 'transparent',
    font: { family: 'system-ui, sans-serif', size: 12, color: ink },
    hoverlabel: { bgcolor: variable('--card'), bordercolor: faint, font: { color: ink }, namelength: 40 },
    margin: { l: 48, r: 12, t: 26, b: 40 }, height: 270, showlegend: false, hovermode: 'x unified',
    xaxis: { ...axis, title: { text: 'step', standoff: 4 }, tickformat: ',d', nticks: 6 },
    yaxis: { ...axis, type: look.log && isPositive ? 'log' : 'linear', nticks: 6 },
  };
}

function draw(plot) {
  const chart = data.charts[Number(plot.dataset.chart)];
  Plotly.react(plot, traces(chart), layout(chart), {
    responsive: true, displaylogo: false,
    modeBarButtonsToRemove: ['select2d', 'lasso2d', 'autoScale2d'],
    toImageButtonOptions: { filename: chart.title.replace(/\W+/g, '_'), scale: 3 },
  });
  plot.classList.add('drawn');
}

// A page of hundreds of charts opens at once: each is drawn when it comes into sight.
const watch = new IntersectionObserver((entries) => {
  for (const { isIntersecting, target } of entries) {
    if (!isIntersecting) continue;
    watch.unobserve(target);
    draw(target);
  }
}, { rootMargin: '300px' });
const redraw = () => plots.filter((plot) => plot.classList.contains('drawn')).forEach(draw);

for (const plot of plots) watch.observe(plot);
for (const input of document.querySelectorAll('.legend input')) input.addEventListener('change', redraw);
for (const controls of document.querySelectorAll('.controls')) controls.hidden = false;
document.getElementById('smoothing')?.addEventListener('input', (event) => {
  look.smoothing = Number(event.target.value);
  redraw();
});
document.getElementById('log')?.addEventListener('change', (event) => {
  look.log = event.target.checked;
  redraw();
});
dark.addEventListener('change', redraw);
// Paper is white, and shows the charts that nobody has scrolled to as well.
addEventListener('beforeprint', () => plots.forEach(draw));
addEventListener('afterprint', redraw);

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

for (const strip of document.querySelectorAll('.strip')) makeSlider(strip);
const dialog = document.createElement('dialog');
dialog.addEventListener('click', () => dialog.close());
document.body.append(dialog);
for (const image of document.querySelectorAll('.picture img')) {
  if (image.getAttribute('width') < 500) image.classList.add('small');
  makeLarge(image, dialog);
}
