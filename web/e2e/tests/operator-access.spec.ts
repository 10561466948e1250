import AxeBuilder from "@axe-core/playwright";
import { expect, open, test } from "../operator.js";
import { startServe } from "../serve.js";
import { confirmed, pending, query, reconciled, stray } from "../traffic.js";

const views = ["/", "/sweeps", "/reconciliations", "/strays", "/missing", "/dead-letters"];

for (const [name, options] of Object.entries({
  light: { colorScheme: "light", viewport: { width: 1280, height: 800 } },
  dark: { colorScheme: "dark", viewport: { width: 1280, height: 800 } },
  phone: { colorScheme: "dark", viewport: { width: 360, height: 740 } },
} as const)) {
  test.describe(name, () => {
    test.use(options);
    test(`axe finds nothing in any view, and nothing is wider than the window (${name})`, async ({ page, shop }) => {
      test.setTimeout(120_000);
      const media = await confirmed(shop, 3_000, "post/axe");
      await pending(shop, 3_000);
      await stray(shop, "media/aa/a-stray-with-a-long-name-that-does-not-fit-into-a-phone.txt", 10);
      await reconciled(shop);
      for (const view of [...views, `/search?q=${media.id}`, "/search?q=media/"]) {
        await open(page, shop.api, view);
        await expect(page.getByRole("heading", { level: 1 })).toBeVisible();
        if (view === "/") await expect(page.getByRole("img").first()).toBeVisible();
        if (view.startsWith("/search")) await expect(page.getByRole("status").first()).toContainText("found");
        const { violations } = await new AxeBuilder({ page }).analyze();
        expect(violations.map((v) => `${v.id} (${v.impact}): ${v.nodes.map((n) => n.html).join(" ")}`), view).toEqual([]);
        expect(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), view).toBeLessThanOrEqual(0);
      }
    });
  });
}

test("everything is reached by the keyboard", async ({ page, shop }) => {
  await open(page, shop.api);
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Skip to the content" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("main")).toBeFocused();
  await page.keyboard.press("Tab");
  await expect(page.getByRole("link", { name: "Confirmed" })).toBeFocused();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "Classes by age" })).toBeFocused();
  await page.getByRole("link", { name: "Sweeps" }).focus();
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { level: 1, name: "Sweeps" })).toBeFocused();
  await expect(page).toHaveTitle("Sweeps · coatcheck");
  await page.keyboard.press("Tab");
  await expect(page.getByRole("button", { name: "Run a dry sweep" })).toBeFocused();
});

test("colours are the system's, or those that were chosen", async ({ page, shop }) => {
  await page.emulateMedia({ colorScheme: "light" });
  await open(page, shop.api);
  const background = () => page.evaluate(() => getComputedStyle(document.body).backgroundColor);
  const light = await background();
  await page.getByRole("button", { name: "Colours: as the system" }).click();
  const dark = await background();
  expect(dark).not.toBe(light);
  await page.reload();
  expect(await background()).toBe(dark);
  await page.getByRole("button", { name: "Colours: dark" }).click();
  await page.emulateMedia({ colorScheme: "dark" });
  expect(await background()).toBe(light);
});

test("serve asks for an operator's token, and keeps it for the tab", async ({ page, shop, errors }) => {
  const serve = await startServe(shop);
  try {
    await page.goto(`${serve.api}/operator/`);
    const token = page.getByLabel("Operator's token");
    await expect(token).toBeFocused();
    expect((await page.content()).includes(String((await query(shop, "SELECT count(*) AS n FROM coatcheck.media"))[0].n) + " confirmed")).toBe(false);
    expect((await new AxeBuilder({ page }).analyze()).violations).toEqual([]);
    for (const [wrong, why] of [["cc_nonsense", "refused"], [serve.tenant, "for operators"]] as const) {
      await token.fill(wrong);
      await page.getByRole("button", { name: "Open" }).click();
      await expect(page.getByRole("alert")).toContainText(why);
    }
    await expect(page.getByText("coatcheck token --operator").first()).toBeVisible();
    await token.fill(serve.operator);
    await page.getByRole("button", { name: "Open" }).click();
    await expect(page.getByText("Live", { exact: true })).toBeVisible();
    await page.reload();
    await expect(page.getByText("Live", { exact: true })).toBeVisible();
    expect(await page.evaluate(() => JSON.stringify(localStorage) + document.cookie + location.href)).not.toContain(serve.operator);
    await page.getByRole("button", { name: "Sign out" }).click();
    await expect(token).toBeVisible();
    expect(await page.evaluate(() => JSON.stringify(sessionStorage))).not.toContain(serve.operator);
    // The refusals, which Chromium tells of by itself.
    expect(errors.every((e) => /status of 40[13]/.test(e)), errors.join("\n")).toBe(true);
    errors.length = 0;
  } finally {
    await serve.stop();
  }
});

test("a service that is gone is told of, and found again", async ({ page, shop, errors }) => {
  let serve = await startServe(shop);
  try {
    await page.goto(`${serve.api}/operator/`);
    await page.getByLabel("Operator's token").fill(serve.operator);
    await page.keyboard.press("Enter");
    await expect(page.getByText("Live", { exact: true })).toBeVisible();
    await serve.stop();
    await expect(page.getByText("No answer", { exact: true })).toBeVisible();
    serve = await startServe(shop, serve);
    // Its tokens are others.
    await page.getByLabel("Operator's token").fill(serve.operator, { timeout: 30_000 });
    await page.keyboard.press("Enter");
    await expect(page.getByText("Live", { exact: true })).toBeVisible();
  } finally {
    await serve.stop();
  }
  errors.length = 0; // what Chromium says of the network, and of the refusals
});
