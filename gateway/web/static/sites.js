// The page of one site: the stream says that the site has changed, and its pieces are asked for.
// It imports nothing: page.js runs already, under an address of its own.
const board = document.querySelector("[data-site]");
const key = `site:${board.dataset.site}`;
const AGAIN_MS = 3000;
let asking = false, again = false, later = 0;

async function refresh() {
  if (asking) return void (again = true);
  asking = true;
  try {
    const answer = await fetch(board.dataset.parts, { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (answer.status === 401 || answer.status === 404) return location.reload();
    if (!answer.ok) throw new Error(answer.statusText);
    const pieces = await answer.json();
    board.classList.toggle("is-lost", pieces.stale);
    document.dispatchEvent(new CustomEvent("show", { detail: pieces }));
  } catch { // until it is there the page shows what was before
    clearTimeout(later), later = setTimeout(refresh, AGAIN_MS);
  } finally {
    asking = false;
    if (again) again = false, refresh();
  }
}

document.addEventListener("pieces", ({ detail: values }) => {
  if (key in values || "connection" in values) refresh();
});
