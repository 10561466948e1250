// What the client adds to a page, gzipped, as Vite builds it.
import { mkdtemp, readFile, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { build } from "vite";

const dir = await mkdtemp(join(import.meta.dirname, "size-"));
try {
  await writeFile(join(dir, "main.js"), `import { createClient } from "../dist/index.js"; window.coatcheck = createClient({ baseUrl: "/" });`);
  await build({ root: dir, configFile: false, logLevel: "error", build: { outDir: join(dir, "out"), rollupOptions: { input: join(dir, "main.js") } } });
  const assets = join(dir, "out", "assets");
  const kb = async (name) => (gzipSync(await readFile(join(assets, name)), { level: 9 }).length / 1000).toFixed(1).padStart(5);
  console.log("An app that only uploads gets, in KB gzipped:");
  for (const name of (await readdir(assets)).sort()) {
    const what = name.startsWith("main") ? "with the page" : name.startsWith("hash-worker") ? "with the first upload, in the worker" : "only where there can be no worker, or for fileKey";
    console.log(`${await kb(name)}  ${what}`);
  }
} finally {
  await rm(dir, { recursive: true });
}
