import { expect, open, test } from "../test.js";

const cases = {
  "no worker and no WebAssembly": "script-src 'self'; worker-src 'none'",
  "no WebAssembly": "script-src 'self'",
  "all that it needs": "script-src 'self' 'wasm-unsafe-eval'; worker-src 'self'",
};
for (const [what, csp] of Object.entries(cases)) {
  test(`a content security policy with ${what}`, async ({ page, site, dev }) => {
    const workers: string[] = [];
    page.on("worker", (w) => workers.push(w.url()));
    await open(page, site.origin(), csp);
    const outcome = await page.evaluate((api) => window.page.upload(window.page.make("coat.png", 20 << 20), { api }), dev.api);
    expect(outcome.error).toBeUndefined();
    expect(outcome.state).toBe("UPLOADED");
    expect(outcome.progress.filter((p) => p.phase === "hashing").length).toBeGreaterThan(3);
    expect(outcome.turns, "the page has its turn between slices").toBeGreaterThan(1);
    expect(workers.length).toBe(csp.includes("'none'") ? 0 : 1);
  });
}
