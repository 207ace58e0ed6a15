// Follow the journal live: new events appear on top while the box is ticked.
import { on } from "./page.js";

const MOST = 300;
const box = document.getElementById("follow");
const list = document.getElementById("events");
const { kinds, subject } = list?.dataset ?? {};
const shown = new Set(kinds?.split(" "));
let head = Number(list?.dataset.head ?? 0);

if (box && list) {
  const wanted = new URLSearchParams(location.search);
  box.checked = wanted.has("follow");
  box.addEventListener("change", () => {
    wanted.delete("follow");
    if (box.checked) wanted.set("follow", "1");
    if (box.checked) location.search = wanted; // begins with what happened meanwhile
    else history.replaceState(null, "", `?${wanted}`);
  });
}

on("fact", (fact) => {
  if (!box?.checked || fact.row <= head) return;
  head = fact.row;
  if (!shown.has(fact.kind) || (subject && fact.subject !== subject)) return;
  list.querySelector(".none")?.remove();
  const row = list.insertRow(0);
  row.innerHTML = fact.html;
  while (list.rows.length > MOST) list.deleteRow(-1);
});
