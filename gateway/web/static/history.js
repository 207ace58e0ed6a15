// The range of time: by words, buttons, mouse, wheel, fingers or keys, and always in the address.
// The charts move at once; then the same page is asked for with the new range, because a nearer
// look has finer values, and its tables and files shall tell the same.
import { again } from "./again.js";
import { bars, lane, meter, times } from "./charts.js";
import { marks } from "./marks.js";

const LEAST_S = 60, MOST_S = 20 * 365 * 86400, PAUSE_MS = 300;
const box = document.getElementById("charts");
const words = JSON.parse(box.dataset.words);
const make = { lane, meter, bars };
const PIECES = ["bar", "empty", "patterns", "tables"];
let data, plots = [], figures = [], strip, range, first, cursor = null;
let timer = 0, follow = 0, turn = 0, pending = false, undrawn = null;
const fingers = new Set();
const tip = Object.assign(document.createElement("div"), { className: "tip", hidden: true });

const context = () => ({ data, said: times(data.zone), words, range: () => range, selected: show, first: () => show(first.min, first.max), hover, point });

function draw() {
  data = JSON.parse(box.dataset.history);
  range = { min: data.from, max: data.to };
  first ??= range;
  strip?.end?.();
  for (const plot of plots) plot.destroy();
  figures = [...box.querySelectorAll("figure.chart")];
  const ordered = ["lane", "meter", "bars"].flatMap((kind) => data.series.filter((series) => series.kind === kind));
  const all = context();
  plots = figures.map((figure, index) => {
    const series = ordered[index];
    const last = !figure.nextElementSibling?.classList.contains("lane");
    return make[series.kind](figure.querySelector(".plot"), all, series, last);
  });
  strip = marks(box, all);
  strip.place();
  box.append(tip);
  for (const plot of plots) {
    touch(plot.over);
    plot.over.addEventListener("wheel", (event) => wheel(event, plot), { passive: false });
  }
  clearTimeout(follow);
  if (data.follows) follow = setTimeout(refresh, soon());
}

// What ends now goes on while nobody is busy with it.
function refresh() {
  const idle = !document.hidden && !pending && !fingers.size && cursor === null && !box.contains(document.activeElement);
  if (idle && !document.getElementById("bar").contains(document.activeElement)) load(location.href, "stay");
  else follow = setTimeout(refresh, soon());
}

// A wide range has something new only once its next bucket is full.
const soon = () => Math.max(60_000, ((data.to - data.from) / 600) * 1000);

// --- one cursor

let pointing = false;
function hover(plot) {
  if (pointing) return;
  const at = plot.cursor.left;
  const time = at === undefined || at < 0 ? null : plot.posToVal(at, "x");
  readings(time);
  const pointed = time !== null && plot.over.matches(":hover");
  if (pointed) tell(plot, at, time);
  else if (time === null) tip.hidden = true;
}

function readings(time) {
  cursor = time;
  strip?.cursor(time);
  for (const [index, figure] of figures.entries()) {
    const now = figure.querySelector(".now");
    now.dataset.last ??= now.textContent;
    now.textContent = time === null ? now.dataset.last : plots[index]?.read(time).now ?? "";
  }
}

function tell(plot, at, time) {
  const { now, lines, time: when } = plot.read(time);
  const bold = Object.assign(document.createElement("b"), { textContent: now });
  tip.replaceChildren(bold, ...[when, ...lines].filter(Boolean).map((text) => Object.assign(document.createElement("div"), { textContent: text })));
  tip.hidden = false;
  const [over, all] = [plot.over.getBoundingClientRect(), box.getBoundingClientRect()];
  const x = over.left - all.left + at;
  tip.style.left = `${x + 14 + tip.offsetWidth > all.width ? Math.max(0, x - 14 - tip.offsetWidth) : x + 14}px`;
  tip.style.top = `${over.top - all.top + Math.min(12, over.height / 2)}px`;
}

// From ticks and keys: the same cursor in all charts.
function point(time) {
  pointing = true;
  for (const plot of plots) plot.setCursor(time === null ? { left: -10, top: -10 } : { left: plot.valToPos(time, "x"), top: 5 });
  pointing = false;
  tip.hidden = true;
  readings(time);
}

function step(way) {
  const width = (range.max - range.min) / 60;
  const now = Math.min(data.now, range.max) - 1;
  const time = Math.min(now, Math.max(range.min, (cursor ?? (way > 0 ? range.min - width : now + width)) + way * width));
  point(time);
  const titles = figures.map((figure) => figure.querySelector(".what strong").textContent);
  document.getElementById("spoken").textContent = `${context().said.short(time)}. ${plots.map((plot, index) => `${titles[index]}: ${plot.read(time).now}`).join(". ")}`;
}

// --- another range

function show(min, max) {
  const span = Math.min(MOST_S, Math.max(LEAST_S, max - min));
  const end = Math.min((min + max) / 2 + span / 2, Math.max(first.max, data.now + 60));
  range = { min: end - span, max: end };
  for (const plot of plots) plot.setScale("x", range);
  strip.place();
  later();
}

// The range at whole steps of the building's clock, as buckets have them.
function whole({ min, max }) {
  const size = (data.edges.find(([longest]) => max - min <= longest + 1) ?? [0, 86400])[1];
  const at = (time) => Math.round((time + data.offset) / size) * size - data.offset;
  const begin = at(min);
  return { min: begin, max: begin + Math.max(1, Math.round((max - min) / size)) * size };
}

function later() {
  clearTimeout(timer);
  pending = true;
  timer = setTimeout(() => {
    if (fingers.size) return later();
    pending = false;
    const { min, max } = whole(range);
    const wanted = new URLSearchParams(document.getElementById("bar").dataset.address);
    wanted.delete("range");
    wanted.set("from", new Date(min * 1000).toISOString());
    wanted.set("to", new Date(max * 1000).toISOString());
    history.pushState(null, "", `?${wanted}`);
    load(location.href, "stay");
  }, PAUSE_MS);
}

// The page once more. ``way``: whether the address is pushed, or stays.
async function load(address, way) {
  const mine = ++turn;
  box.setAttribute("aria-busy", "true");
  try {
    const now = await again(address);
    if (mine !== turn) return;
    if (fingers.size) undrawn = now; // what is held is not taken away
    else if (!pending) replace(now, way);
  } catch {
    if (mine === turn) document.getElementById("range-text").textContent = words.unreachable;
  }
  if (mine === turn) box.removeAttribute("aria-busy");
}

function replace(now, way) {
  const focused = document.activeElement?.id;
  const open = [...document.querySelectorAll("#tables details")].map((one) => one.open);
  const field = document.getElementById("range-field");
  const typed = field === document.activeElement && field.value !== field.defaultValue && way === "stay" ? field.value : null;
  for (const id of PIECES) document.getElementById(id).replaceWith(now.getElementById(id));
  document.querySelectorAll("#tables details").forEach((one, index) => { one.open = open[index] ?? one.open; });
  const charts = now.getElementById("charts");
  box.dataset.history = charts.dataset.history;
  box.style.minHeight = `${box.offsetHeight}px`; // the page shall not jump
  for (const plot of plots.splice(0)) plot.destroy();
  box.replaceChildren(...charts.childNodes);
  const bar = document.getElementById("bar");
  if (way === "push" && !document.getElementById("range-error")) {
    first = undefined;
    if (location.search !== `?${bar.dataset.address}`) history.pushState(null, "", `?${bar.dataset.address}`);
  }
  cursor = null;
  draw();
  box.style.minHeight = "";
  if (typed !== null) document.getElementById("range-field").value = typed;
  if (focused && focused !== box.id) document.getElementById(focused)?.focus({ preventScroll: true });
}

addEventListener("popstate", () => {
  clearTimeout(timer);
  pending = false;
  load(location.href, "stay");
});

// --- the ways to it

const pan = (share) => show(range.min + share * (range.max - range.min), range.max + share * (range.max - range.min));
function zoom(factor, around = 0.5) {
  const span = range.max - range.min;
  const at = range.min + around * span;
  show(at - around * span * factor, at + (1 - around) * span * factor);
}
const WAYS = { closer: () => zoom(0.5), wider: () => zoom(2), earlier: () => pan(-1), later: () => pan(1) };
const KEYS = {
  ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": WAYS.closer, "=": WAYS.closer, "-": WAYS.wider, "−": WAYS.wider,
  0: () => show(first.min, first.max), Escape: () => point(null),
};

// A view of its own has other charts; whatever else is in the bar changes these.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("#bar a, #empty a");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  if (link.getAttribute("aria-disabled")) return;
  if (WAYS[link.id]) return WAYS[link.id]();
  if (link.id.startsWith("view-")) return location.assign(link.href);
  load(link.href, "push");
});
document.addEventListener("submit", (event) => {
  if (event.target.id !== "range") return;
  event.preventDefault();
  load(`/history?${new URLSearchParams(new FormData(event.target))}`, "push");
});
box.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey) return;
  const way = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (!(event.shiftKey && way) && !KEYS[event.key]) return;
  event.preventDefault();
  if (event.shiftKey && way) step(way);
  else KEYS[event.key]();
});

// With Ctrl (or two fingers on a touchpad) the wheel zooms, with Shift it moves; alone it scrolls.
function wheel(event, plot) {
  if (!event.ctrlKey && !event.metaKey && !event.shiftKey) return;
  event.preventDefault();
  const area = plot.over.getBoundingClientRect();
  if (event.shiftKey) return pan(Math.sign(event.deltaY || event.deltaX) * 0.1);
  zoom(Math.exp(Math.max(-60, Math.min(60, event.deltaY)) / 240), (event.clientX - area.left) / area.width);
}

// One finger moves the chart, two keep the instants under them; up and down stays the page's.
function touch(over) {
  const at = new Map();
  let began = null;
  const begin = () => { began = { ...range, xs: [...at.values()], area: over.getBoundingClientRect() }; };
  over.addEventListener("pointerdown", (event) => {
    if (event.pointerType !== "touch") return;
    at.set(event.pointerId, event.clientX);
    fingers.add(event.pointerId);
    begin();
  });
  over.addEventListener("pointermove", (event) => {
    if (!at.has(event.pointerId)) return;
    at.set(event.pointerId, event.clientX);
    const { min, max, xs, area } = began;
    const share = (x) => (x - area.left) / area.width;
    const [a, b] = xs.map(share);
    const [p, q] = [...at.values()].map(share);
    if (xs.length === 1) {
      if (Math.abs(p - a) * area.width > 8) show(min + (a - p) * (max - min), max + (a - p) * (max - min));
    } else if (Math.abs(q - p) > 0.02 && (b - a) / (q - p) > 0) {
      const span = ((max - min) * (b - a)) / (q - p);
      const start = min + a * (max - min) - p * span;
      show(start, start + span);
    }
  });
  for (const kind of ["pointerup", "pointercancel"]) {
    over.addEventListener(kind, (event) => {
      if (at.delete(event.pointerId)) begin();
    });
  }
}

for (const kind of ["pointerup", "pointercancel"]) {
  addEventListener(kind, (event) => {
    if (!fingers.delete(event.pointerId) || fingers.size || !undrawn) return;
    const now = undrawn;
    undrawn = null;
    if (!pending) replace(now, "stay");
  });
}

box.tabIndex = 0;
draw();
