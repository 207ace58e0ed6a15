// Every page works without this. With it: live values, and the door in place.
import { start } from "./live.js";
import { doors } from "./door.js";

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

let lostSince = null;
function lost(since) {
  lostSince = since;
  const box = document.getElementById("lost");
  document.body.classList.toggle("is-lost", since !== null || controlLost);
  box.hidden = since === null;
  const time = since && new Date(since).toLocaleTimeString(document.documentElement.lang, { timeStyle: "medium" });
  box.textContent = since === null ? "" : say("status.lost", { since: time });
  for (const button of document.querySelectorAll("[data-acts]")) {
    if (since !== null) button.setAttribute("aria-disabled", "true");
    else if (!button.closest("[data-open]")) button.removeAttribute("aria-disabled");
  }
  board.lost(since !== null);
}

let controlLost = false;
const board = doors(say, () => lostSince !== null);
const listeners = { page: [], fact: [] };
export const on = (kind, listener) => listeners[kind].push(listener);

document.addEventListener("submit", (event) => {
  const button = event.submitter || event.target.querySelector("[data-acts]");
  if (button?.getAttribute("aria-disabled") === "true") event.preventDefault();
}, true);

if (document.body.dataset.live) {
  start(document.body.dataset.live, {
    page(values) {
      if (values.connection) {
        controlLost = values.connection.state !== "ok";
        document.body.classList.toggle("is-lost", controlLost || lostSince !== null);
      }
      put(values);
      board.update(values);
      if (lostSince !== null) lost(lostSince);
      for (const listener of listeners.page) listener(values);
    },
    fact: (fact) => listeners.fact.forEach((listener) => listener(fact)),
    reset: () => location.reload(),
    lost,
  });
}
