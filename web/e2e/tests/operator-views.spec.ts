import { expect, open, test } from "../operator.js";
import { confirmed, deadLetter, lost, pending, query, stray, uploaded } from "../traffic.js";

test("a media is found by its id, by its key and by the beginning of keys, with its life", async ({ page, shop }) => {
  const media = await confirmed(shop, 7_000, "post/42");
  await open(page, shop.api);
  const find = async (text: string) => {
    await page.keyboard.press("/");
    await expect(page.getByRole("searchbox")).toBeFocused();
    await page.keyboard.type(text);
    await page.keyboard.press("Enter");
    await expect(page.getByRole("status").first()).toContainText(text);
    await page.getByRole("heading", { level: 1 }).focus();
  };
  for (const text of [media.id, media.key]) {
    await find(text);
    await expect(page.getByRole("heading", { level: 1 })).toHaveText("Media");
    const steps = page.getByRole("heading", { name: "Its life" }).locator("xpath=..").getByRole("listitem");
    await expect(steps.locator("b")).toHaveText(["Created", "Landed", "Confirmed", "URL expires"]);
    await expect(steps.nth(1)).toContainText("S3 told of it.");
    await expect(steps.nth(2)).toContainText("claimed by post/42");
  }
  await uploaded(shop, 7_000);
  await find("media/");
  await page.getByRole("row", { name: new RegExp(media.id) }).getByRole("link").click();
  await expect(page.getByText("Claimed by the product. No sweep touches it.")).toBeVisible();
  await find("media/no-such-key");
  await expect(page.getByText("0 media found for")).toBeVisible();
});

test("a sweep is tried dry, and run after one has said so", async ({ page, shop }) => {
  const never = await pending(shop, 1_000);
  const due = () => query(shop, `SELECT state FROM coatcheck.media WHERE id = '${never.id}' AND (due_at <= now() OR state = 'deleted')`);
  await expect.poll(async () => (await due()).length).toBe(1);
  await open(page, shop.api, "/sweeps");
  await page.getByRole("button", { name: "Run a dry sweep" }).click();
  await expect(page.getByTestId("result")).toContainText("A sweep would do now");
  await expect(page.getByTestId("result")).toContainText("never uploaded");
  expect((await due())[0].state).toBe("pending");

  await page.getByRole("button", { name: "Run a sweep" }).click();
  const dialog = page.getByRole("dialog", { name: "Run a sweep now?" });
  await dialog.getByRole("button", { name: "Cancel" }).click();
  await expect(dialog).toBeHidden();
  expect((await due())[0].state).toBe("pending");
  await page.getByRole("button", { name: "Run a sweep" }).click();
  await dialog.getByRole("button", { name: "Run the sweep" }).click();
  await expect(page.getByTestId("result")).toContainText("The sweep did");
  expect((await due())[0].state).toBe("deleted");
  await expect(page.getByRole("table", { name: /Passes/ }).getByRole("row", { name: /asked for/ }).first()).toContainText("never uploaded");
});

test("a dry reconciliation is begun, followed and read", async ({ page, shop }) => {
  const media = await confirmed(shop, 9_000, "post/missing");
  await lost(shop, media.key);
  await stray(shop, "media/ff/nobodys.txt", 777);
  await open(page, shop.api, "/reconciliations");
  const runs = page.getByRole("table", { name: /Reconciliations/ });
  const newest = runs.getByRole("row").nth(1);
  // Those of other tests are listed too, and the newest of them is the first until the one that is begun here is there.
  const before = await page.request.post(`${shop.api}/coatcheck.v1.AdminService/ListReconciles`, { data: {} });
  const earlier: string[] = ((await before.json()).reconciles ?? []).map((run: { id: string }) => run.id);
  await page.getByRole("button", { name: "Start a dry reconciliation" }).click();
  await expect(async () => {
    const href = (await newest.getByRole("link").getAttribute("href", { timeout: 1_000 })) ?? "";
    expect(earlier.filter((id) => href.includes(id))).toEqual([]);
  }).toPass();
  await expect(newest).toContainText("finished", { timeout: 60_000 });
  await newest.getByRole("link").click();
  await expect(page.getByRole("heading", { level: 1 })).toHaveText("Reconciliation");
  await expect(page.locator("dl.facts").filter({ hasText: "missing" })).toBeVisible();

  await page.getByRole("link", { name: "Strays" }).click();
  await expect(page.getByRole("row", { name: /media\/ff\/nobodys.txt/ })).toContainText("777 B");
  await page.getByRole("searchbox").fill("media/ff/nobodys.txt");
  await page.keyboard.press("Enter");
  await expect(page.getByRole("heading", { name: "A stray has this key" })).toBeVisible();
  await page.getByRole("link", { name: "Missing" }).click();
  await page.getByRole("row", { name: new RegExp(media.id) }).getByRole("link").click();
  await expect(page.getByRole("listitem").filter({ hasText: "Found missing" })).toBeVisible();
});

test("dead letters are shown with their reason, and as text", async ({ page, shop }) => {
  await deadLetter(shop, "<img src=x onerror=alert(1)> no notification");
  await open(page, shop.api, "/dead-letters");
  const letter = page.getByRole("listitem").filter({ hasText: "onerror=alert" }); // other tests have letters of their own
  await expect(async () => {
    await page.getByRole("button", { name: "Look again" }).click();
    await expect(letter).toHaveCount(1, { timeout: 1_000 });
  }).toPass();
  await letter.getByText("Its body").click();
  await expect(letter.locator("pre")).toHaveText("<img src=x onerror=alert(1)> no notification");
  await expect(letter.getByRole("heading")).not.toHaveText("It does not say why.");
});
