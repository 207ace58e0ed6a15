// The display asks again and again what is so, and by its own clock it knows when it has not been told.
import { bell } from "./ring.js";

const EVERY_MS = 1500, WITHIN_MS = 2000, BLIND_AFTER_MS = 4500, LOOK_MS = 250;
const body = document.body.dataset;
const seen = document.getElementById("seen"), blind = document.getElementById("blind");
const state = document.getElementById("state"), clock = document.getElementById("clock");
const since = document.getElementById("blind-since");
const language = { de: "de-DE", en: "en-GB" }[document.documentElement.lang];

let offset = Number(body.now) - Date.now(); // of the gateway's clock
let heardAt = body.connected === "yes" ? performance.now() : -Infinity; // last evidence, by a clock nobody sets
let isBlind = false, shown = "";

const time = (ms, seconds) => new Date(ms).toLocaleTimeString(language, { timeZone: body.zone, timeStyle: seconds ? "medium" : "short" });

// --- blind or not

function look() {
  const late = performance.now() - heardAt > BLIND_AFTER_MS;
  if (late && !isBlind) {
    isBlind = true;
    const at = heardAt === -Infinity ? Date.now() : Date.now() - (performance.now() - heardAt);
    since.textContent = since.dataset.since.replace("{time}", time(at + offset, true));
    blind.hidden = false;
    seen.inert = seen.hidden = true;
    ring(false);
  }
  if (!isBlind) tick();
}

function tick() {
  const now = Date.now() + offset;
  clock.textContent = time(now);
  for (const one of document.querySelectorAll(".running[data-since]")) {
    const s = Math.max(0, Math.floor((now - Number(one.dataset.since)) / 1000));
    const text = `${Math.floor(s / 60)}:${String(s % 60).padStart(2, "0")} min`;
    if (s < 36_000 && one.dataset.text !== text) {
      one.dataset.plain ??= one.textContent;
      one.dataset.text = text;
      one.textContent = `${one.dataset.plain} · ${text}`;
    }
  }
}

async function ask() {
  try {
    const answer = await fetch(body.state, { cache: "no-store", signal: AbortSignal.timeout(WITHIN_MS) });
    if (answer.status === 401) return location.reload(); // its rights were taken away
    if (answer.ok) take(await answer.json());
  } catch { /* nothing was heard: the clock says when that is too long */ }
  setTimeout(ask, EVERY_MS);
}

function take(told) {
  if (!told.connected) return; // the gateway answers, and does not know what is so
  if (isBlind || told.version !== body.version) return location.reload();
  heardAt = performance.now();
  offset = told.now_utc_ms - Date.now();
  // who is choosing just now is not disturbed, unless something has changed
  if (told.html !== shown) {
    const open = state.querySelector("details[open]")?.closest(".call")?.getAttribute("aria-labelledby");
    const focused = document.activeElement?.closest(".call") ? document.activeElement.textContent : "";
    state.innerHTML = shown = told.html;
    const again = open && state.querySelector(`[aria-labelledby="${CSS.escape(open)}"] details`);
    if (again) again.open = true;
    if (focused) [...state.querySelectorAll("summary, button")].find((one) => one.textContent === focused)?.focus();
  }
  ring(told.ringing);
}

// --- sound

const button = document.getElementById("try-sound"), heard = document.getElementById("heard");
const note = document.getElementById("sound-note");
const hidden = document.createElement("button"), hint = document.createElement("small");
let ringing = false;
const sound = bell(hidden, hint);

function ring(on) {
  ringing = on;
  sound(on);
  if (!on) return;
  // ring.js shows its own button while the browser plays nothing: then it is said here
  note.hidden = hidden.hidden;
  note.textContent = note.dataset.blocked;
}

button.hidden = false;
button.addEventListener("click", () => {
  sound(true);
  heard.hidden = false;
  note.hidden = true;
  setTimeout(() => sound(ringing), 3000);
});
document.getElementById("not-heard").addEventListener("click", () => {
  heard.hidden = true;
  note.hidden = false;
  note.textContent = note.dataset.unheard;
});

// --- the screen stays on

async function stayOn() {
  try {
    await navigator.wakeLock?.request("screen");
    document.body.dataset.awake = navigator.wakeLock ? "yes" : "no";
  } catch {
    document.body.dataset.awake = "no";
  }
}
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && stayOn());

stayOn();
ring(body.ringing === "yes");
look();
setInterval(look, LOOK_MS);
ask();
