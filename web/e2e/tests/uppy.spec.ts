import { expect, network, test } from "../test.js";

// What the two ways have in common: a product's page as its user sees it, with the real Uppy.
for (const way of ["the plugin", "@uppy/aws-s3 as in the README"] as const) {
  test(`Uppy uploads by ${way}, and waits until they have landed`, async ({ opened, dev }) => {
    const outcome = await opened.evaluate(async ([api, way]) => {
      const own = way === "the plugin" ? window.page.startUppy(api) : undefined;
      const aws = own ? undefined : window.page.startAwsS3(api);
      const uppy = (own ?? aws!.uppy) as NonNullable<typeof aws>["uppy"];
      let progress = 0;
      uppy.on("upload-progress", () => progress++);
      for (const name of ["a.png", "b.png", "c.png"]) uppy.addFile({ name, type: "image/png", data: window.page.make(name, 300_000) });
      const result = await uppy.upload();
      return {
        failed: result!.failed!.map((f) => f.error),
        mediaIds: result!.successful!.map((f) => aws?.mediaIds.get(f.id) ?? (f.response!.body as unknown as { mediaId: string }).mediaId),
        progress,
      };
    }, [dev.api, way] as const);
    expect(outcome.failed).toEqual([]);
    expect(new Set(outcome.mediaIds).size).toBe(3);
    expect(outcome.progress).toBeGreaterThanOrEqual(3);
    for (const mediaId of outcome.mediaIds) {
      const { media } = await dev.call("UploadService/GetUpload", { mediaId });
      expect(media).toMatchObject({ state: "MEDIA_STATE_UPLOADED", sizeBytes: "300000", contentType: "image/png" });
    }
  });
}

test("Uppy tells what was refused, and a file that is removed is cancelled", async ({ opened, context, dev }) => {
  const refused = await opened.evaluate(async (api) => {
    const uppy = window.page.startUppy(api);
    uppy.addFile({ name: "a.html", type: "text/html", data: window.page.make("a.html", 1000, "text/html") });
    const result = await uppy.upload();
    return { successful: result!.successful!.length, errors: result!.failed!.map((f) => f.error) };
  }, dev.api);
  expect(refused.successful).toBe(0);
  expect(refused.errors[0]).toContain("not allowed here");

  await network(context, opened, { sent: 500_000 });
  const created = opened.waitForResponse("**/CreateUpload");
  const removed = opened.evaluate(async (api) => {
    const uppy = window.page.startUppy(api);
    const id = uppy.addFile({ name: "b.png", type: "image/png", data: window.page.make("b.png", 2 << 20) });
    uppy.on("upload-progress", (_, { bytesUploaded }) => { if (bytesUploaded) uppy.removeFile(id); });
    await uppy.upload();
  }, dev.api);
  const { media } = await (await created).json();
  await removed;
  await expect.poll(async () => (await dev.call("UploadService/GetUpload", { mediaId: media.id })).media.deleteReason).toBe("DELETE_REASON_CANCELLED");
});

test("a retry by Uppy takes up the same media", async ({ opened, dev }) => {
  const created: string[] = [];
  opened.on("response", async (r) => { if (r.url().endsWith("/CreateUpload") && r.request().method() === "POST") created.push((await r.json()).media.id); });
  let refuse = true;
  await opened.route(`${dev.s3}/**`, (route) => (refuse && route.request().method() === "PUT" ? route.abort() : route.continue()));
  await opened.evaluate(async (api) => {
    window.page.client(api, 1); // so that the client does not try again itself
    const uppy = window.page.startUppy(api);
    uppy.addFile({ name: "a.png", type: "image/png", data: window.page.make("a.png", 1000) });
    const first = await uppy.upload();
    (window as unknown as { uppy: typeof uppy }).uppy = uppy;
    if (first!.failed!.length !== 1) throw new Error("it was to fail");
  }, dev.api);
  refuse = false;
  const again = await opened.evaluate(async () => {
    const { uppy } = window as unknown as { uppy: ReturnType<typeof window.page.startUppy> };
    const result = await uppy.retryAll();
    return result!.successful!.map((f) => f.response!.body!.mediaId);
  });
  expect(again.length).toBe(1);
  expect(new Set([...created, ...again]).size).toBe(1);
});
