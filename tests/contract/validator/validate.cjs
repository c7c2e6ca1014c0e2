// Prints what is wrong with an AsyncAPI document, a line each, and ends with 1 where there is anything.
// Hints, such as that there is a later version of AsyncAPI, are not faults.
// The parser is found by NODE_PATH: it is installed in .tools, outside of the sources.
const { Parser, fromFile } = require("@asyncapi/parser");

const WARNING = 1;

async function main() {
  const { diagnostics } = await fromFile(new Parser(), process.argv[2]).parse();
  const faults = diagnostics.filter(({ severity }) => severity <= WARNING);
  for (const { code, path, message } of faults) console.log(`${code} ${path.join("/")}: ${message}`);
  process.exit(faults.length ? 1 : 0);
}

main();
