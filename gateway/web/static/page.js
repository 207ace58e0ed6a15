// Every page works without this. With it: live values, and the door in place.
import { start } from "./live.js";
import { doors } from "./door.js";
import { bell } from "./ring.js";

export const words = JSON.parse(document.body.dataset.words || "{}");

const say = (key, values = {}) =>
  (words[key] || key).replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");

function put(values) {
  for (const [key, value] of Object.entries(values)) {
    if (!key.startsWith("html:")) continue;
    const part = document.querySelector(`[data-part="${CSS.escape(key.slice(5))}"]`);
    if (!part || part.dataset.was === value) continue;
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.innerHTML = value ?? "";
    part.dataset.was = value;
    for (const field of part.querySelectorAll("input[name=csrf]")) field.value = document.body.dataset.csrf;
    if (focused) (document.getElementById(focused) || document.getElementById("main")).focus();
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
  pill.className = "pill lost";
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
  box.textContent = since === null ? "" : say("status.lost", { since: time });
  refresh();
}

// While nobody has reacted the page rings, and its tab says so.
const title = document.title;
const ring = document.body.dataset.live ? bell(document.getElementById("ring"), document.getElementById("ring-note")) : null;

function called(ringing) {
  ring(ringing);
  document.title = ringing ? `(!) ${say("call.heading")} – ${title}` : title;
}

const listeners = { page: [], fact: [] };
export const on = (kind, listener) => listeners[kind].push(listener);

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

if (document.body.dataset.live) {
  start(document.body.dataset.live, {
    page(values) {
      if (values.connection) controlLost = values.connection.state === "lost" || values.connection.state === "never";
      put(values);
      if (values.calls) called(values.calls.ringing);
      board.update(values);
      refresh();
      for (const listener of listeners.page) listener(values);
    },
    fact: (fact) => listeners.fact.forEach((listener) => listener(fact)),
    reset: () => location.reload(),
    lost,
  });
}
