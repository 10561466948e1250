// The tests' fixtures: the service, a web server, and a page that has the client.
import { resolve } from "node:path";
import { test as base, type BrowserContext, type CDPSession, type Page } from "@playwright/test";
import { startDev, type Dev } from "./dev.js";
import { startSite, type Site } from "./site.js";

export { expect } from "@playwright/test";
export type { Dev } from "./dev.js";

interface Worker {
  /** As it runs by default. */
  dev: Dev;
  /** With windows of seconds, and small files only. */
  hasty: Dev;
  site: Site;
}

export const test = base.extend<{ opened: Page }, Worker>({
  dev: [async ({}, use) => {
    const dev = await startDev();
    await use(dev);
    await dev.stop();
  }, { scope: "worker" }],
  hasty: [async ({}, use) => {
    const dev = await startDev(["--upload-window", "3s", "--url-ttl", "1s", "--sweep-interval", "200ms"], { COATCHECK_MAX_SIZE: "100000" });
    await use(dev);
    await dev.stop();
  }, { scope: "worker" }],
  site: [async ({}, use) => {
    const site = await startSite(resolve(import.meta.dirname, "dist"));
    await use(site);
    await site.stop();
  }, { scope: "worker" }],
  opened: async ({ page, site }, use) => {
    await open(page, site.origin());
    await use(page);
  },
});

/** open loads the page with the client. */
export async function open(page: Page, origin: string, csp = ""): Promise<void> {
  await page.goto(origin + (csp && `/?csp=${encodeURIComponent(csp)}`));
  await page.waitForFunction(() => window.page !== undefined);
}

/** network sets what the page's network is like: sent bytes a second, or offline, or as it is without either. */
export async function network(context: BrowserContext, page: Page, { offline = false, sent = -1 } = {}): Promise<void> {
  let session = sessions.get(page);
  if (!session) sessions.set(page, (session = await context.newCDPSession(page)));
  await session.send("Network.enable");
  await session.send("Network.emulateNetworkConditions", { offline, latency: 0, downloadThroughput: -1, uploadThroughput: sent });
}

const sessions = new WeakMap<Page, CDPSession>(); // what is set ends with its session

/** puts counts the PUTs that a page makes, and how many there are at a time at most. */
export function puts(page: Page) {
  const seen = { begun: 0, most: 0, now: 0 };
  page.on("request", (r) => {
    if (r.method() !== "PUT") return;
    seen.begun++;
    seen.most = Math.max(seen.most, ++seen.now);
  });
  const ended = (r: { method(): string }) => void (r.method() === "PUT" && seen.now--);
  page.on("requestfinished", ended);
  page.on("requestfailed", ended);
  return seen;
}
