import { card, expect, number, open, test } from "../operator.js";
import { confirmed, deadLetter, lost, metric, pending, query, reconciled, stray, uploaded } from "../traffic.js";

test("the window tells the same as the database and /metrics", async ({ page, shop }) => {
  test.setTimeout(240_000);
  await deadLetter(shop, "this is no notification");
  for (let i = 0; i < 3; i++) await confirmed(shop, 100_000 + i, `post/${i}`);
  const gone = await confirmed(shop, 70_000, "post/gone");
  const released = await confirmed(shop, 60_000, "post/released");
  await shop.call("MediaService/ReleaseMedia", { mediaId: released.id, claim: "post/released" });
  for (let i = 0; i < 2; i++) await uploaded(shop, 50_000 + i);
  for (let i = 0; i < 4; i++) await pending(shop, 1_000);
  await stray(shop, "media/00/whose-is-this.txt", 1234);
  await lost(shop, gone.key);
  await reconciled(shop);

  await open(page, shop.api);
  const state = (name: string) => metric(shop, "coatcheck_media", { state: name });
  const rows = async (where: string) => Number((await query(shop, `SELECT count(*) AS n FROM coatcheck.media WHERE ${where}`))[0].n);
  await expect(async () => {
    // What is told of the queue, and of what reconciliations found, is up to a minute old, in /metrics too.
    expect(await card(page, "dead-letters")).toBe(await metric(shop, "coatcheck_queue_messages", { queue: "dead_letters" }));
    for (const name of ["strays", "missing", "dead-letters"]) expect(await card(page, name), name).toBeGreaterThan(0); // other tests make some too
    expect(await card(page, "strays")).toBe(Number((await query(shop, "SELECT count(*) AS n FROM coatcheck.stray WHERE removed_at IS NULL"))[0].n));
    expect(await card(page, "strays")).toBe(await metric(shop, "coatcheck_strays"));
    expect(await card(page, "missing")).toBe(await metric(shop, "coatcheck_missing"));
    expect(await card(page, "confirmed")).toBe(await rows("state = 'confirmed'"));
    for (const name of ["uploaded", "pending", "deleting"]) {
      expect(await card(page, name), name).toBe(await rows(`state = '${name}'`));
      expect(await card(page, name), name).toBe(await state(name));
    }
    expect(await card(page, "overdue")).toBe(await metric(shop, "coatcheck_media_overdue"));
    expect(await card(page, "overdue")).toBe(await rows("due_at <= now()"));
    const funnel = async (n: string) => number(await page.locator(`[data-n="${n}"]`).textContent());
    expect(await funnel("presigned")).toBe(await rows("true"));
    expect(await funnel("landed")).toBe(await rows("landed_at IS NOT NULL"));
    expect(await funnel("confirmed")).toBe(await rows("confirmed_at IS NOT NULL"));
    expect(await funnel("neverUploaded")).toBe(await rows("reason = 'never_uploaded'"));
    const notified = page.getByRole("row", { name: /^notification/ }).getByRole("cell").first();
    expect(number(await notified.textContent())).toBe(await rows("landed_by = 'notification'"));
    expect(number(await notified.textContent())).toBe(await metric(shop, "coatcheck_landings_total", { source: "notification", verdict: "landed" }));
    const [{ bytes }] = await query(shop, "SELECT sum(size_bytes) AS bytes FROM coatcheck.media WHERE state = 'confirmed'");
    await expect(page.locator('[data-card="confirmed"]')).toContainText(`${(Number(bytes) / 1024).toFixed(1)} KiB`);
  }).toPass({ timeout: 150_000 });
});

test("what changes is seen without reloading, and said to those who listen", async ({ page, shop }) => {
  await open(page, shop.api);
  await page.evaluate(() => { (window as any).same = true; });
  const [was, landed] = [await card(page, "confirmed"), await card(page, "uploaded")];
  await confirmed(shop, 5_000, "post/live");
  await uploaded(shop, 5_000);
  await expect(async () => {
    expect(await card(page, "confirmed")).toBe(was + 1);
    expect(await card(page, "uploaded")).toBe(landed + 1);
  }).toPass();
  await expect(page.locator("p[role=status]").last()).toContainText(`${was + 1} confirmed`, { timeout: 30_000 });
  expect(await page.evaluate(() => (window as any).same)).toBe(true);
});

test("the funnel and the classes are told in tables, too", async ({ page, shop }) => {
  await confirmed(shop, 5_000, "post/table");
  await open(page, shop.api);
  await expect(page.getByRole("img", { name: /Bars by hour, 7 days/ })).toBeVisible();
  await page.getByText("As a table").click();
  const hours = page.getByRole("table", { name: "The funnel by hour" }).getByRole("row");
  await expect(hours.nth(1)).toBeVisible();
  const presigned = (await hours.locator("td:nth-child(2)").allTextContents()).reduce((n, text) => n + number(text), 0);
  expect(presigned).toBe(number(await page.locator('[data-n="presigned"]').textContent()));
  await page.getByRole("button", { name: "24 hours" }).click();
  await expect(page.getByRole("img", { name: /Bars by hour, 24 hours/ })).toBeVisible();
  const all = page.getByRole("table", { name: "Classes by age" }).getByRole("row", { name: /^Confirmed/ }).getByRole("cell").first();
  expect(number((await all.locator("b").textContent()))).toBe(await card(page, "confirmed"));
  await page.getByRole("button", { name: "Bytes" }).click();
  await expect(page.getByRole("button", { name: "Bytes" })).toHaveAttribute("aria-pressed", "true");
});
