// A listener in Node: JSON.parse, and xml2js as it is without any option, where every element is a list.
import { createRequire } from "node:module";
import { readFileSync } from "node:fs";

const { parseStringPromise } = createRequire(process.cwd() + "/")("xml2js");
const [kind] = process.argv.slice(2);
const text = readFileSync(0, "utf8");

function ofSim(message) {
  const { event, retryCount, configurationId, uri, apiVersion, generatedDateTime, data } = message;
  const { accountId, envelopeId, envelopeSummary } = data;
  return { event, retryCount, configurationId, uri, apiVersion, generatedDateTime, accountId, envelopeId,
    status: envelopeSummary.status };
}

function ofEnvelope(information) {
  const [status] = information.EnvelopeStatus;
  const recipients = status.RecipientStatuses[0].RecipientStatus.map((one) => ({
    name: one.UserName[0],
    status: one.Status[0],
    routingOrder: Number(one.RoutingOrder[0]),
    // Where it is nil, xml2js has an object of the attributes and no text.
    declined: typeof one.DeclineReason[0] === "string" ? one.DeclineReason[0] : null,
    address: one.RecipientIPAddress[0],
    tabs: (one.TabStatuses?.[0].TabStatus ?? []).map((tab) => [
      tab.TabType[0], tab.CustomTabType?.[0] ?? "", tab.Status[0], tab.TabValue[0]]),
    form: Object.fromEntries((one.FormData?.[0].xfdf[0].fields[0].field ?? []).map(
      (field) => [field.$.name, field.value[0]])),
  }));
  return {
    envelopeId: status.EnvelopeID[0], status: status.Status[0], subject: status.Subject[0],
    timeGenerated: status.TimeGenerated[0], authoritative: status.AuthoritativeCopy[0] === "true",
    recipients,
    fields: Object.fromEntries(status.CustomFields[0].CustomField.map((one) => [one.Name[0], one.Value[0]])),
    documents: status.DocumentStatuses[0].DocumentStatus.map((one) => one.Name[0]),
    zone: information.TimeZone[0], offset: Number(information.TimeZoneOffset[0]),
  };
}

async function read() {
  if (kind === "sim") return ofSim(JSON.parse(text));
  if (kind === "aggregate") {
    const { envelopeId, status, emailSubject } = JSON.parse(text);
    return { envelopeId, status, subject: emailSubject };
  }
  const parsed = await parseStringPromise(text);
  if (kind === "xml") return ofEnvelope(parsed.DocuSignEnvelopeInformation);
  const [update] = parsed["soap:Envelope"]["soap:Body"][0].DocuSignConnectUpdate;
  return ofEnvelope(update.DocuSignEnvelopeInformation[0]);
}

console.log(JSON.stringify(await read()));
