// The lives of alarms are in the journal: they are asked for again when one of them goes on.
import { again, begins } from "./again.js";
import { on } from "./heard.js";

const box = document.getElementById("lives");
let asked = false, wanted = false;

async function refresh() {
  wanted = true;
  if (asked) return;
  asked = true;
  while (wanted) {
    wanted = false;
    try {
      const now = (await again(location.href)).getElementById("lives").innerHTML;
      if (now.trim() !== box.innerHTML.trim() && !box.contains(document.activeElement)) box.innerHTML = now;
    } catch { /* the next fact, or the next stream, asks again */ }
  }
  asked = false;
}

on("fact", (fact) => fact.kind.startsWith("alarm_") && refresh());
on("page", (values) => begins(values) && refresh());
