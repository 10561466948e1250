import { defineConfig } from "vite";

// What is built is committed, and embedded in the Go binary: see web/try.go.
export default defineConfig({
  build: { target: "es2022", assetsInlineLimit: 0, modulePreload: { polyfill: false } },
});
