// The two taps: the first arms this button, the second opens; then we say what the leaf did.
export function doors(say, isLost) {
  const board = new Map();
  const FADES_MS = 20000; // what is over has been read by then
  const armedMs = Number(document.body.dataset.armed) * 1000;

  for (const form of document.querySelectorAll("[data-open]")) {
    const id = form.dataset.open;
    const button = form.querySelector("button");
    const door = {
      form, button,
      label: button.firstChild,
      reason: form.querySelector("[name=reason]"),
      answer: document.getElementById(`answer-${id}`),
      why: document.getElementById(`why-${id}`),
      state: { ok: button.getAttribute("aria-disabled") !== "true", needs_reason: !form.querySelector(".reason").hidden },
      command: "", now: "", timer: 0, armed: false, busy: false, over: false,
    };
    board.set(id, door);
    form.querySelector("[name=arm]")?.remove();
    if (button.classList.contains("armed")) arm(door);
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (isLost() || !door.state.ok || door.busy) return;
      if (!door.armed) return arm(door);
      if (door.state.needs_reason && !door.reason.value.trim()) {
        tell(door, say("door.reason_missing"), "bad");
        return door.reason.focus();
      }
      open(id, door);
    });
  }

  function tell(door, text, mood = "") {
    door.answer.className = `answer ${mood}`;
    door.answer.textContent = text;
  }

  function show(door) {
    door.button.classList.toggle("armed", door.armed);
    door.label.textContent = say(door.armed ? "door.armed_button" : "door.arm_button");
  }

  function arm(door) {
    door.armed = true;
    clearTimeout(door.timer);
    door.timer = setTimeout(() => {
      disarm(door);
      tell(door, say("door.armed_timeout"));
    }, armedMs);
    show(door);
    tell(door, say("door.armed", { door: door.form.dataset.name, seconds: armedMs / 1000 }));
  }

  function disarm(door) {
    clearTimeout(door.timer);
    door.armed = false;
    show(door);
  }

  async function open(id, door) {
    disarm(door);
    door.busy = true;
    tell(door, say("door.asking"));
    try {
      const answer = await fetch(door.form.dataset.address || `/api/v1/doors/${encodeURIComponent(id)}/open`, {
        method: "POST",
        headers: {
          "Content-Type": "application/json",
          "X-CSRF-Token": document.body.dataset.csrf,
          "Idempotency-Key": [...crypto.getRandomValues(new Uint32Array(4))].join("-"),
        },
        body: JSON.stringify({ reason: door.reason.value.trim() }),
        signal: AbortSignal.timeout(6000),
      });
      const told = await answer.json();
      if (answer.status === 401) return location.reload();
      if (told.reason === "second_factor") return location.assign(`/second-factor?next=${encodeURIComponent(location.pathname)}`);
      if (!answer.ok) return tell(door, told.detail || told.title, "bad");
      door.reason.value = "";
      door.command = told.command;
      door.over = false;
      if (told.status === "extended") return tell(door, say("outcome.extended"), "good");
      if (!result(door)) tell(door, say("result.pending"));
    } catch (error) {
      tell(door, say(error.name === "TimeoutError" ? "door.no_answer" : "door.not_sent"), "bad");
    } finally {
      door.busy = false;
    }
  }

  // What the leaf did for our own request; others' requests are in the words above.
  function result(door) {
    const { command, answer, result } = door.state;
    if (!command || command !== door.command) return false;
    if (door.over && result !== "over") door.command = ""; // it moves again, for somebody else
    door.over = result === "over";
    if (!door.command || !answer) return false;
    if (door.answer.textContent !== answer) {
      tell(door, answer, { opened: "good", assumed_open: "good", did_not_open: "bad" }[result]);
      clearTimeout(door.fading);
      if (result === "over") door.fading = setTimeout(() => { door.command = ""; tell(door, ""); }, FADES_MS);
    }
    return true;
  }

  return {
    update(values) {
      for (const [id, door] of board) {
        const state = values[`door:${id}`];
        if (!state) continue;
        door.state = state;
        if (state.name) door.form.dataset.name = state.name;
        const reason = door.form.querySelector(".reason");
        reason.hidden = !state.needs_reason && !("always" in reason.dataset);
        door.why.textContent = state.why;
        // What was said of another state of the door is not true any more.
        if (!result(door) && !door.armed && !door.busy && door.now && door.now !== state.now) tell(door, "");
        door.now = state.now;
      }
    },
    refresh() {
      for (const door of board.values()) {
        const works = door.state.ok && !isLost();
        if (!works && door.armed) disarm(door), tell(door, "");
        if (isLost() && !door.busy && door.answer.textContent) door.command = "", tell(door, ""); // of a state that nobody sees
        if (works) door.button.removeAttribute("aria-disabled");
        else door.button.setAttribute("aria-disabled", "true");
      }
    },
  };
}
