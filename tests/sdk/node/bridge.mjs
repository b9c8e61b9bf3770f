// Calls DocuSign's SDK for the tests: one call a line of standard input, one answer a line of
// standard output. A model goes out with the names of the SDK's classes that it is made of.
import { createInterface } from "node:readline";
import docusign from "docusign-esign";

const client = new docusign.ApiClient({ basePath: process.env.BASE });
client.addDefaultHeader("Authorization", `Bearer ${process.env.TOKEN}`);

const classes = Object.entries(docusign).filter(([, found]) => typeof found === "function");

function className(value) {
  return classes.find(([, found]) => value instanceof found)?.[0];
}

function models(value) {
  if (value === null || typeof value !== "object") return [];
  return [className(value), ...Object.values(value).flatMap(models)].filter(Boolean);
}

function operations(api) {
  return Object.keys(new docusign[api](client)).filter((name) => !/ApiClient$|^apiClient$/.test(name));
}

// The SDK answers by a promise, or by a callback, which also gets the response.
function call({ api, operation, path, options, style }) {
  const target = new docusign[api](client);
  for (const [name, { model, value }] of Object.entries(options.bodies)) {
    options.query[name] = docusign[model].constructFromObject(value);
  }
  const given = Object.keys(options.query).length > 0 ? [...path, options.query] : path;
  if (style === "promise") return target[operation](...given).then((value) => ({ value }));
  return new Promise((resolve, reject) => {
    target[operation](...given, (error, value, response) =>
      error ? reject(error) : resolve({ value, raw: response.data }),
    );
  });
}

async function answer(request) {
  if (request.list) return { operations: operations(request.list) };
  try {
    const { value, raw } = await call(request);
    return { value, raw, models: models(value) };
  } catch (error) {
    if (!error.response) return { broke: error.stack };
    return { status: error.response.status, body: error.response.data };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
