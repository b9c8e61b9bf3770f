// The calls of passport-docusign 1.3 (passport-oauth2 and oauth below it), without a library:
//   passport.mjs authorize          prints where it sends the browser
//   passport.mjs callback CODE      changes the code for tokens, and prints the profile
import { stringify } from "node:querystring";

const { OAUTH, CLIENT_ID, CLIENT_SECRET, CALLBACK } = process.env;
const [step, code] = process.argv.slice(2);

if (step === "authorize") {
  const query = {
    response_type: "code",
    redirect_uri: CALLBACK,
    scope: ["signature", "extended"].join(","), // its scopeSeparator is a comma
    state: "x7",
    client_id: CLIENT_ID,
  };
  console.log(`${OAUTH}/oauth/auth?${stringify(query)}`);
} else {
  const body = stringify({
    grant_type: "authorization_code",
    redirect_uri: CALLBACK,
    client_id: CLIENT_ID,
    client_secret: CLIENT_SECRET,
    code,
  });
  const headers = { "Content-Type": "application/x-www-form-urlencoded" };
  const answer = await fetch(`${OAUTH}/oauth/token`, { method: "POST", headers, body });
  const tokens = await answer.json();
  const authorization = { Authorization: `Bearer ${tokens.access_token}` };
  const info = await (await fetch(`${OAUTH}/oauth/userinfo`, { headers: authorization })).json();
  const { sub, name, given_name, family_name, created, email, accounts } = info;
  const profile = { sub, name, given_name, family_name, created, email, accounts };
  console.log(JSON.stringify({ refresh: Boolean(tokens.refresh_token), profile }));
}
