import { test } from "../test.js";

// What is served by the binary itself, on 400 kbit/s with 400 ms to the first byte of each answer. `npm run paint` reports it.
for (const path of ["/"]) {
  test(`first paint of ${path} on a slow connection`, async ({ page, context, dev }) => {
    const session = await context.newCDPSession(page);
    await session.send("Network.enable");
    await session.send("Network.emulateNetworkConditions", { offline: false, latency: 400, downloadThroughput: 50_000, uploadThroughput: 50_000 });
    await page.goto(dev.api + path);
    const painted = await page.waitForFunction(() => performance.getEntriesByName("first-contentful-paint")[0]?.startTime);
    const ready = await page.evaluate(() => performance.getEntriesByType("navigation")[0]!.toJSON().domContentLoadedEventEnd as number);
    console.log(`${path}: first contentful paint after ${Math.round((await painted.jsonValue())!)} ms, usable after ${Math.round(ready)} ms`);
  });
}
