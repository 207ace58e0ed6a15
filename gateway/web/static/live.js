// One stream per browser: the tab that holds the lock listens and tells the others.
const BEAT_MS = 10500; // beats come every 5 s: two are missing
const CUT_MS = 1500;

export function start(url, { page, fact, reset, lost }) {
  const channel = new BroadcastChannel("portier-live");
  let whole = {}; // all pieces as the leader knows them, for tabs that come later
  let leading = false, heard = Date.now(), down = null, source = null, retry = 0;

  function take(kind, data) {
    if (kind === "lost") return mark(data);
    heard = Date.now();
    if (down !== null) mark(null);
    if (kind === "page") {
      Object.assign(whole, data);
      page(data);
    } else if (kind === "fact") fact(data);
    else if (kind === "reset") reset();
  }

  function mark(since) {
    if ((since === null) === (down === null)) return;
    down = since;
    lost(since);
  }

  function tell(kind, data) {
    take(kind, data);
    channel.postMessage({ kind, data });
  }

  channel.onmessage = ({ data: { kind, data } }) => {
    if (kind === "hello") {
      if (leading && Object.keys(whole).length) channel.postMessage({ kind: down ? "lost" : "page", data: down || whole });
    } else if (!leading) take(kind, data);
  };

  function connect() {
    clearTimeout(retry);
    source?.close();
    source = new EventSource(url);
    let cut = 0;
    const fine = () => { clearTimeout(cut); cut = 0; };
    source.onopen = fine;
    source.onerror = () => {
      const since = Date.now();
      cut ||= setTimeout(() => down === null && tell("lost", since), CUT_MS);
      if (source.readyState === EventSource.CLOSED) {
        clearTimeout(retry);
        retry = setTimeout(reconnect, 2000);
      }
    };
    for (const kind of ["page", "fact", "beat", "reset"]) {
      source.addEventListener(kind, (event) => {
        fine();
        tell(kind, JSON.parse(event.data));
      });
    }
  }

  async function reconnect() {
    try {
      const answer = await fetch("/api/v1/me", { cache: "no-store", signal: AbortSignal.timeout(5000) });
      if (answer.status === 401) return location.reload();
    } catch { /* still away: the stream tries again and says so */ }
    connect();
  }

  setInterval(() => {
    if (Date.now() - heard < BEAT_MS) return;
    mark(down ?? heard);
    if (leading && Date.now() - heard > BEAT_MS) {
      heard = Date.now() - BEAT_MS + 5000; // try again in five seconds
      channel.postMessage({ kind: "lost", data: down });
      reconnect();
    }
  }, 500);

  navigator.locks.request("portier-live", () => {
    leading = true;
    connect();
    return new Promise(() => {}); // held until this tab goes
  });
  channel.postMessage({ kind: "hello" });
}
