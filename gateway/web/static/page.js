// Every page works without this. With it: live values, and the door in place.
import { start } from "./live.js";
import { doors } from "./door.js";
import { tell } from "./heard.js";
import { bell } from "./ring.js";

const words = JSON.parse(document.body.dataset.words || "{}");

const say = (key, values = {}) =>
  (words[key] || key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

// Folds stay as somebody has left them; who was told of a call is open where there is room.
const wide = matchMedia("(min-width: 60rem)");

function unfold(part, folds = new Map()) {
  for (const fold of part.querySelectorAll("details[id]")) {
    fold.open = folds.get(fold.id) ?? (fold.open || (wide.matches && part.matches(".calls")));
  }
}

function put(values) {
  for (const [key, value] of Object.entries(values)) {
    if (!key.startsWith("html:")) continue;
    const part = document.querySelector(`[data-part="${CSS.escape(key.slice(5))}"]`);
    if (!part || part.dataset.was === value) continue;
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    const folds = [...part.querySelectorAll("details[id]")].map(({ id, open }) => [id, open]);
    const typed = [...part.querySelectorAll("input[id]")].map(({ id, value }) => [id, value]);
    part.innerHTML = value ?? "";
    unfold(part, new Map(folds));
    for (const [id, text] of typed) { // what somebody is typing stays
      const field = document.getElementById(id);
      if (text && field) field.value = text;
    }
    part.dataset.was = value;
    for (const field of part.querySelectorAll("input[name=csrf]")) field.value = document.body.dataset.csrf;
    if (focused) (document.getElementById(focused) || document.getElementById("main")).focus();
  }
}

// How long a call has lasted, and until it is raised again, by the building's clock.
const ahead = Number(document.body.dataset.now) - Date.now();

function lasting(ms) {
  const all = Math.max(0, Math.floor(ms / 1000));
  const [hours, minutes, seconds] = [Math.floor(all / 3600), Math.floor(all / 60) % 60, all % 60];
  if (hours) return `${hours}\u202fh ${minutes}\u202fmin`;
  return minutes ? `${minutes}\u202fmin ${seconds}\u202fs` : `${seconds}\u202fs`;
}

function tick() {
  const now = Date.now() + ahead;
  for (const one of document.querySelectorAll(".tick")) {
    const { since, until } = one.dataset;
    if (since) one.textContent = say("call.lasts", { duration: lasting(now - since) });
    else one.textContent = until > now ? say("call.again_in", { time: lasting(until - now) }) : say("call.now");
  }
}

// Lost is lost, whether to the gateway or, behind it, to the controller.
let lostSince = null, controlLost = false;
const isDown = () => lostSince !== null || controlLost;
const board = doors(say, isDown);

// What was last heard from the gateway is no evidence of what is so now: no tick without it.
function doubt() {
  for (const item of document.querySelectorAll(".guarantees li.yes, .guarantees li.no")) {
    item.className = "unknown";
    item.querySelector(".mark").textContent = "?";
    item.querySelector(".hidden").textContent = `: ${say("guarantee.unknown")}`;
    item.querySelector("small").textContent = "";
    delete item.closest("[data-part]").dataset.was;
  }
}

// The same for the pill; it says itself since when nothing is known.
function doubtPill() {
  const pill = document.querySelector(".pill");
  pill.className = "pill is-lost";
  pill.lastElementChild.textContent = say("pill.lost", { since: clock(lostSince, "short") });
  pill.querySelector("use").setAttribute("href", pill.querySelector("use").getAttribute("href").replace(/#.*/, "#wifi-off"));
  delete pill.parentNode.dataset.was;
}

function refresh() {
  if (lostSince !== null) doubt(), doubtPill();
  document.body.classList.toggle("is-lost", isDown());
  for (const button of document.querySelectorAll("[data-acts]")) {
    if (isDown()) button.setAttribute("aria-disabled", "true");
    else if (!button.closest("[data-open]")) button.removeAttribute("aria-disabled");
  }
  board.refresh();
}

const clock = (ms, timeStyle) => new Date(ms).toLocaleTimeString(document.documentElement.lang, { timeStyle });

function lost(since) {
  lostSince = since;
  const box = document.getElementById("lost");
  const time = since && clock(since, "medium");
  box.hidden = since === null;
  box.textContent = since === null ? "" : `${say("status.lost", { since: time })} ${say("status.lost_advice")}`;
  refresh();
}

// While nobody has reacted the page rings; its tab says so until the call is over.
const title = document.title;
const ring = document.body.dataset.live ? bell(document.getElementById("ring"), document.getElementById("ring-note"), say) : null;

const OVER_MS = 60_000;
let isCalled = document.querySelector(".call:not(.test)") !== null, overUntil = null;

// A card that goes without a word would leave open whether somebody has been there.
function over(standing) {
  const box = document.getElementById("call-over");
  if (isCalled && !standing) {
    box.textContent = say("call.over");
    clearTimeout(overUntil);
    overUntil = setTimeout(() => { box.hidden = true; box.textContent = ""; }, OVER_MS);
  }
  box.hidden = standing || !box.textContent;
  isCalled = standing;
}

// Whoever has scrolled does not see the card that comes above; a bar leads there.
if (document.body.dataset.live) {
  const seen = new IntersectionObserver(([calls]) => document.body.classList.toggle("call-away", !calls.isIntersecting), {
    rootMargin: "-120px 0px -120px 0px",
  });
  seen.observe(document.getElementById("calls"));
}

function called({ ringing, standing }) {
  ring(ringing);
  over(standing);
  document.title = standing ? `(!) ${say("call.heading")} – ${title}` : title;
}

for (const button of document.querySelectorAll("[data-print]")) {
  button.hidden = false;
  button.addEventListener("click", () => print());
}

// What the pill leads to is folded away while all is well.
function showSystem() {
  const fold = location.hash === "#system" && document.getElementById("system")?.closest("details");
  if (fold) fold.open = true, fold.scrollIntoView();
}
addEventListener("hashchange", showSystem);
showSystem();

// Menus close on Escape and when somebody goes elsewhere.
const menus = () => document.querySelectorAll("details.menu[open]");
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  for (const menu of menus()) {
    if (menu.contains(document.activeElement)) menu.firstElementChild.focus();
    menu.open = false;
  }
});
for (const kind of ["click", "focusin"]) {
  document.addEventListener(kind, (event) => {
    for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
  });
}

document.addEventListener("submit", (event) => {
  const button = event.submitter || event.target.querySelector("[data-acts]");
  if (button?.getAttribute("aria-disabled") === "true") event.preventDefault();
}, true);

// Pieces of the page, as they come over the stream or were asked for: another script hears of the
// former by the event pieces, and has us show the latter by the event show.
function show(values) {
  put(values);
  tick();
  board.update(values);
  refresh();
}

document.addEventListener("show", ({ detail }) => show(detail));

if (document.body.dataset.live) {
  unfold(document.querySelector(".calls"));
  setInterval(tick, 1000);
  tick();
  start(document.body.dataset.live, {
    page(values) {
      if (values.connection) controlLost = values.connection.state !== "ok";
      show(values);
      if (values.calls) called(values.calls);
      tell("page", values);
      document.dispatchEvent(new CustomEvent("pieces", { detail: values }));
    },
    fact: (fact) => tell("fact", fact),
    reset: () => location.reload(),
    lost,
  });
}
