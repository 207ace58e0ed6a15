// Registers this browser for push messages, tries it at once, and says what really came of it.
const card = document.getElementById("devices");
const words = JSON.parse(card.dataset.pushWords);
const note = document.getElementById("device-note"), add = document.getElementById("device-add");
const ARRIVES_WITHIN_MS = 20_000;

function say(text, mood = "") {
  note.hidden = false;
  note.className = `answer ${mood}`;
  note.textContent = text;
}

async function ask(method, path, body) {
  const answer = await fetch(path, {
    method,
    headers: { "X-CSRF-Token": document.body.dataset.csrf, "Content-Type": "application/json" },
    body: body && JSON.stringify(body),
  });
  const told = answer.status === 204 ? {} : await answer.json();
  if (!answer.ok) throw new Error(words[told.reason] || told.detail || words.failed);
  return told;
}

async function idOf(endpoint) {
  const hash = await crypto.subtle.digest("SHA-256", new TextEncoder().encode(endpoint));
  return [...new Uint8Array(hash)].map((byte) => byte.toString(16).padStart(2, "0")).join("").slice(0, 32);
}

function bytes(text) {
  const plain = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  return Uint8Array.from(plain, (letter) => letter.charCodeAt(0));
}

const same = (a, b) => a && a.byteLength === b.length && new Uint8Array(a).every((byte, at) => byte === b[at]);

// The service worker says when a message has arrived here: that is the only evidence there is.
let arrived = null;
navigator.serviceWorker?.addEventListener("message", ({ data }) => {
  if (data?.kind === "push" && data.of === "test") {
    arrived?.();
    say(words.arrived, "good");
    note.dataset.arrived = "true";
  }
});

async function tryOut(id) {
  say(words.testing);
  const comes = new Promise((done) => { arrived = done; }).then(() => true);
  const { taken, reason } = await ask("POST", `/api/v1/me/devices/${id}/test`);
  if (!taken) return say(`${words.failed} ${words[`reason.${reason}`] || reason}`, "bad");
  if (note.dataset.arrived) return;
  say(words.taken);
  const late = new Promise((done) => setTimeout(done, ARRIVES_WITHIN_MS)).then(() => false);
  if (!(await Promise.race([comes, late]))) say(words.late, "bad");
}

async function register() {
  if ((await Notification.requestPermission()) !== "granted") return say(words.denied, "bad");
  const worker = await navigator.serviceWorker.ready;
  const key = bytes(card.dataset.pushKey);
  let made = await worker.pushManager.getSubscription();
  if (made && !same(made.options.applicationServerKey, key)) {
    await made.unsubscribe(); // of another installation: its messages would not come from here
    made = null;
  }
  made ||= await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
  const { endpoint, keys } = made.toJSON();
  const device = await ask("POST", "/api/v1/me/devices", { endpoint, p256dh: keys.p256dh, auth: keys.auth });
  await tryOut(device.id);
}

async function start() {
  if (!("PushManager" in window) || !("Notification" in window)) return say(words.unsupported);
  const worker = await navigator.serviceWorker.getRegistration("/");
  const made = await worker?.pushManager.getSubscription();
  const id = made ? await idOf(made.endpoint) : "";
  const row = id && card.querySelector(`[data-device="${id}"]`);
  if (row) row.querySelector(".this-device").hidden = false;
  else add.hidden = false;
  for (const form of card.querySelectorAll("[data-device] form")) {
    form.addEventListener("submit", async (event) => {
      const own = form.closest("[data-device]").dataset.device;
      if (event.submitter?.value === "remove" && own === id) await made.unsubscribe().catch(() => {});
      if (event.submitter?.value !== "test") return;
      event.preventDefault();
      delete note.dataset.arrived;
      tryOut(own).catch((error) => say(error.message, "bad"));
    });
  }
  if (Notification.permission === "denied") say(words.denied, "bad");
}

add?.addEventListener("click", async () => {
  add.setAttribute("aria-disabled", "true");
  try {
    await register();
    const answer = await fetch("/account", { cache: "no-store" });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("#devices .rows");
    const old = card.querySelector(".rows") || card.querySelector("p:last-child");
    if (fresh) old.replaceWith(fresh);
    add.hidden = true;
    start();
  } catch (error) {
    say(`${words.failed} ${error.message}`, "bad");
  }
  add.removeAttribute("aria-disabled");
});

if (add) start().catch(() => say(words.unsupported));
