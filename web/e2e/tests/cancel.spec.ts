import { expect, network, puts, test } from "../test.js";

test("cancelling ends the PUT, and the service is told", async ({ opened, context, dev }) => {
  await network(context, opened, { sent: 1_000_000 });
  const outcome = await opened.evaluate(
    (api) => window.page.upload(window.page.make("coat.png", 5 << 20), { api, cancelAt: { phase: "uploading", loaded: 1 } }), dev.api);
  expect(outcome.error).toMatchObject({ name: "AbortError", code: "aborted", retryable: false });
  await expect.poll(async () => (await dev.call("UploadService/GetUpload", { mediaId: outcome.error!.mediaId })).media.deleteReason)
    .toBe("DELETE_REASON_CANCELLED");
});

test("cancelling while the file is hashed asks nothing of the service", async ({ opened, dev }) => {
  const calls: string[] = [];
  opened.on("request", (r) => calls.push(r.url()));
  const outcome = await opened.evaluate(
    (api) => window.page.upload(window.page.make("coat.png", 40 << 20), { api, cancelAt: { phase: "hashing", loaded: 1 } }), dev.api);
  expect(outcome.error).toMatchObject({ code: "aborted" });
  expect(calls.filter((url) => url.includes("coatcheck.v1"))).toEqual([]);
});

test("cancelling while CreateUpload is under way cancels what it makes", async ({ opened, dev }) => {
  const sent = puts(opened);
  let made = "";
  await opened.route("**/CreateUpload", async (route) => {
    const answer = await route.fetch();
    made = (await answer.json()).media.id;
    await route.fulfill({ response: answer });
  });
  const outcome = await opened.evaluate(
    (api) => window.page.upload(window.page.make("coat.png", 1000), { api, cancelAt: { phase: "creating", loaded: 0 } }), dev.api);
  expect(outcome.error).toMatchObject({ code: "aborted" });
  await expect.poll(() => made).not.toBe("");
  await expect.poll(async () => (await dev.call("UploadService/GetUpload", { mediaId: made })).media.deleteReason).toBe("DELETE_REASON_CANCELLED");
  expect(sent.begun).toBe(0);
});

test("who walks away is swept", async ({ opened, context, hasty }) => {
  await network(context, opened, { sent: 1000 });
  void opened.evaluate((api) => window.page.upload(window.page.make("coat.png", 90_000), { api }), hasty.api).catch(() => {});
  await opened.waitForFunction(() => window.page.progressOf("coat.png")?.phase === "uploading");
  const { mediaId } = (await opened.evaluate(() => window.page.progressOf("coat.png")))!;
  await opened.goto("about:blank");
  await expect.poll(async () => {
    const { media } = await hasty.call("UploadService/GetUpload", { mediaId });
    return [media.state, media.deleteReason];
  }, { timeout: 20_000 }).toEqual(["MEDIA_STATE_DELETED", "DELETE_REASON_NEVER_UPLOADED"]);
});
