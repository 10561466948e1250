import { utimes, writeFile } from "node:fs/promises";
import { expect, puts, test } from "../test.js";

test("a refused type is told as such, and nothing is sent", async ({ opened, dev }) => {
  const sent = puts(opened);
  const outcome = await opened.evaluate((api) => window.page.upload(window.page.make("coat.html", 1000, "text/html"), { api }), dev.api);
  expect(outcome.error).toMatchObject({ name: "UploadError", code: "type_refused", retryable: false, field: "contentType" });
  expect(outcome.error!.message).toContain("image/*");
  expect(sent.begun).toBe(0);
});

test("a file that is too large is told as such", async ({ opened, hasty }) => {
  const outcome = await opened.evaluate((api) => window.page.upload(window.page.make("coat.png", 100_001), { api }), hasty.api);
  expect(outcome.error).toMatchObject({ code: "size_refused", retryable: false, field: "sizeBytes" });
  expect(outcome.error!.message).toContain("100000");
});

test("content that is not that of the checksum is refused by S3, not tried again, and given up", async ({ opened, dev }) => {
  const sent = puts(opened);
  await opened.route(`${dev.s3}/**`, async (route) => {
    if (route.request().method() !== "PUT") return route.continue();
    await route.continue({ postData: Buffer.alloc(1000, "x") });
  });
  const outcome = await opened.evaluate((api) => window.page.upload(window.page.make("coat.png", 1000), { api }), dev.api);
  expect(outcome.error).toMatchObject({ code: "file_changed", retryable: false });
  expect(sent.begun).toBe(1);
  await expect.poll(async () => (await dev.call("UploadService/GetUpload", { mediaId: outcome.error!.mediaId })).media.deleteReason)
    .toBe("DELETE_REASON_CANCELLED");
});

test("a file that was changed since it was chosen is told as such", async ({ opened, dev }, info) => {
  const path = info.outputPath("coat.png");
  await writeFile(path, Buffer.alloc(1000, "a"));
  await opened.setInputFiles("#file", path);
  await change(path);
  const outcome = await opened.evaluate((api) => window.page.upload(window.page.chosen()[0]!, { api }), dev.api);
  expect(outcome.error).toMatchObject({ code: "file_changed", retryable: false });
});

test("a file that is changed between hashing and sending is told as such", async ({ opened, dev }, info) => {
  const path = info.outputPath("coat.png");
  await writeFile(path, Buffer.alloc(1000, "a"));
  await opened.setInputFiles("#file", path);
  await opened.route("**/CreateUpload", async (route) => {
    await change(path);
    await route.continue();
  });
  const outcome = await opened.evaluate((api) => window.page.upload(window.page.chosen()[0]!, { api }), dev.api);
  expect(outcome.error).toMatchObject({ code: "file_changed", retryable: false });
});

/** change writes other content. Chromium tells a change by the second of the file's time. */
async function change(path: string): Promise<void> {
  await writeFile(path, Buffer.alloc(1000, "b"));
  const later = Date.now() / 1000 + 5;
  await utimes(path, later, later);
}
