// Calls DocuSign's SDK for Node, of whichever version is installed where this runs (NODE_PATH):
// one call a line of standard input, one answer a line of standard output.
const { createInterface } = require("node:readline");
const { readFileSync } = require("node:fs");
const docusign = require("docusign-esign");

const client = new docusign.ApiClient({ basePath: process.env.BASE });
client.setBasePath(process.env.BASE); // 3.3 takes it from nowhere else

function functions(object) {
  return Object.getOwnPropertyNames(object).filter((name) => typeof object[name] === "function");
}

function operations(name) {
  const api = new docusign[name](client);
  const all = [...functions(api), ...functions(Object.getPrototypeOf(api))];
  return [...new Set(all)].filter((one) => !/ApiClient$|^constructor$/.test(one));
}

// Every generation takes a callback, which also gets the response.
function call({ api, operation, path, body, query }) {
  const options = {};
  for (const [name, value] of Object.entries(query)) {
    options[name.replace(/_(.)/g, (_, letter) => letter.toUpperCase())] = value;
  }
  if (body) {
    const name = body.model[0].toLowerCase() + body.model.slice(1);
    options[name] = docusign[body.model].constructFromObject(body.value);
  }
  const given = Object.keys(options).length > 0 ? [...path, options] : path;
  const target = new docusign[api](client);
  // 3.3 has its options before the callback whether there are any or not.
  while (given.length < target[operation].length - 1) given.push({});
  return new Promise((resolve, reject) => {
    target[operation](...given, (error, value, response) => {
      if (error) return reject(error);
      const raw = response && (response.data || response.body);
      resolve({ value: value === undefined || value === null ? raw : value, raw });
    });
  });
}

async function signIn({ host, key, client: clientId, user }) {
  let token;
  if (client.requestJWTUserToken) {
    client.setOAuthBasePath(host);
    const scopes = ["signature", "impersonation"];
    const made = await client.requestJWTUserToken(clientId, user, scopes, readFileSync(key), 3600);
    token = (made.body || made.data).access_token;
  } else {
    const made = await new Promise((resolve, reject) => {
      client.configureJWTAuthorizationFlow(key, host, clientId, user, 3600, (error, answer) =>
        error ? reject(error) : resolve(answer.body),
      );
    });
    token = made.access_token;
  }
  client.addDefaultHeader("Authorization", `Bearer ${token}`);
  const userinfo = await userInfo(token);
  return { token, userinfo };
}

async function userInfo(token) {
  if (client.requestJWTUserToken) return client.getUserInfo(token);
  const api = new docusign.AuthenticationApi(client);
  const found = await new Promise((resolve, reject) => {
    api.login({}, (error, value) => (error ? reject(error) : resolve(value)));
  });
  const [account] = found.loginAccounts;
  return { sub: account.userId, email: account.email };
}

async function answer(request) {
  if (request.list) return { operations: operations(request.list) };
  if (request.bearer) client.addDefaultHeader("Authorization", `Bearer ${request.bearer}`);
  if (request.bearer) return {};
  try {
    return request.sign_in ? await signIn(request.sign_in) : await call(request);
  } catch (error) {
    const response = error.response;
    if (!response) return { broke: String(error.stack || error).slice(0, 500) };
    return { status: response.status, body: JSON.stringify(response.data || response.body) };
  }
}

(async () => {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await answer(JSON.parse(line)))}\n`);
  }
})();
