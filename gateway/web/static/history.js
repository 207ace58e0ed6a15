// The chosen range of time: by mouse, fingers, keyboard or buttons, and always in the address.
// The charts are drawn at once; then the same page is asked for with the new range, because
// a nearer look has finer values, and its tables and files shall tell the same.
import { again } from "./again.js";
import { lane, meter, times } from "./charts.js";
import { marks } from "./marks.js";

const LEAST_S = 10, MOST_S = 20 * 365 * 86400, PAUSE_MS = 300;
const box = document.getElementById("charts");
const status = document.getElementById("range-text");
const words = box.dataset;
const address = () => new URLSearchParams(location.search);
let data, plots = [], strip, range, first;
let timer = 0, turn = 0, pending = false, undrawn = false;
const fingers = new Set();

const context = () => ({ data, said: times(data.zone), words, range: () => range, selected: show, first: () => show(first.min, first.max) });

function draw() {
  undrawn = false;
  data = JSON.parse(words.history);
  range = { min: data.from, max: data.to };
  first ??= range;
  box.style.minHeight = `${box.offsetHeight}px`; // the page shall not jump
  strip?.end?.();
  for (const plot of plots) plot.destroy();
  box.replaceChildren();
  plots = data.series.map((series) => (series.changes ? lane : meter)(box, context(), series));
  strip = marks(box, context(), plots);
  strip.place();
  for (const plot of plots) touch(plot.over);
  box.style.minHeight = "";
}

// --- another range

function show(min, max) {
  const span = Math.min(MOST_S, Math.max(LEAST_S, max - min));
  const end = Math.min((min + max) / 2 + span / 2, Math.max(first.max, data.now + 60));
  const precise = (time) => (span > 120 ? Math.round(time) : time);
  range = { min: precise(end - span), max: precise(end) };
  for (const plot of plots) plot.setScale("x", range);
  strip.place();
  later();
}

function later() {
  clearTimeout(timer);
  pending = true;
  timer = setTimeout(() => {
    if (fingers.size) return later();
    pending = false;
    const wanted = address();
    wanted.set("from", new Date(range.min * 1000).toISOString());
    wanted.set("to", new Date(range.max * 1000).toISOString());
    history.pushState(null, "", `?${wanted}`);
    load();
  }, PAUSE_MS);
}

async function load() {
  const mine = ++turn;
  box.setAttribute("aria-busy", "true");
  try {
    const now = await again(location.href);
    if (mine !== turn) return;
    words.history = now.getElementById("charts").dataset.history;
    const open = [...document.querySelectorAll("#tables details")].map((one) => one.open);
    for (const id of ["tables", "range-text", "quick"]) {
      document.getElementById(id).replaceChildren(...now.getElementById(id).childNodes);
    }
    document.querySelectorAll("#tables details").forEach((one, index) => { one.open = open[index] ?? one.open; });
    for (const id of ["from", "to"]) document.getElementById(id).value = now.getElementById(id).value;
    if (fingers.size) undrawn = true; // what is held is not taken away
    else if (!pending) draw();
  } catch {
    if (mine === turn) status.textContent = words.unreachable;
  }
  if (mine === turn) box.removeAttribute("aria-busy");
}

addEventListener("popstate", () => {
  clearTimeout(timer);
  pending = false;
  load();
});

// --- the ways to it

const pan = (share) => show(range.min + share * (range.max - range.min), range.max + share * (range.max - range.min));
const zoom = (factor) => {
  const [middle, half] = [(range.min + range.max) / 2, (factor * (range.max - range.min)) / 2];
  show(middle - half, middle + half);
};
const WAYS = {
  earlier: () => pan(-0.5), later: () => pan(0.5), closer: () => zoom(0.5), wider: () => zoom(2),
  first: () => show(first.min, first.max),
};
const KEYS = { ArrowLeft: () => pan(-0.2), ArrowRight: () => pan(0.2), "+": WAYS.closer, "=": WAYS.closer, "-": WAYS.wider, "−": WAYS.wider, 0: WAYS.first };

document.getElementById("zoom").addEventListener("click", (event) => WAYS[event.target.closest("button")?.value]?.());
box.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

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
    if (!fingers.delete(event.pointerId) || fingers.size || !undrawn || pending) return;
    draw();
  });
}

box.setAttribute("role", "group");
box.tabIndex = 0;
document.getElementById("zoom").hidden = false;
document.getElementById("zoom-help").hidden = false;
draw();
