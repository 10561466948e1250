import { aborted, unreadable } from "./errors.js";
import type { HashAnswer, HashRequest } from "./hash-worker.js";
import { abortable } from "./wait.js";

/** Hash returns the SHA-256 of a file in base64. */
export type Hash = (file: Blob, told: (bytes: number) => void, signal?: AbortSignal) => Promise<string>;

interface Job {
  told(bytes: number): void;
  resolve(checksum: string): void;
  reject(error: unknown): void;
}

class NoWorker extends Error {}

/**
 * createHash hashes in one worker for all files, which is there only while there is something to hash: it is faster than
 * any network that the files then go through. Where there can be no worker it hashes on the page, slice by slice, and the
 * page has its turn between two slices.
 */
export function createHash(start: () => Worker): Hash {
  const jobs = new Map<number, Job>();
  let worker: Worker | undefined;
  let broken = false;
  let last = 0;

  function end(id: number) {
    jobs.delete(id);
    if (jobs.size > 0) return;
    worker?.terminate();
    worker = undefined;
  }

  function run(): Worker {
    if (worker) return worker;
    const started = start();
    started.onmessage = ({ data }: MessageEvent<HashAnswer>) => {
      const job = jobs.get(data.id);
      if (data.done !== undefined) job?.told(data.done);
      else if (data.checksum !== undefined) job?.resolve(data.checksum);
      else job?.reject(unreadable(data.error));
    };
    // The script did not load, or may not run: a policy, another origin, a bundler that left it out.
    started.onerror = (event) => {
      event.preventDefault();
      for (const job of jobs.values()) job.reject(new NoWorker());
    };
    return (worker = started);
  }

  async function inWorker(file: Blob, told: (bytes: number) => void, signal?: AbortSignal): Promise<string> {
    const id = ++last;
    const done = new Promise<string>((resolve, reject) => jobs.set(id, { told, resolve, reject }));
    done.catch(() => {}); // it is not listened to when run() throws
    try {
      let port: Worker;
      try {
        port = run();
      } catch {
        throw new NoWorker();
      }
      port.postMessage({ id, file } satisfies HashRequest);
      return await abortable(done, signal);
    } finally {
      if (signal?.aborted) worker?.postMessage({ id } satisfies HashRequest);
      end(id);
    }
  }

  return async (file, told, signal) => {
    if (!broken) {
      try {
        return await inWorker(file, told, signal);
      } catch (error) {
        if (!(error instanceof NoWorker)) throw error;
        broken = true;
      }
    }
    const { hashBlob } = await import("./sha256.js");
    const checksum = await hashBlob(file, told, () => signal?.aborted === true).catch((error: unknown) => {
      throw unreadable(error);
    });
    if (signal?.aborted) throw aborted(signal);
    return checksum;
  };
}

/** hashWorker starts the worker's script in the form that Vite, webpack, Rollup and Parcel know how to bundle. */
export const hashWorker = () => new Worker(new URL("./hash-worker.js", import.meta.url), { type: "module" });
