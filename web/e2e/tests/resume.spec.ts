import { writeFile } from "node:fs/promises";
import { expect, network, open, puts, test } from "../test.js";

test("after a reload the same file for the same place is the same upload", async ({ opened, context, dev, site }, info) => {
  const path = info.outputPath("coat.png");
  await writeFile(path, Buffer.alloc(2 << 20, "coat"));
  await network(context, opened, { sent: 500_000 });
  await opened.setInputFiles("#file", path);
  void opened.evaluate((api) => window.page.upload(window.page.chosen()[0]!, { api, place: "draft/7" }), dev.api).catch(() => {});
  await opened.waitForFunction(() => (window.page.progressOf("coat.png")?.loaded ?? 0) > 0 && window.page.progressOf("coat.png")?.phase === "uploading");
  const { mediaId } = (await opened.evaluate(() => window.page.progressOf("coat.png")))!;
  await open(opened, site.origin());
  await network(context, opened);
  const sent = puts(opened);
  const again = async (place: string) => {
    await opened.setInputFiles("#file", path);
    return opened.evaluate(([api, place]) => window.page.upload(window.page.chosen()[0]!, { api, place }), [dev.api, place] as const);
  };
  expect(await again("draft/7")).toMatchObject({ id: mediaId, state: "UPLOADED" });
  expect(sent.begun).toBe(1);

  expect(await again("draft/7"), "it has landed").toMatchObject({ id: mediaId, state: "UPLOADED" });
  expect(sent.begun, "so it is not sent again").toBe(1);

  const elsewhere = await again("draft/8");
  expect(elsewhere.state).toBe("UPLOADED");
  expect(elsewhere.id).not.toBe(mediaId);
  expect(sent.begun).toBe(2);
});

test("a key of another file is told as such", async ({ opened, dev }) => {
  const outcomes = await opened.evaluate(async (api) => [
    await window.page.upload(window.page.make("a.png", 1000), { api, idempotencyKey: "one-key" }),
    await window.page.upload(window.page.make("b.png", 1001), { api, idempotencyKey: "one-key" }),
  ], dev.api);
  expect(outcomes[0]!.state).toBe("UPLOADED");
  expect(outcomes[1]!.error).toMatchObject({ code: "key_reused", retryable: false });
});
