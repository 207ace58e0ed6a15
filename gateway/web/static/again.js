// The same page once more, as the server makes it now: nothing is put together twice.
export async function again(address) {
  const answer = await fetch(address, { headers: { Accept: "text/html" } });
  if (!answer.ok || answer.redirected) throw new Error(`${answer.status}`);
  return new DOMParser().parseFromString(await answer.text(), "text/html");
}

// A message with all the pieces comes whenever a stream begins: what happened before is not in it.
export const begins = (values) => "html:calls" in values && "html:guarantees" in values && "connection" in values;
