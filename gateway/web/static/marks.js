// What happened, as buttons over the charts: near ones are one, so that every one can be hit.
import { fill, number } from "./charts.js";

const SIZE = 44;
const SIGNS = { call: "!", alarm: "▲", door: "●" };
const GRAVE = ["call", "alarm", "door"];

const make = (name, values = {}, ...children) => {
  const node = Object.assign(document.createElement(name), values);
  node.append(...children);
  return node;
};

export function marks(box, { data, said, words, range, selected }, plots) {
  if (!data.marks.length) return { place() {} };
  const total = data.marks.reduce((sum, mark) => sum + mark[2], 0);
  const list = make("ol", { className: "marks" });
  const panel = make("div", { className: "mark-panel", hidden: true, id: "mark-panel" });
  const figure = make("figure", { className: "strip" }, make("figcaption", {
    textContent: fill(words.strip, { count: number.format(total) }),
  }), list, panel);
  box.prepend(figure);

  // How often what happened, the gravest first.
  function summed(group) {
    const times = new Map();
    for (const [, text, count] of group) times.set(text, (times.get(text) ?? 0) + count);
    return [...times].sort(([a], [b]) => GRAVE.indexOf(data.texts[a][0]) - GRAVE.indexOf(data.texts[b][0]));
  }

  const when = (group) => {
    const [start, end] = [said.full(group[0][0]), said.full(group.at(-1)[0])];
    return start === end ? start : fill(words.span, { start, end });
  };
  const lines = (group) => summed(group).map(([text, count]) =>
    count > 1 ? `${data.texts[text][1]}, ${fill(words.number, { count: number.format(count) })}` : data.texts[text][1]);

  function open(button, group, width) {
    for (const other of list.querySelectorAll("[aria-expanded=true]")) other.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-expanded", "true");
    const [start, end] = [group[0][0], group.at(-1)[0]];
    const address = new URLSearchParams({
      from: new Date(Math.floor(start) * 1000).toISOString(), to: new Date((Math.floor(end) + 1) * 1000).toISOString(),
      ...(data.subject && { subject: data.subject }),
    });
    const closer = make("button", { type: "button", textContent: words.zoomMark });
    closer.addEventListener("click", () => {
      box.focus();
      const middle = (start + end) / 2;
      const half = Math.max((end - start) * 0.75, width / 8, 60);
      selected(middle - half, middle + half);
    });
    panel.hidden = false;
    panel.replaceChildren(
      make("div", {}, make("p", { className: "when", textContent: when(group) }),
        make("ul", {}, ...lines(group).map((text) => make("li", { textContent: text })))),
      make("p", {}, make("a", { className: "button", href: `/events?${address}`, textContent: words.events }), " ", closer),
    );
    panel.firstChild.setAttribute("role", "status");
  }

  function place() {
    const { min, max } = range();
    const within = plots[0]?.over.getBoundingClientRect() ?? list.getBoundingClientRect();
    if (!within.width) return;
    const left = within.left - list.getBoundingClientRect().left;
    const most = Math.max(1, Math.floor(within.width / SIZE));
    const groups = new Map();
    for (const mark of data.marks) {
      const share = (mark[0] - min) / (max - min);
      if (share < 0 || share > 1) continue;
      const slot = Math.min(most - 1, Math.floor(share * most));
      groups.set(slot, [...(groups.get(slot) ?? []), mark]);
    }
    const had = list.contains(document.activeElement);
    panel.hidden = true;
    list.replaceChildren(...[...groups].map(([slot, group]) => {
      const kind = GRAVE.find((name) => group.some(([, text]) => data.texts[text][0] === name));
      const count = group.reduce((sum, mark) => sum + mark[2], 0);
      const button = make("button", { type: "button", className: `of-${kind}` });
      button.append(make("span", { textContent: SIGNS[kind] }), count > 1 ? number.format(count) : "");
      button.firstChild.setAttribute("aria-hidden", "true");
      button.setAttribute("aria-label", `${when(group)}: ${lines(group).slice(0, 5).join("; ")}`);
      button.setAttribute("aria-expanded", "false");
      button.setAttribute("aria-controls", "mark-panel");
      button.addEventListener("click", () => open(button, group, max - min));
      const item = make("li", {}, button);
      item.style.left = `${left + (slot + 0.5) * (within.width / most) - SIZE / 2}px`;
      return item;
    }));
    if (had) box.focus();
  }

  let width = 0;
  const observer = new ResizeObserver(() => {
    if (list.clientWidth === width) return; // only higher: what somebody has opened stays
    width = list.clientWidth;
    place();
  });
  observer.observe(figure);
  return { place, end: () => observer.disconnect() };
}
