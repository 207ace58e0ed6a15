// Charts of the chosen points: numbers as lines with their range, booleans as lanes.
const box = document.getElementById("charts");
const data = JSON.parse(box.dataset.history);
const lang = document.documentElement.lang;
const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const number = new Intl.NumberFormat(lang, { maximumFractionDigits: 2 });
const fill = (text, values) => text.replace(/\{(\w+)\}/g, (_, key) => values[key] ?? "");
const local = (time) => window.uPlot.tzDate(new Date(time * 1000), data.zone);
const format = (options) => {
  const made = new Intl.DateTimeFormat(lang, { timeZone: data.zone, ...options });
  return (time) => made.format(new Date(time * 1000));
};
const clock = format({ hour: "2-digit", minute: "2-digit" });
const seconds = format({ hour: "2-digit", minute: "2-digit", second: "2-digit" });
const date = format({ day: "numeric", month: "numeric" });
const full = format({ dateStyle: "short", timeStyle: "medium" });

const ticks = (_, splits, __, ___, step) =>
  splits.map((time, index) => {
    if (step >= 86400) return date(time);
    const text = step < 60 ? seconds(time) : clock(time);
    const newDay = index === 0 || date(time) !== date(splits[index - 1]);
    return newDay ? `${text}\n${date(time)}` : text;
  });

function frame(name, summary) {
  const figure = document.createElement("figure");
  const caption = document.createElement("figcaption");
  const chart = document.createElement("div");
  caption.textContent = summary;
  chart.setAttribute("role", "img");
  chart.setAttribute("aria-label", summary);
  figure.append(caption, chart);
  box.append(figure);
  return chart;
}

function draw(chart, height, options, values) {
  const axis = { stroke: css("--ink"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line") } };
  const plot = new window.uPlot({
    width: chart.clientWidth, height, tzDate: local,
    cursor: { drag: { x: true, y: false } },
    scales: { x: { time: true, range: (_, min, max) => (min === max ? [data.from, data.to] : [min, max]) }, ...options.scales },
    series: [{ label: box.dataset.time, value: (_, time) => (time === null ? "–" : full(time)) }, ...options.series],
    axes: [{ ...axis, values: ticks }, { ...axis, size: 60, ...options.axis }],
    bands: options.bands,
    hooks: { setScale: [(u, key) => key === "x" && remember(u)] },
  }, values, chart);
  new ResizeObserver(() => plot.setSize({ width: chart.clientWidth, height })).observe(chart);
  plot.setScale("x", { min: data.from, max: data.to });
  ready = true;
}

// A zoomed range goes into the address, so that it can be sent to somebody.
let ready = false;
function remember(u) {
  const { min, max } = u.scales.x;
  if (!ready || min == null || (min === data.from && max === data.to)) return;
  const address = new URLSearchParams(location.search);
  address.set("from", new Date(min * 1000).toISOString().replace(/\.\d+Z$/, "+00:00"));
  address.set("to", new Date(max * 1000).toISOString().replace(/\.\d+Z$/, "+00:00"));
  history.replaceState(null, "", `?${address}`);
}

function line({ title, unit, width, buckets }) {
  const name = unit ? `${title} (${unit})` : title;
  const x = [], low = [], mean = [], high = [];
  let before = null;
  for (const [time, min, middle, max] of buckets) {
    if (before !== null && time - before > width * 2.5 && time - before > gap(buckets)) {
      x.push(before + width); low.push(null); mean.push(null); high.push(null);
    }
    x.push(time); low.push(min); mean.push(middle); high.push(max);
    before = time;
  }
  const told = buckets.filter((b) => b[4] > 0);
  const chart = frame(name, told.length
    ? fill(box.dataset.summary, {
        name, count: number.format(told.reduce((sum, b) => sum + b[4], 0)),
        min: number.format(Math.min(...told.map((b) => b[1]))),
        max: number.format(Math.max(...told.map((b) => b[3]))),
        last: number.format(told.at(-1)[2]),
      })
    : `${name}: ${box.dataset.empty}`);
  const shown = { value: (_, v) => (v == null ? "–" : number.format(v)), spanGaps: false };
  draw(chart, 260, {
    axis: { values: (_, splits) => splits.map((v) => number.format(v)) },
    bands: [{ series: [3, 1], fill: css("--info-back") }],
    series: [
      { ...shown, label: box.dataset.min, stroke: css("--edge"), width: 1, points: { show: false } },
      { ...shown, label: unit, stroke: css("--act"), width: 2, points: { show: buckets.length < 60 } },
      { ...shown, label: box.dataset.max, stroke: css("--edge"), width: 1, points: { show: false } },
    ],
  }, [x, low, mean, high]);
}

// A meter tells at its own pace: a gap is several times the usual distance.
function gap(buckets) {
  const steps = buckets.slice(1).map((b, i) => b[0] - buckets[i][0]).sort((a, b) => a - b);
  return steps.length ? steps[Math.floor(steps.length / 2)] * 3 : 0;
}

function lane({ title, changes }) {
  const x = [], y = [];
  let active = 0;
  changes.forEach(([time, level], index) => {
    const end = changes[index + 1]?.[0] ?? Math.min(data.to, Date.now() / 1000);
    if (level) active += Math.max(0, end - Math.max(time, data.from));
    x.push(Math.max(time, data.from)); y.push(level === null ? null : Number(level));
  });
  if (x.length) { x.push(Math.max(x.at(-1), Math.min(data.to, Date.now() / 1000))); y.push(y.at(-1)); }
  const share = (100 * active) / Math.max(1, data.to - data.from);
  const chart = frame(title, changes.length
    ? fill(box.dataset.lane, { name: title, count: number.format(changes.length), share: number.format(share) })
    : `${title}: ${box.dataset.empty}`);
  const text = (v) => (v == null ? "–" : v ? box.dataset.on : box.dataset.off);
  draw(chart, 130, {
    scales: { y: { range: [-0.15, 1.15] } },
    axis: { splits: () => [0, 1], values: (_, splits) => splits.map(text) },
    series: [{ label: title, value: (_, v) => text(v), stroke: css("--act"), fill: css("--info-back"), width: 2,
      paths: window.uPlot.paths.stepped({ align: 1 }), points: { show: false }, spanGaps: false }],
  }, [x, y]);
}

if (data.series.length) {
  const help = document.createElement("p");
  help.textContent = box.dataset.zoom;
  box.append(help);
}
for (const series of data.series) (series.quantity ? line : lane)(series);
