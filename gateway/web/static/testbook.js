// While the gateway waits to see something, look again every second; without a script a link does.
const EVERY_MS = 1000;

async function look() {
  const walk = document.getElementById("walk");
  if (!walk?.hasAttribute("data-watch")) return;
  if (document.hidden) return void setTimeout(look, EVERY_MS);
  try {
    const answer = await fetch(location.pathname, { headers: { Accept: "text/html" } });
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
    const found = fresh.getElementById("walk");
    if (answer.ok && found && !found.hasAttribute("data-watch")) {
      walk.replaceWith(found);
      found.querySelector("button.act")?.focus();
      return;
    }
  } catch {
    // the next second is another chance; the page says itself that the connection is lost
  }
  setTimeout(look, EVERY_MS);
}
setTimeout(look, EVERY_MS);
