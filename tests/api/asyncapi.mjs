// What the parser of AsyncAPI itself says of documents; ends with 1 where one is wrong.
import { Parser } from "@asyncapi/parser";
import { readFileSync } from "node:fs";

let wrong = 0;
for (const file of process.argv.slice(2)) {
  const { document, diagnostics } = await new Parser().parse(readFileSync(file, "utf8"));
  const found = diagnostics.filter((one) => one.code !== "asyncapi-latest-version");
  for (const one of found) console.log(`${file}: ${one.path.join(".")}: ${one.message}`);
  wrong += found.length + (document === undefined);
}
console.log(wrong ? `asyncapi: ${wrong} findings` : "asyncapi: no findings");
process.exit(wrong ? 1 : 0);
