import { resolve } from "node:path";
import { startSite } from "../site.js";
import { expect, test } from "../test.js";

test("examples/browser: a form and fetch", async ({ page, dev }) => {
  const site = await startSite(resolve(import.meta.dirname, "../../../examples/browser"));
  try {
    await page.goto(`${site.origin()}/?api=${dev.api}`);
    await page.setInputFiles("input", { name: "coat.png", mimeType: "image/png", buffer: Buffer.alloc(1000, "a") });
    await page.click("button");
    await expect(page.locator("output")).toHaveText(/^uploaded: media /);
    const mediaId = (await page.locator("output").textContent())!.split(" ").at(-1);
    await expect.poll(async () => (await dev.call("UploadService/GetUpload", { mediaId })).media.state).toBe("MEDIA_STATE_UPLOADED");

    await page.setInputFiles("input", { name: "coat.html", mimeType: "text/html", buffer: Buffer.alloc(1000, "a") });
    await page.click("button");
    await expect(page.locator("output")).toContainText("not allowed here");
  } finally {
    await site.stop();
  }
});
