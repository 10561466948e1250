// A web server for the tests' pages, on an origin that is neither the service's nor S3's.
import { createServer } from "node:http";
import { readFile } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { extname, join, normalize } from "node:path";

const types: Record<string, string> = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css" };

export interface Site {
  /** Origin of the pages, by any name that the browser finds this machine by. */
  origin(host?: string): string;
  stop(): Promise<void>;
}

/** startSite serves a folder. A page asked for with ?csp=… has that content security policy. */
export async function startSite(folder: string): Promise<Site> {
  const server = createServer(async (request, response) => {
    const url = new URL(request.url!, "http://site");
    const path = normalize(url.pathname === "/" ? "/index.html" : url.pathname);
    try {
      const content = await readFile(join(folder, path));
      const csp = url.searchParams.get("csp");
      response.setHeader("Content-Type", types[extname(path)] ?? "application/octet-stream");
      if (csp) response.setHeader("Content-Security-Policy", csp);
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  return {
    origin: (host = "127.0.0.1") => `http://${host}:${port}`,
    stop: () => new Promise((stopped) => {
      server.close(() => stopped());
      server.closeAllConnections();
    }),
  };
}
