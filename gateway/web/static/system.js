// What a bar says appears beside the pointer; the page is asked again when something has changed.
import { again, begins } from "./again.js";
import { on } from "./heard.js";

const EVERY_MS = 5000;
const tip = document.getElementById("tip");
let asked = 0, streams = false, known = "";

function say(event) {
  const day = event.target.closest?.(".bars g");
  tip.hidden = !day;
  if (!day) return;
  day.querySelector("title")?.remove(); // the browser's own would cover ours
  tip.textContent = day.dataset.text;
  const box = day.getBoundingClientRect();
  const left = Math.min(Math.max(8, box.left + box.width / 2 - tip.offsetWidth / 2), innerWidth - tip.offsetWidth - 8);
  tip.style.left = `${left}px`;
  tip.style.top = `${box.top - tip.offsetHeight - 6 > 0 ? box.top - tip.offsetHeight - 6 : box.bottom + 6}px`;
}

function keep() {
  for (const day of document.querySelectorAll(".bars g")) day.dataset.text = day.querySelector("title")?.textContent ?? day.dataset.text;
}

async function refresh() {
  clearTimeout(asked);
  asked = 0;
  try {
    const next = (await again(location.href)).getElementById("system");
    const box = document.getElementById("system");
    const open = [...box.querySelectorAll("details[open]")].map((one) => one.closest("[id]")?.id + one.className);
    for (const one of next.querySelectorAll("details")) if (open.includes(one.closest("[id]")?.id + one.className)) one.open = true;
    const focused = box.contains(document.activeElement) ? document.activeElement.closest("li[id]")?.id : "";
    box.replaceChildren(...next.childNodes);
    if (focused) document.getElementById(focused)?.querySelector("summary")?.focus({ preventScroll: true });
    keep();
  } catch { /* the next change asks again */ }
}

keep();
addEventListener("pointerover", say);
addEventListener("pointerdown", say);
addEventListener("scroll", () => { tip.hidden = true; }, { passive: true });
on("page", (values) => {
  const first = !streams;
  streams = true;
  const now = values["html:guarantees"];
  if (now === undefined || now === known) return;
  known = now;
  if (!first || begins(values)) asked ||= setTimeout(refresh, first ? 0 : EVERY_MS);
});
