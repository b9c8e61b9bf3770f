// Whether a message is DocuSign's: verify_hmac.mjs SECRET SIGNATURE < body, as its guide has it.
import { createHmac, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";

const [secret, signature] = process.argv.slice(2);
const hash = createHmac("sha256", secret).update(readFileSync(0)).digest("base64");
const [made, given] = [Buffer.from(hash), Buffer.from(signature)];
console.log(made.length === given.length && timingSafeEqual(made, given) ? "True" : "False");
