// What the live stream brings, for whichever script listens. It has one address, so that it runs
// once: page.js is loaded under one with a checksum, and would run again if it were imported.
const listeners = { page: [], fact: [] };

export const on = (kind, listener) => listeners[kind].push(listener);

export const tell = (kind, values) => listeners[kind].forEach((listener) => listener(values));
