import { defineConfig } from "vitest/config";

export default defineConfig({
  base: "./",
  // The page holds back no browser of the last years, and needs no code that stands in for what they have.
  build: { target: "es2022", modulePreload: { polyfill: false }, assetsInlineLimit: 0, chunkSizeWarningLimit: 250 },
  // `npm run dev -w operator` beside `make dev`, to work on the page.
  server: { proxy: { "/coatcheck.v1.": process.env["COATCHECK"] ?? "http://127.0.0.1:8080" } },
  test: { include: ["test/**/*.test.ts"] },
});
