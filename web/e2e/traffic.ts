// What the operator's window is to show: media in every state, and what goes wrong.
import { AwsClient } from "aws4fetch";
import pg from "pg";
import type { Dev } from "./dev.js";

const signer = new AwsClient({ accessKeyId: "test", secretAccessKey: "test", region: "us-east-1" });
const bucket = "coatcheck-dev";

/** created is a media of so many bytes, PENDING. */
async function created(dev: Dev, sizeBytes: number, fileName = "coat.jpg") {
  return dev.call("UploadService/CreateUpload", { contentType: "image/jpeg", sizeBytes, fileName });
}

export async function pending(dev: Dev, sizeBytes: number): Promise<any> {
  return (await created(dev, sizeBytes)).media;
}

/** uploaded is a media of so many bytes, of which S3's notification has arrived. */
export async function uploaded(dev: Dev, sizeBytes: number): Promise<any> {
  const { media, request } = await created(dev, sizeBytes);
  const put = await fetch(request.url, { method: request.method, headers: request.headers, body: new Uint8Array(sizeBytes) });
  if (!put.ok) throw new Error(`PUT: ${put.status} ${await put.text()}`);
  for (;;) {
    const { media: now } = await dev.call("UploadService/GetUpload", { mediaId: media.id });
    if (now.state === "MEDIA_STATE_UPLOADED") return now;
    await new Promise((again) => setTimeout(again, 50));
  }
}

export async function confirmed(dev: Dev, sizeBytes: number, claim: string): Promise<any> {
  const { id } = await uploaded(dev, sizeBytes);
  return (await dev.call("MediaService/ConfirmMedia", { mediaId: id, claim })).media;
}

/** stray puts an object that no media explains. */
export async function stray(dev: Dev, key: string, sizeBytes: number): Promise<void> {
  const put = await signer.fetch(`${dev.s3}/${bucket}/${key}`, { method: "PUT", body: "x".repeat(sizeBytes), aws: { service: "s3" } });
  if (!put.ok) throw new Error(`PUT: ${put.status} ${await put.text()}`);
}

/** lost deletes an object as something else would. */
export async function lost(dev: Dev, key: string): Promise<void> {
  const gone = await signer.fetch(`${dev.s3}/${bucket}/${key}`, { method: "DELETE", aws: { service: "s3" } });
  if (!gone.ok) throw new Error(`DELETE: ${gone.status} ${await gone.text()}`);
}

/** deadLetter sends a message to the dead-letter queue, as SQS moves one there. */
export async function deadLetter(dev: Dev, body: string): Promise<void> {
  const ask = async (action: string, input: object) => {
    const answer = await signer.fetch(`${dev.s3}/`, {
      method: "POST", body: JSON.stringify(input), aws: { service: "sqs" },
      headers: { "Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": `AmazonSQS.${action}` },
    });
    if (!answer.ok) throw new Error(`${action}: ${answer.status} ${await answer.text()}`);
    return answer.json();
  };
  const { QueueUrl } = await ask("GetQueueUrl", { QueueName: "coatcheck-dev-landings-dead-letters" });
  await ask("SendMessage", { QueueUrl, MessageBody: body });
}

/** reconciled runs a dry reconciliation to its end. */
export async function reconciled(dev: Dev): Promise<any> {
  const { reconcile: { id } } = await dev.call("AdminService/StartReconcile", { dryRun: true });
  for (;;) {
    const { reconcile } = await dev.call("AdminService/GetReconcile", { reconcileId: id });
    if (reconcile.phase === "RECONCILE_PHASE_DONE") return reconcile;
    await new Promise((again) => setTimeout(again, 100));
  }
}

/** query asks dev's database. */
export async function query(dev: Dev, sql: string): Promise<any[]> {
  const client = new pg.Client({ connectionString: dev.database });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

/** metric is the sum of the samples of a metric that have all the labels. */
export async function metric(dev: Dev, name: string, labels: Record<string, string> = {}): Promise<number> {
  const text = await (await fetch(`${dev.api}/metrics`)).text();
  const samples = text.split("\n").filter((line) => line.startsWith(name + "{") || line.startsWith(name + " "));
  const own = samples.filter((line) => Object.entries(labels).every(([label, value]) => line.includes(`${label}="${value}"`)));
  if (own.length === 0) throw new Error(`no sample of ${name} ${JSON.stringify(labels)}`);
  return own.reduce((n, line) => n + Number(line.slice(line.lastIndexOf(" "))), 0);
}
