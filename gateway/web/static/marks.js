// What happened, as a lane of ticks below the charts: near ones are one, so that each can be hit.
import { RIGHT, fill, left, number } from "./charts.js";

const SIZE = 24;
const GRAVE = ["call", "alarm", "door"];

const make = (name, values = {}, ...children) => {
  const node = Object.assign(document.createElement(name), values);
  node.append(...children);
  return node;
};

export function marks(box, { data, said, words, range, selected, point }) {
  const list = box.querySelector(".marks");
  if (!list) return { place() {}, cursor() {} };
  const figure = list.closest("figure");
  const panel = make("div", { className: "mark-panel", hidden: true, id: "mark-panel" });
  const line = make("li", { className: "at", hidden: true });
  line.setAttribute("aria-hidden", "true");
  figure.append(panel);

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
    const closer = make("button", { type: "button", textContent: words.closer });
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

  function tick(group, slot, step, width, span) {
    const kind = GRAVE.find((name) => group.some(([, text]) => data.texts[text][0] === name));
    const count = group.reduce((sum, mark) => sum + mark[2], 0);
    const button = make("button", { type: "button", className: `of-${kind}` });
    const middle = (slot + 0.5) * step;
    if (count === 1) {
      const sign = make("i");
      sign.style.left = `${((group[0][0] - range().min) / span) * width - middle + SIZE / 2}px`;
      button.append(sign);
    } else {
      button.append(make("span", { className: "many", textContent: count > 999 ? `${Math.round(count / 1000)}k` : number.format(count) }));
    }
    button.title = `${when(group)}\n${lines(group).slice(0, 5).join("\n")}`;
    button.setAttribute("aria-label", `${when(group)}: ${lines(group).slice(0, 5).join("; ")}`);
    button.setAttribute("aria-expanded", "false");
    button.setAttribute("aria-controls", "mark-panel");
    button.tabIndex = -1;
    button.addEventListener("click", () => open(button, group, span));
    const item = make("li", {}, button);
    item.style.left = `${left() + middle - SIZE / 2}px`;
    return item;
  }

  function place() {
    const { min, max } = range();
    const width = list.clientWidth - left() - RIGHT;
    if (width <= 0) return;
    const most = Math.max(1, Math.floor(width / SIZE));
    const groups = new Map();
    for (const mark of data.marks) {
      const share = (mark[0] - min) / (max - min);
      if (share < 0 || share > 1) continue;
      const slot = Math.min(most - 1, Math.floor(share * most));
      groups.set(slot, [...(groups.get(slot) ?? []), mark]);
    }
    const had = list.contains(document.activeElement);
    panel.hidden = true;
    list.replaceChildren(...[...groups].map(([slot, group]) => tick(group, slot, width / most, width, max - min)), line);
    const first = list.querySelector("button");
    if (first) first.tabIndex = 0;
    if (had) box.focus();
  }

  // One stop of the tab key for all of them; arrows go from one to the next.
  list.addEventListener("keydown", (event) => {
    const way = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (!way || event.shiftKey) return;
    event.stopPropagation();
    event.preventDefault();
    const all = [...list.querySelectorAll("button")];
    const next = all[all.indexOf(document.activeElement) + way];
    if (!next) return;
    for (const one of all) one.tabIndex = one === next ? 0 : -1;
    next.focus();
  });
  list.addEventListener("pointermove", (event) => {
    if (event.pointerType !== "mouse") return;
    const share = (event.clientX - list.getBoundingClientRect().left - left()) / (list.clientWidth - left() - RIGHT);
    point(share < 0 || share > 1 ? null : range().min + share * (range().max - range().min));
  });
  list.addEventListener("pointerleave", () => point(null));

  let width = 0;
  const observer = new ResizeObserver(() => {
    if (list.clientWidth === width) return; // only higher: what somebody has opened stays
    width = list.clientWidth;
    place();
  });
  observer.observe(figure);
  return {
    place,
    cursor(time) {
      line.hidden = time === null;
      if (time !== null) line.style.left = `${left() + ((time - range().min) / (range().max - range().min)) * (list.clientWidth - left() - RIGHT)}px`;
    },
    end: () => observer.disconnect(),
  };
}
