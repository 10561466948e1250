import { expect, network, open, puts, test } from "../test.js";

test("an expired URL is replaced by a fresh one", async ({ opened, hasty }) => {
  const statuses: number[] = [];
  opened.on("response", (r) => { if (r.request().method() === "PUT") statuses.push(r.status()); });
  let delayed = false;
  await opened.route(`${hasty.s3}/**`, async (route) => {
    if (route.request().method() === "PUT" && !delayed) {
      delayed = true;
      const expires = Date.parse(isoOf(new URL(route.request().url()).searchParams.get("X-Amz-Date")!)) + 1000;
      while (Date.now() < expires + 100) await new Promise((later) => setTimeout(later, 50));
    }
    await route.continue();
  });
  const outcome = await opened.evaluate((api) => window.page.upload(window.page.make("coat.png", 1000), { api }), hasty.api);
  expect(outcome.state).toBe("UPLOADED");
  expect(statuses).toEqual([403, 200]);
  expect(new Set(outcome.progress.flatMap((p) => p.mediaId ?? [])).size, "it is one media all along").toBe(1);
});

const isoOf = (amz: string) => amz.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z");

test("offline in the middle, and back", async ({ opened, context, dev }) => {
  const sent = puts(opened);
  await opened.route(`${dev.s3}/**`, async (route) => {
    await network(context, opened, { offline: true });
    await route.abort("internetdisconnected");
  }, { times: 1 });
  const upload = opened.evaluate((api) => window.page.upload(window.page.make("coat.png", 1 << 20), { api }), dev.api);
  await opened.waitForEvent("requestfailed", (r) => r.method() === "PUT");
  expect(await opened.evaluate(() => navigator.onLine)).toBe(false);
  await network(context, opened);
  const outcome = await upload;
  expect(outcome.error).toBeUndefined();
  expect(outcome.state).toBe("UPLOADED");
  expect(sent.begun).toBe(2);
});

test("a PUT whose answer was lost is a success", async ({ opened, dev }) => {
  let lost = 0;
  await opened.route(`${dev.s3}/**`, async (route) => {
    if (route.request().method() === "PUT" && lost++ === 0) {
      await route.fetch();
      return route.abort("connectionreset");
    }
    await route.continue();
  });
  const outcome = await opened.evaluate((api) => window.page.upload(window.page.make("coat.png", 1000), { api }), dev.api);
  expect(outcome.error).toBeUndefined();
  expect(outcome.state).toBe("UPLOADED");
});

test("S3's 412 is a success: the object is there", async ({ opened, dev }) => {
  const statuses: number[] = [];
  opened.on("response", (r) => { if (r.request().method() === "PUT") statuses.push(r.status()); });
  await opened.route(`${dev.s3}/**`, async (route) => {
    if (route.request().method() === "PUT") await route.fetch(); // it is sent twice
    await route.continue();
  });
  const outcome = await opened.evaluate((api) => window.page.upload(window.page.make("coat.png", 1000), { api }), dev.api);
  expect(statuses).toEqual([412]);
  expect(outcome.state).toBe("UPLOADED");
});

test("an S3 that is slow to take files is tried again", async ({ opened, dev }) => {
  let refused = 0;
  await opened.route(`${dev.s3}/**`, async (route) => {
    if (route.request().method() === "PUT" && refused++ < 2) {
      return route.fulfill({ status: 503, headers: { "Access-Control-Allow-Origin": "*" }, contentType: "application/xml", body: "<Error><Code>SlowDown</Code></Error>" });
    }
    await route.continue();
  });
  const outcome = await opened.evaluate((api) => window.page.upload(window.page.make("coat.png", 1000), { api }), dev.api);
  expect(outcome.state).toBe("UPLOADED");
  expect(refused).toBe(3);
});

test("without a stream it polls", async ({ opened, dev }) => {
  await opened.route("**/WatchUpload", (route) => route.abort());
  const outcome = await opened.evaluate((api) => window.page.upload(window.page.make("coat.png", 1000), { api }), dev.api);
  expect(outcome.state).toBe("UPLOADED");
});

test("a page of another allowed origin may upload, one of any other may not, and is told why", async ({ page, site, dev }) => {
  await open(page, site.origin("localhost"));
  const allowed = await page.evaluate((api) => window.page.upload(window.page.make("coat.png", 1000), { api }), dev.api);
  expect(allowed.state).toBe("UPLOADED");

  await open(page, site.origin("elsewhere.test"));
  const refused = await page.evaluate((api) => window.page.upload(window.page.make("coat.png", 1000), { api, attempts: 1 }), dev.api);
  expect(refused.error).toMatchObject({ code: "network", retryable: true });
  expect(refused.error!.message).toContain("--allowed-origins");
});
