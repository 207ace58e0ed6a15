// A call rings while nobody has reacted. Browsers play no sound before the first gesture: until
// then a button asks for it. Of several tabs the one that may play rings, and only one.
const BEAT_MS = 1000;

export function bell(button, note, say) {
  let sound = null, ringing = false, timer = 0, release = null, waiting = null;

  const allowed = () => sound?.state === "running";

  async function allow() {
    sound ||= new AudioContext();
    try { await sound.resume(); } catch { /* not yet */ }
    refresh();
  }

  function tone(at, hertz) {
    const voice = sound.createOscillator(), volume = sound.createGain();
    voice.frequency.value = hertz;
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(0.4, at + 0.02);
    volume.gain.setValueAtTime(0.4, at + 0.25);
    volume.gain.linearRampToValueAtTime(0, at + 0.3);
    voice.connect(volume).connect(sound.destination);
    voice.start(at);
    voice.stop(at + 0.32);
  }

  function beat() {
    if (!allowed()) return refresh();
    tone(sound.currentTime, 880);
    tone(sound.currentTime + 0.4, 660);
  }

  // The places where the sound can be tried before a call.
  const places = document.querySelectorAll("[data-sound]");

  function refresh() {
    for (const place of places) {
      place.hidden = false;
      place.classList.toggle("sounds", Boolean(allowed()));
      place.querySelector("[data-sound-state]").textContent = say(allowed() ? "sound.on" : "sound.off");
    }
    button.hidden = note.hidden = !ringing || allowed();
    document.body.classList.toggle("is-ringing", Boolean(timer));
    if (ringing && allowed() && !waiting) {
      waiting = new AbortController();
      navigator.locks.request("portier-ring", { signal: waiting.signal }, () => {
        beat();
        timer = setInterval(beat, BEAT_MS);
        document.body.classList.add("is-ringing");
        return new Promise((done) => { release = done; });
      }).catch(() => {});
    } else if (!ringing && waiting) {
      waiting.abort();
      clearInterval(timer);
      timer = 0;
      release?.();
      waiting = release = null;
      document.body.classList.remove("is-ringing");
    }
  }

  button.addEventListener("click", allow);
  for (const place of places) {
    place.querySelector("button").addEventListener("click", async () => {
      await allow();
      if (allowed() && !timer) beat();
    });
  }
  refresh();
  document.addEventListener("click", allow, { once: true }); // not at its beginning: the page would move below it
  document.addEventListener("keydown", allow, { once: true });
  return (on) => {
    ringing = on;
    refresh();
  };
}
