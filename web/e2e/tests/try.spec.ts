import AxeBuilder from "@axe-core/playwright";
import type { Page } from "@playwright/test";
import { expect, network, puts, test as base, type Dev } from "../test.js";
import { startDev } from "../dev.js";

const test = base.extend<{ quiet: void }, { swept: Dev }>({
  /** Windows of seconds. */
  swept: [async ({}, use) => {
    const dev = await startDev(["--upload-window", "8s", "--claim-window", "4s", "--sweep-interval", "200ms"]);
    await use(dev);
    await dev.stop();
  }, { scope: "worker" }],
  // Whatever a page does, its policy lets it, and nothing fails unseen.
  quiet: [async ({ page }, use) => {
    const errors: string[] = [];
    page.on("pageerror", (e) => errors.push(e.message));
    page.on("console", (m) => { if (m.type() === "error" && !m.location().url.includes("/coatcheck.v1.")) errors.push(m.text()); });
    await use();
    expect(errors).toEqual([]);
  }, { auto: true }],
});

const sweep = { timeout: 20_000 }; // longer than the windows
const claim = "Upload and claim";
const leave = "Upload, do not claim";
const walk = "Take a URL and walk away";

const way = (page: Page, name: string) => page.getByRole("button", { name });
const cards = (page: Page) => page.locator(".card");
const card = (page: Page, name: string) => cards(page).filter({ has: page.getByRole("heading", { name, exact: true }) });
const inState = (state: string) => ({ has: (page: Page) => page.locator(`[aria-current]`, { hasText: new RegExp(`^${state}$`) }) });
const at = (page: Page, name: string, state: string) => card(page, name).filter(({ has: inState(state).has(page) }));
const idOf = async (page: Page, name: string) => (await card(page, name).locator(".key").textContent())!.split("/").at(-1)!;
const coat = (name: string, size = 100_000) => ({ name, mimeType: "image/png", buffer: Buffer.alloc(size, name) });

async function choose(page: Page, dev: Dev, ...files: ReturnType<typeof coat>[]): Promise<void> {
  await page.goto(dev.api);
  await page.setInputFiles("#file", files);
}

test("upload and claim: with true progress, to CONFIRMED, and down again", async ({ page, context, dev }) => {
  await choose(page, dev, coat("coat.png", 2 << 20));
  await network(context, page, { sent: 1_000_000 });
  const seen = await page.evaluateHandle(() => { // what is on the screen, frame by frame
    const seen = { states: new Set<string>(), sent: new Set<number>() };
    const look = () => {
      seen.states.add(document.querySelector("[aria-current]")?.textContent ?? "");
      const progress = document.querySelector<HTMLProgressElement>("progress.uploading:not([hidden])");
      if (progress) seen.sent.add(progress.value / progress.max);
      requestAnimationFrame(look);
    };
    look();
    return seen;
  });
  await way(page, claim).click();
  await expect(at(page, "coat.png", "CONFIRMED")).toContainText("Kept: no sweep touches what is claimed.", { timeout: 20_000 });
  const { states, sent } = await seen.evaluate(({ states, sent }) => ({ states: [...states], sent: [...sent] }));
  expect(states).toEqual(["", "PENDING", "UPLOADED", "CONFIRMED"]);
  expect(sent.length, "progress is told of several times").toBeGreaterThan(3);
  expect(sent).toEqual([...sent].sort((a, b) => a - b));
  const progress = page.getByRole("progressbar", { name: "Progress of coat.png" });
  await expect(card(page, "coat.png")).toContainText(/S3 told coatcheck by notification.*Claimed by “try\//);
  await expect(progress).toBeHidden();
  await expect(card(page, "coat.png").getByRole("timer")).toBeHidden();
  expect((await dev.call("MediaService/GetMedia", { mediaId: await idOf(page, "coat.png") })).media.state).toBe("MEDIA_STATE_CONFIRMED");

  const download = page.waitForEvent("download");
  await page.getByRole("button", { name: "Download: coat.png" }).click();
  expect((await download).suggestedFilename()).toBe("coat.png");

  const calls = page.locator("#calls");
  for (const call of ["CreateUpload", "PUT", "WatchUpload", "ConfirmMedia", "CreateDownload"]) await expect(calls).toContainText(call);
  await calls.locator("summary", { hasText: "CreateUpload" }).click();
  await expect(calls.locator("pre:visible")).toContainText(`curl -s ${dev.api}/coatcheck.v1.UploadService/CreateUpload`);
  await expect(calls).not.toContainText("X-Amz-Signature");

  await page.getByRole("button", { name: "Release: coat.png" }).click();
  await expect(at(page, "coat.png", "DELETED")).toContainText("Released: what held it is gone");
});

test("upload and do not claim: the clock runs, and the sweep takes it", async ({ page, swept }) => {
  await choose(page, swept, coat("coat.png"));
  await way(page, leave).click();
  await expect(at(page, "coat.png", "UPLOADED").getByRole("timer")).toHaveText(/^0:0[1-4]$/);
  await expect(at(page, "coat.png", "DELETED")).toContainText("Swept: it landed, and nobody claimed it within the claim window. S3 has confirmed that the object is gone.", sweep);
  await expect(page.locator("#said")).toContainText("coat.png: DELETED. Swept");
  await page.getByRole("button", { name: "Clear what is gone" }).click();
  await expect(cards(page)).toHaveCount(0);
});

test("take a URL and walk away: nothing is sent, and the sweep takes the ticket", async ({ page, swept }) => {
  const sent = puts(page);
  await choose(page, swept, coat("coat.png"));
  await way(page, walk).click();
  await expect(at(page, "coat.png", "PENDING").getByRole("timer")).toHaveText(/^0:0[1-8]$/);
  await page.getByRole("button", { name: "Claim now: coat.png" }).click();
  await expect(card(page, "coat.png"), "and why it cannot be claimed").toContainText("has not been uploaded");
  await expect(at(page, "coat.png", "DELETED")).toContainText("The sweep asked S3, which has nothing. The ticket is void.", sweep);
  expect(sent.begun).toBe(0);
});

test("what was not claimed can be claimed, and cancelled", async ({ page, dev }) => {
  await choose(page, dev, coat("a.png"), coat("b.png"));
  await way(page, leave).click();
  for (const name of ["a.png", "b.png"]) await expect(at(page, name, "UPLOADED")).toHaveCount(1);
  await page.getByRole("button", { name: "Claim now: a.png" }).click();
  await expect(at(page, "a.png", "CONFIRMED")).toHaveCount(1);
  await page.getByRole("button", { name: "Cancel: b.png" }).click();
  await expect(at(page, "b.png", "DELETED")).toContainText("Cancelled");
});

test("an upload is cancelled on its way, and a refusal says why", async ({ page, context, dev }) => {
  await choose(page, dev, coat("coat.png", 2 << 20), { name: "coat.html", mimeType: "text/html", buffer: Buffer.from("<p>") });
  await network(context, page, { sent: 100_000 });
  await way(page, claim).click();
  await expect(card(page, "coat.png")).toContainText("Going to S3");
  await page.getByRole("button", { name: "Cancel: coat.png" }).click();
  await expect(at(page, "coat.png", "DELETED")).toContainText("Cancelled");
  await expect(card(page, "coat.html")).toContainText("is not allowed here");
  await page.getByRole("button", { name: "Remove from the list: coat.html" }).click();
  await expect(cards(page)).toHaveCount(1);
});

test("after a reload the list is there, and goes on", async ({ page, context, dev }) => {
  await choose(page, dev, coat("a.png"));
  await way(page, leave).click();
  await way(page, walk).click();
  await expect(at(page, "a.png", "UPLOADED")).toHaveCount(1);
  await page.setInputFiles("#file", coat("b.png", 2 << 20));
  await network(context, page, { sent: 100_000 });
  await way(page, claim).click();
  await expect(card(page, "b.png")).toContainText("Going to S3");
  await page.evaluate(() => { // one that the service does not know, such as after its data was deleted
    const saved = JSON.parse(localStorage.getItem("coatcheck-try")!);
    localStorage.setItem("coatcheck-try", JSON.stringify([{ ...saved[0], id: "01936b2e-7a40-7c3e-9d0f-1f2e3d4c5b6a", name: "forgotten.png" }, ...saved]));
  });

  await page.reload();
  await expect(at(page, "a.png", "UPLOADED")).toHaveCount(1);
  await expect(at(page, "a.png", "PENDING")).toHaveCount(1);
  await expect(at(page, "b.png", "PENDING")).toContainText("The page was left before it had landed.");
  await expect(cards(page)).toHaveCount(3);
  await dev.call("MediaService/ConfirmMedia", { mediaId: await at(page, "a.png", "UPLOADED").locator(".key").textContent().then((k) => k!.split("/").at(-1)), claim: "post/1" });
  await expect(at(page, "a.png", "CONFIRMED"), "by a backend").toContainText("Claimed by “post/1”");
});

test("five files at once, dropped", async ({ page, dev }) => {
  await page.goto(dev.api);
  const dropped = await page.evaluateHandle(() => {
    const data = new DataTransfer();
    for (let i = 0; i < 5; i++) data.items.add(new File([new Uint8Array(3_000_000 + i)], `coat-${i}.png`, { type: "image/png" }));
    return data;
  });
  await page.dispatchEvent("#drop", "drop", { dataTransfer: dropped });
  await expect(page.locator("#chosen li")).toHaveCount(5);
  await way(page, claim).click();
  await expect(cards(page)).toHaveCount(5);
  for (let i = 0; i < 5; i++) await expect(at(page, `coat-${i}.png`, "CONFIRMED")).toHaveCount(1);
});

test("the service stops, and the page says so", async ({ page }) => {
  const dev = await startDev();
  try {
    await choose(page, dev, coat("coat.png"));
    await way(page, leave).click();
    await expect(at(page, "coat.png", "UPLOADED")).toHaveCount(1);
  } finally {
    await dev.stop();
  }
  await expect(page.locator("#trouble")).toContainText("The service does not answer.");
});

test("by keyboard alone", async ({ page, dev }) => {
  await page.goto(dev.api);
  const focused = (name: string) => page.waitForFunction((name) => (document.activeElement?.getAttribute("aria-label") ?? document.activeElement?.textContent ?? "").includes(name), name, { timeout: 5_000 });
  await page.keyboard.press("Tab");
  expect(await page.evaluate(() => document.activeElement?.id)).toBe("file");
  await page.keyboard.press("Tab");
  await page.keyboard.press("Enter");
  await expect(page.locator("#chosen")).toContainText("sample-1.bin, 32.0 MB");
  for (const name of ["Remove sample-1.bin", claim, leave]) {
    await page.keyboard.press("Tab");
    await focused(name);
  }
  await page.keyboard.press("Enter");
  await expect(at(page, "sample-1.bin", "UPLOADED")).toHaveCount(1);
  await expect(card(page, "sample-1.bin").getByRole("button", { name: "Claim now" })).toBeVisible();
  await page.keyboard.press("Tab"); // walk away
  await page.keyboard.press("Tab");
  await focused("Claim now");
  await page.keyboard.press("Enter");
  await expect(at(page, "sample-1.bin", "CONFIRMED")).toHaveCount(1);
  expect(await page.evaluate(() => document.activeElement?.closest(".card")?.querySelector("h3")?.textContent), "the focus is still there").toBe("sample-1.bin");
});

for (const colorScheme of ["light", "dark"] as const) {
  test(`axe finds nothing, ${colorScheme}`, async ({ page, context, swept }) => {
    await page.emulateMedia({ colorScheme, reducedMotion: "reduce" });
    await choose(page, swept, coat("a.png"));
    await way(page, leave).click();
    await expect(at(page, "a.png", "DELETED")).toHaveCount(1, sweep);
    await page.setInputFiles("#file", coat("b.png"));
    await way(page, claim).click();
    await expect(at(page, "b.png", "CONFIRMED")).toHaveCount(1);
    await page.setInputFiles("#file", [coat("c.png"), { name: "d.html", mimeType: "text/html", buffer: Buffer.from("<p>") }]);
    await way(page, leave).click();
    await expect(at(page, "c.png", "UPLOADED")).toHaveCount(1);
    await page.setInputFiles("#file", coat("e.png", 2 << 20));
    await network(context, page, { sent: 200_000 });
    await way(page, walk).click();
    await way(page, leave).click();
    await expect(card(page, "e.png").first()).toContainText("Going to S3");
    const { violations } = await new AxeBuilder({ page }).analyze();
    expect(violations.map((v) => `${v.id} (${v.impact}): ${v.nodes[0]!.html}`)).toEqual([]);
  });
}

test("on a phone nothing is wider than the screen", async ({ page, dev }) => {
  await page.setViewportSize({ width: 360, height: 740 });
  await choose(page, dev, coat("a-very-long-name-of-a-picture-that-somebody-took-of-their-coat.png"));
  await way(page, leave).click();
  await expect(cards(page).locator("[aria-current]")).toHaveText("UPLOADED");
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(360);
});
