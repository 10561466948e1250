// How soon the operator's window is there on a slow connection, and how much is sent for it: `npm run paint -w e2e`.
import { expect, test } from "../operator.js";

const lines = {
  "400 kbit/s, 400 ms": { latency: 400, downloadThroughput: 50_000, uploadThroughput: 50_000 },
  "1.6 Mbit/s, 150 ms": { latency: 150, downloadThroughput: 200_000, uploadThroughput: 94_000 },
  "as it is here": undefined,
};

for (const [name, line] of Object.entries(lines)) {
  test(`first paint: ${name}`, async ({ page, context, shop }) => {
    const session = await context.newCDPSession(page);
    await session.send("Network.enable");
    let sent = 0;
    session.on("Network.loadingFinished", (e) => { sent += e.encodedDataLength; });
    if (line) await session.send("Network.emulateNetworkConditions", { offline: false, ...line });
    await page.goto(`${shop.api}/operator/`, { waitUntil: "commit" });
    await expect(page.locator('[data-card="confirmed"] b')).toBeVisible({ timeout: 60_000 });
    const numbers = await page.evaluate(() => performance.now());
    // The canvas is there before what draws on it: a chart is there when something is on it.
    await page.waitForFunction(() => {
      const canvas = document.querySelector("canvas");
      return canvas && canvas.width > 0 && canvas.getContext("2d")!.getImageData(0, 0, canvas.width, canvas.height).data.some((v) => v > 0);
    }, undefined, { timeout: 60_000 });
    const charts = await page.evaluate(() => performance.now());
    const painted = await page.evaluate(() => performance.getEntriesByName("first-contentful-paint")[0]!.startTime);
    const ms = (n: number) => `${(n / 1000).toFixed(2)} s`;
    console.log(`${name}: first contentful paint ${ms(painted)}, numbers ${ms(numbers)}, charts ${ms(charts)}; ${(sent / 1024).toFixed(1)} KiB sent`);
  });
}
