// The page of one site: the stream says that the site has changed, and its pieces are asked for.
// It imports nothing: page.js runs already, under an address of its own.
const board = document.querySelector("[data-site]");
const key = `site:${board.dataset.site}`;
let asking = false, again = false;

async function refresh() {
  if (asking) return void (again = true);
  asking = true;
  try {
    const answer = await fetch(board.dataset.parts, { cache: "no-store", signal: AbortSignal.timeout(8000) });
    if (answer.status === 401 || answer.status === 404) return location.reload();
    if (answer.ok) {
      const pieces = await answer.json();
      board.classList.toggle("is-lost", pieces.stale);
      document.dispatchEvent(new CustomEvent("show", { detail: pieces }));
    }
  } catch { /* the stream says when the connection is lost */ } finally {
    asking = false;
    if (again) again = false, refresh();
  }
}

document.addEventListener("pieces", ({ detail: values }) => {
  if (key in values || "connection" in values) refresh();
});
