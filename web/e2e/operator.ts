// Fixtures of the operator's window: a service of its own, on which nothing is swept unless somebody asks for it.
import { test as base, expect, type Page } from "@playwright/test";
import { startDev, type Dev } from "./dev.js";

export { expect };

export const test = base.extend<{ errors: string[] }, { shop: Dev }>({
  shop: [async ({}, use) => {
    const shop = await startDev(["--sweep-interval", "1000h", "--upload-window", "3s", "--url-ttl", "1s"]);
    await use(shop);
    await shop.stop();
  }, { scope: "worker" }],
  // Whatever the page says on its console is an error: what its policy refuses is said there, too.
  errors: [async ({ page }, use) => {
    const errors: string[] = [];
    page.on("console", (m) => { if (m.type() === "error") errors.push(m.text()); });
    page.on("pageerror", (e) => errors.push(String(e)));
    await use(errors);
    expect(errors).toEqual([]);
  }, { auto: true }],
});

/** open opens a view and waits until it is live. */
export async function open(page: Page, api: string, view = "/"): Promise<void> {
  await page.goto(`${api}/operator/#${view}`);
  await expect(page.getByText("Live", { exact: true })).toBeVisible();
}

/** card is the number on a card of the overview. */
export async function card(page: Page, name: string): Promise<number> {
  return number(await page.locator(`[data-card="${name}"] b`).textContent());
}

export function number(text: string | null): number {
  return Number((text ?? "").replaceAll(",", ""));
}
