import { defineConfig } from "@playwright/test";

export default defineConfig({
  testDir: "tests",
  outputDir: "../../.build/playwright",
  fullyParallel: true,
  workers: 2,
  timeout: 60_000,
  retries: process.env["CI"] ? 2 : 0, // a machine that is busy with something else; what was tried again is told as flaky
  reporter: "list",
  forbidOnly: !!process.env["CI"],
  use: {
    browserName: "chromium",
    trace: "retain-on-failure",
    launchOptions: {
      executablePath: process.env["CHROMIUM"] ?? "/usr/bin/chromium",
      args: [
        "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        "--host-resolver-rules=MAP elsewhere.test 127.0.0.1",
      ],
    },
  },
});
