// The newest page of the logbook follows the journal. What happens does not move what somebody
// reads: entries change in their place, and new ones above the screen leave it where it is.
//
// The stream says that there is something; the page itself is asked for what it is, so that an
// entry looks as the server groups it, and nothing between page and stream is lost.
import { again, begins } from "./again.js";
import { on } from "./heard.js";

const PAUSE_MS = 500;
const TOP_PX = 120;
const log = document.getElementById("logbook");
const box = document.getElementById("live");
const fresh = document.getElementById("fresh");
const said = document.getElementById("fresh-said");
const kinds = new Set(log?.dataset.kinds.split(" ").filter(Boolean));
let busy = false, stale = false, streams = false, count = 0;

const follows = () => Boolean(log && "live" in log.dataset && box?.checked);

// The first entry that is in sight, which shall stay where it is.
function inSight() {
  return [...log.querySelectorAll("li[id^=entry-]")].find((item) => item.getBoundingClientRect().bottom > 0);
}

function take(next) {
  const known = new Map([...log.querySelectorAll("li[id^=entry-]")].map((item) => [item.id, item]));
  const anchor = window.scrollY > TOP_PX ? inSight() : null;
  const was = anchor?.getBoundingClientRect().top;
  let added = 0;
  for (const item of next.querySelectorAll("li[id^=entry-]")) {
    const old = known.get(item.id);
    if (!old) added++;
    if (old && old.dataset.version === item.dataset.version && old.textContent === item.textContent) item.replaceWith(old);
    else if (old?.querySelector("details")?.open) item.querySelector("details")?.setAttribute("open", "");
  }
  const focused = log.contains(document.activeElement) ? document.activeElement.closest("li")?.id : "";
  log.replaceChildren(...next.childNodes);
  log.dataset.head = next.dataset.head;
  if (focused) document.getElementById(focused)?.querySelector("summary, a")?.focus({ preventScroll: true });
  if (anchor) {
    const now = document.getElementById(anchor.id);
    if (now) window.scrollBy({ top: now.getBoundingClientRect().top - was, behavior: "instant" });
    show(count + added);
  } else if (added) said.textContent = text(added);
}

const text = (number) => number === 1 ? log.dataset.freshOne : log.dataset.fresh.replace("{count}", number);

function show(number) {
  count = number;
  fresh.hidden = !number;
  fresh.textContent = text(number);
}

async function refresh() {
  stale = true;
  if (busy || !follows() || !streams) return;
  busy = true;
  while (stale && follows()) {
    stale = false;
    try {
      const next = (await again(location.href)).getElementById("logbook");
      if (next && Number(next.dataset.head) >= Number(log.dataset.head)) take(next);
    } catch {
      stale = true;
    }
    await new Promise((done) => setTimeout(done, PAUSE_MS));
  }
  busy = false;
}

if (box) box.closest("label").hidden = false;
box?.addEventListener("change", () => box.checked && refresh());
fresh?.addEventListener("click", () => {
  show(0);
  window.scrollTo({ top: 0 });
});
window.addEventListener("scroll", () => count && window.scrollY <= TOP_PX && show(0), { passive: true });

on("fact", (fact) => {
  if (fact.row > Number(log?.dataset.head) && (!kinds.size || kinds.has(fact.kind))) refresh();
});
on("page", (values) => {
  if (streams && !begins(values)) return;
  streams = true;
  refresh();
});
