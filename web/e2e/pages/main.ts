// What the tests drive: the client as a product's page has it.
import { createClient, fileKey, MediaState, UploadError, type Client, type Progress, type UploadOptions } from "@coatcheck/client";
import { startAwsS3, startUppy } from "./uppy.js";

/** Outcome is what can leave the page. */
export interface Outcome {
  id?: string;
  state?: string;
  error?: { name: string; code: string; retryable: boolean; message: string; mediaId: string | undefined; field: string | undefined };
  progress: Progress[];
  /** How often the page could run something else while the file was hashed. */
  turns: number;
}

export interface Start extends Omit<UploadOptions, "onProgress" | "signal"> {
  api: string;
  attempts?: number;
  /** Place for fileKey. */
  place?: string;
  /** Phase and bytes at which it is cancelled. */
  cancelAt?: { phase: Progress["phase"]; loaded: number };
}

const clients = new Map<string, Client>();

function client(api: string, attempts?: number): Client {
  let c = clients.get(api);
  if (!c) clients.set(api, (c = createClient({ baseUrl: api, attempts })));
  return c;
}

async function upload(file: File, { api, attempts, place, cancelAt, ...options }: Start): Promise<Outcome> {
  const controller = new AbortController();
  const progress: Progress[] = [];
  const counter = turns();
  const outcome: Outcome = { progress, turns: 0 };
  try {
    const media = await client(api, attempts).upload(file, {
      ...options,
      ...(place && { idempotencyKey: await fileKey(file, place) }),
      signal: controller.signal,
      onProgress: (p) => {
        if (p.phase === "hashing") outcome.turns = counter.taken;
        progress.push(p);
        lastProgress.set(file.name, p);
        if (cancelAt && p.phase === cancelAt.phase && p.loaded >= cancelAt.loaded) controller.abort();
      },
    });
    Object.assign(outcome, { id: media.id, state: MediaState[media.state] });
  } catch (e) {
    if (!(e instanceof UploadError)) throw e;
    outcome.error = { name: e.name, code: e.code, retryable: e.retryable, message: e.message, mediaId: e.mediaId, field: e.field };
  }
  counter.stop();
  return outcome;
}

const lastProgress = new Map<string, Progress>();

/** turns counts how often the page could run something else. */
function turns(): { taken: number; stop(): void } {
  const counter = { taken: 0, stop: () => clearInterval(timer) };
  const timer = setInterval(() => counter.taken++, 1);
  return counter;
}

const page = {
  upload,
  client,
  startUppy: (api: string) => startUppy(client(api)),
  startAwsS3: (api: string) => startAwsS3(client(api)),
  /** A file of so many bytes of noise-like content, made of parts so that the page does not hold it whole. */
  make(name: string, size: number, type = "image/png"): File {
    const part = new Uint8Array(Math.min(size, 1 << 20)).map((_, i) => (i * 31 + size + name.length * 7) % 251);
    const parts: Uint8Array<ArrayBuffer>[] = [];
    for (let left = size; left > 0; left -= part.length) parts.push(left >= part.length ? part : part.slice(0, left));
    return new File(parts, name, { type, lastModified: 1 });
  },
  chosen: () => [...(document.querySelector<HTMLInputElement>("#file")!.files ?? [])],
  progressOf: (name: string) => lastProgress.get(name),
};

declare global {
  interface Window {
    page: typeof page;
  }
}
window.page = page;
