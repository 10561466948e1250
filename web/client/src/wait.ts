import { aborted, UploadError } from "./errors.js";

/** Sleep waits so many milliseconds, or rejects when the signal aborts. */
export type Sleep = (ms: number, signal?: AbortSignal) => Promise<void>;

export const sleep: Sleep = (ms, signal) =>
  abortable(new Promise((resolve) => setTimeout(resolve, ms)), signal);

/** abortable is the promise, or a rejection as soon as the signal aborts. What the promise does goes on. */
export function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise((resolve, reject) => {
    const stop = () => reject(aborted(signal));
    if (signal.aborted) return stop();
    signal.addEventListener("abort", stop, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", stop));
  });
}

/** backoff is the pause after the nth failure in a row, in milliseconds: up to twice as long each time, at random. */
export function backoff(n: number, first: number, max: number): number {
  return Math.min(max, first * 2 ** (n - 1)) * (0.5 + Math.random() / 2);
}

/**
 * Online tells whether the browser knows itself to be offline, and waits until that ends. Some browsers are wrong about it,
 * so the wait ends after a while in any case.
 */
export interface Online {
  now(): boolean;
  wait(signal?: AbortSignal): Promise<void>;
}

const longestOffline = 30_000;

export const online: Online = {
  now: () => globalThis.navigator?.onLine !== false,
  async wait(signal) {
    let back = () => {};
    const event = new Promise<void>((resolve) => {
      back = resolve;
      globalThis.addEventListener("online", back, { once: true });
    });
    try {
      await abortable(Promise.race([event, new Promise<void>((resolve) => setTimeout(resolve, longestOffline))]), signal);
    } finally {
      globalThis.removeEventListener("online", back);
    }
  },
};

/** Retry says how often something is tried. */
export interface Retry {
  readonly attempts: number;
  readonly sleep: Sleep;
  readonly online: Online;
}

/**
 * retry tries until it succeeds, fails with what is not retryable, or has failed so many times. What fails while the browser
 * is offline does not count: then it waits until that ends.
 */
export async function retry<T>(attempt: () => Promise<T>, how: Retry, signal?: AbortSignal): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof UploadError) || !error.retryable) throw error;
      if (!how.online.now()) {
        await how.online.wait(signal);
        failures = 0;
        continue;
      }
      if (++failures >= how.attempts) throw error;
      await how.sleep(backoff(failures, 500, 30_000), signal);
    }
  }
}
