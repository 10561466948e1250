// What coatcheck's consumer does, as users of sqs-consumer write it.
//
//   node sqs-consumer.mjs MODE CONSUMERS
//
// MODE single handles one message at a time by handleMessage, batch up to ten by handleMessageBatch and one UPDATE.
// QUEUE_URL names the queue, AWS_ENDPOINT_URL the endpoint, and PGHOST, PGUSER and so on the database.
import { SQSClient } from "@aws-sdk/client-sqs";
import pg from "pg";
import { Consumer } from "sqs-consumer";

const [mode, consumers] = process.argv.slice(2);
const pool = new pg.Pool({ max: 32 });
const sqs = new SQSClient({ useQueueUrlAsEndpoint: false });

function objects(message) {
  return JSON.parse(message.Body).Records.map(({ s3: { object } }) => ({
    ...object,
    key: decodeURIComponent(object.key.replaceAll("+", " ")),
  }));
}

const one = `
  UPDATE coatcheck.media
  SET state = 'uploaded', landed_at = now(), landed_by = 'notification', etag = $3, sequencer = lpad($4, 40, '0'),
    due_at = now() + interval '24 hours', revision = revision + 1
  WHERE key = $1 AND size_bytes = $2 AND state = 'pending'`;

async function handleMessage(message) {
  for (const o of objects(message)) {
    await pool.query({ name: "one", text: one, values: [o.key, o.size, o.eTag, o.sequencer] });
  }
  return message;
}

const many = `
  UPDATE coatcheck.media AS m
  SET state = 'uploaded', landed_at = now(), landed_by = 'notification', etag = e.etag, sequencer = lpad(e.sequencer, 40, '0'),
    due_at = now() + interval '24 hours', revision = m.revision + 1
  FROM unnest($1::text[], $2::bigint[], $3::text[], $4::text[]) AS e (key, size, etag, sequencer)
  WHERE m.key = e.key AND m.size_bytes = e.size AND m.state = 'pending'`;

async function handleMessageBatch(messages) {
  const all = messages.flatMap(objects);
  const column = (name) => all.map((o) => o[name]);
  await pool.query({ name: "many", text: many, values: ["key", "size", "eTag", "sequencer"].map(column) });
  return messages;
}

const handler = mode === "batch" ? { handleMessageBatch } : { handleMessage };
const running = Array.from({ length: Number(consumers) }, () =>
  Consumer.create({ queueUrl: process.env.QUEUE_URL, sqs, batchSize: 10, waitTimeSeconds: 1, ...handler }),
);
for (const c of running) {
  for (const event of ["error", "processing_error", "timeout_error"]) {
    c.on(event, (err) => console.error(event, err.message));
  }
  c.start();
}
process.on("SIGTERM", () => process.exit(0));
