// Follow the journal live: new events appear on top while the box is ticked.
//
// Between this page's rows and the stream's first fact something may have happened, and whenever
// a stream begins anew, too. So the page is asked for once more each time: first the stream is
// there, then the rows are read, and what the stream tells meanwhile waits for them.
import { again, begins } from "./again.js";
import { on } from "./page.js";

const MOST = 300;
const box = document.getElementById("follow");
const list = document.getElementById("events");
const note = document.getElementById("followed");
const folded = (text) => text.toLowerCase().replaceAll("ß", "ss");
let waiting = [];
let busy = false, stale = false, streams = false;

const following = () => Boolean(box?.checked && list);

function show(fact) {
  const { kinds, subject, words, head } = list.dataset;
  if (fact.row <= Number(head)) return;
  list.dataset.head = fact.row;
  if (!kinds.split(" ").includes(fact.kind) || (subject && fact.subject !== subject)) return;
  const row = document.createElement("tr");
  row.innerHTML = fact.html;
  const said = row.cloneNode(true);
  for (const link of said.querySelectorAll(".around")) link.remove();
  const text = folded([...said.cells].map((cell) => cell.textContent.trim()).join(" "));
  if (!folded(words).split(" ").every((word) => text.includes(word))) return;
  list.querySelector(".none")?.remove();
  list.prepend(row);
  while (list.rows.length > MOST) list.deleteRow(-1);
}

async function catchUp() {
  stale = true;
  if (busy || !following() || !streams) return;
  busy = true;
  while (stale) {
    stale = false;
    try {
      const now = (await again(location.href)).getElementById("events");
      if (Number(now.dataset.head) > Number(list.dataset.head)) {
        list.replaceChildren(...now.children);
        list.dataset.head = now.dataset.head;
      }
    } catch {
      stale = true;
      await new Promise((done) => setTimeout(done, 1000));
    }
  }
  busy = false;
  for (const fact of waiting.splice(0)) show(fact);
  note.hidden = false;
}

if (box && list) {
  const wanted = new URLSearchParams(location.search);
  box.closest("p").hidden = false;
  box.checked = wanted.has("follow");
  box.addEventListener("change", () => {
    if (box.checked) wanted.set("follow", "1");
    else wanted.delete("follow");
    history.replaceState(null, "", `?${wanted}`);
    note.hidden = true;
    waiting = [];
    if (box.checked) catchUp();
  });
}

on("fact", (fact) => {
  if (!following()) return;
  if (busy || !streams) waiting.push(fact);
  else show(fact);
});
on("page", (values) => {
  if (streams && !begins(values)) return;
  streams = true;
  catchUp();
});
