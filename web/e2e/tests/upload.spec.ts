import { createHash } from "node:crypto";
import { expect, network, puts, test } from "../test.js";

test("a file is uploaded, with progress, and is there byte for byte", async ({ opened, context, dev }) => {
  const size = 20 << 20;
  await network(context, opened, { sent: 20_000_000 });
  const calls: string[] = [];
  opened.on("request", (r) => { if (r.method() === "POST") calls.push(r.url().split("/").at(-1)!); });
  const outcome = await opened.evaluate(([api, size]) => window.page.upload(window.page.make("coat.png", size), { api, metadata: { from: "test" } }), [dev.api, size] as const);

  expect(outcome.error).toBeUndefined();
  expect(outcome.state).toBe("UPLOADED");
  expect(calls, "the stream tells when it has landed").toEqual(["CreateUpload", "WatchUpload"]);
  const phases = outcome.progress.map((p) => p.phase).filter((phase, i, all) => phase !== all[i - 1]);
  expect(phases).toEqual(["queued", "hashing", "creating", "uploading", "waiting", "uploaded"]);
  for (const phase of ["hashing", "uploading"]) {
    const told = outcome.progress.filter((p) => p.phase === phase);
    expect(told.length, `${phase} is told of several times`).toBeGreaterThan(3);
    expect(told.every((p, i) => p.loaded >= (told[i - 1]?.loaded ?? 0))).toBe(true);
    expect(told.at(-1)).toMatchObject({ loaded: size, total: size });
  }
  expect(outcome.progress.filter((p) => p.phase !== "queued" && p.phase !== "hashing" && p.phase !== "creating").every((p) => p.mediaId === outcome.id)).toBe(true);

  const { media } = await dev.call("UploadService/GetUpload", { mediaId: outcome.id });
  expect(media).toMatchObject({ state: "MEDIA_STATE_UPLOADED", contentType: "image/png", fileName: "coat.png", sizeBytes: String(size), metadata: { from: "test" } });
  await dev.call("MediaService/ConfirmMedia", { mediaId: outcome.id, claim: "post/1" });
  const { request } = await dev.call("MediaService/CreateDownload", { mediaId: outcome.id });
  const landed = createHash("sha256").update(Buffer.from(await (await fetch(request.url)).arrayBuffer())).digest("base64");
  expect(landed).toBe(media.checksumSha256);
});

test("the page goes on while a file is hashed, in a worker", async ({ opened, dev }) => {
  const workers: string[] = [];
  opened.on("worker", (w) => workers.push(w.url()));
  const outcome = await opened.evaluate((api) => window.page.upload(window.page.make("coat.png", 60 << 20), { api }), dev.api);
  expect(outcome.state).toBe("UPLOADED");
  expect(workers).toHaveLength(1);
  expect(outcome.turns).toBeGreaterThan(10); // on the page, all at once, there would be none
});

test("a file without a type is an octet stream, and an empty one is refused here", async ({ opened, dev }) => {
  const outcome = await opened.evaluate((api) => window.page.upload(window.page.make("coat", 1000, ""), { api }), dev.api);
  expect(outcome.state).toBe("UPLOADED");
  const { media } = await dev.call("UploadService/GetUpload", { mediaId: outcome.id });
  expect(media.contentType).toBe("application/octet-stream");

  const empty = await opened.evaluate((api) => window.page.upload(new File([], "empty.png", { type: "image/png" }), { api }), dev.api);
  expect(empty.error).toMatchObject({ code: "empty_file", retryable: false });
});

test("20 files at once: 4 PUTs at a time, and one stream", async ({ opened, dev }) => {
  const sent = puts(opened);
  const streams = { now: 0, most: 0 };
  opened.on("request", (r) => { if (r.url().endsWith("/WatchUpload") && r.method() === "POST") streams.most = Math.max(streams.most, ++streams.now); });
  const ended = (r: { url(): string; method(): string }) => { if (r.url().endsWith("/WatchUpload") && r.method() === "POST") streams.now--; };
  opened.on("requestfinished", ended);
  opened.on("requestfailed", ended);

  const outcomes = await opened.evaluate((api) => {
    const files = Array.from({ length: 20 }, (_, i) => window.page.make(`coat-${i}.png`, 200_000 + i));
    return Promise.all(files.map((file) => window.page.upload(file, { api })));
  }, dev.api);
  expect(outcomes.map((o) => o.state)).toEqual(Array(20).fill("UPLOADED"));
  expect(new Set(outcomes.map((o) => o.id)).size).toBe(20);
  expect(sent.begun).toBe(20);
  expect(sent.most).toBeLessThanOrEqual(4);
  expect(sent.most).toBeGreaterThan(1);
  expect(streams.most, "a stream that is replaced may be seen to end after the next has begun").toBeLessThanOrEqual(2);
});
