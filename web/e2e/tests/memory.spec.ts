import { readFile, truncate, writeFile } from "node:fs/promises";
import type { Browser } from "@playwright/test";
import { expect, test } from "../test.js";

const size = 200 << 20;

test("a file of 200 MB is never in memory", async ({ opened, browser, dev }, info) => {
  const path = info.outputPath("coat.mp4");
  await writeFile(path, "");
  await truncate(path, size);
  await opened.setInputFiles("#file", path);
  await opened.evaluate((api) => window.page.upload(window.page.make("first.png", 8 << 20), { api }), dev.api); // what it takes anyway

  let outcome: { state?: string } = {};
  const grown = await memory(browser, async () => {
    outcome = await opened.evaluate((api) => window.page.upload(window.page.chosen()[0]!, { api }), dev.api);
  });
  expect(outcome.state).toBe("UPLOADED");
  // The measure sees a file that is in memory: hold this one.
  const held = await memory(browser, () => opened.evaluate(async () => {
    const bytes = new Uint8Array(await window.page.chosen()[0]!.arrayBuffer());
    return bytes.length;
  }));
  console.log(`Chromium grew by ${mb(grown)} while it uploaded ${mb(size)}, and by ${mb(held)} when it held them`);
  expect(held).toBeGreaterThan(size * 0.9);
  expect(grown).toBeLessThan(size * 0.75); // read slices wait for the garbage collector
});

const mb = (bytes: number) => `${Math.round(bytes / (1 << 20))} MiB`;

/** memory is by how much all of Chromium's processes together grow at most, in bytes, while something is done. */
async function memory(browser: Browser, during: () => Promise<unknown>): Promise<number> {
  const session = await browser.newBrowserCDPSession();
  const resident = async () => {
    const { processInfo } = await session.send("SystemInfo.getProcessInfo");
    const sizes = await Promise.all(processInfo.map(async ({ id }) => {
      // Anonymous memory: a mapped file that many share does not count.
      const status = await readFile(`/proc/${id}/status`, "utf8").catch(() => "");
      return ["RssAnon", "RssShmem"].reduce((sum, name) => sum + Number(new RegExp(`${name}:\\s+(\\d+)`).exec(status)?.[1] ?? 0) * 1024, 0);
    }));
    return sizes.reduce((a, b) => a + b, 0);
  };
  const before = await resident();
  let most = before;
  let going = true;
  const watching = (async () => {
    while (going) most = Math.max(most, await resident());
  })();
  await during();
  going = false;
  await watching;
  await session.detach();
  return most - before;
}
