// Load the page that was asked for once the gateway answers; never before, or the notice would flicker.
const EVERY_MS = 3000, WITHIN_MS = 5000;

async function answers() {
  try {
    const answer = await fetch("/health/live", { cache: "no-store", signal: AbortSignal.timeout(WITHIN_MS) });
    return answer.ok;
  } catch {
    return false;
  }
}

async function look() {
  if (await answers()) location.reload();
  else setTimeout(look, EVERY_MS);
}

for (const link of document.querySelectorAll(".again")) link.href = location.href;
setTimeout(look, EVERY_MS);
