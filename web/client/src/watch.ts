import { Code, ConnectError, type Client as ConnectClient } from "@connectrpc/connect";
import { fromService, UploadError } from "./errors.js";
import { DeleteReason, MediaState, type Media } from "./gen/coatcheck/v1/media_pb.js";
import type { UploadService } from "./gen/coatcheck/v1/upload_service_pb.js";
import { abortable, backoff, type Online, type Sleep } from "./wait.js";

const mostWatched = 100; // WatchUpload takes no more
const firstMessageMs = 10_000; // each media is told of at once; a proxy that collects answers keeps them back
const silenceMs = 35_000; // the service says something every 15 s
const restartMs = 100; // media that begin to wait together are watched together
const mostFailures = 3;
const pollingMs = 60_000; // how long to poll before a stream is tried again

interface Waiting {
  readonly landed: Promise<Media>;
  resolve(media: Media): void;
  reject(error: unknown): void;
  waiters: number;
}

export interface WatcherConfig {
  readonly service: ConnectClient<typeof UploadService>;
  readonly callTimeoutMs: number;
  readonly sleep: Sleep;
  readonly online: Online;
}

/**
 * Watcher waits for media to land. One stream serves all of them: over HTTP/1.1 a browser has six connections to a host,
 * and each stream holds one. Where there is no stream to be had it polls.
 */
export class Watcher {
  readonly #c: WatcherConfig;
  readonly #waiting = new Map<string, Waiting>();
  #watched: ReadonlySet<string> = new Set();
  #stop: (() => void) | undefined; // ends the stream
  #restart: ReturnType<typeof setTimeout> | undefined;
  #running = false;
  #pollUntil = 0;

  constructor(config: WatcherConfig) {
    this.#c = config;
  }

  /** wait returns the media once it has landed, and fails when it is gone, or when that takes too long. */
  async wait(id: string, timeoutMs: number, signal?: AbortSignal): Promise<Media> {
    let entry = this.#waiting.get(id);
    if (!entry) this.#waiting.set(id, (entry = newWaiting()));
    entry.waiters++;
    if (this.#running) this.#restartSoon();
    else void this.#run();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(notNotified(id, timeoutMs)), timeoutMs);
    });
    try {
      return await abortable(Promise.race([entry.landed, late]), signal);
    } finally {
      clearTimeout(timer);
      if (--entry.waiters === 0 && this.#waiting.get(id) === entry) this.#forget(id);
    }
  }

  async #run() {
    this.#running = true;
    let failures = 0; // in a row: of the stream, then of polling, which has nothing else to tell it when to ask
    while (this.#waiting.size > 0) {
      if (!this.#c.online.now()) await this.#c.online.wait();
      if (Date.now() >= this.#pollUntil) {
        const end = await this.#stream();
        if (end === "replaced") continue;
        failures = end === "broken" ? 1 : failures + 1;
        if (end === "unimplemented") this.#pollUntil = Infinity;
        else if (failures >= mostFailures) this.#pollUntil = Date.now() + pollingMs;
      } else {
        failures++;
      }
      if (await this.#poll()) failures = 0;
      if (this.#waiting.size > 0) await this.#c.sleep(backoff(failures + 1, 250, 5_000));
    }
    this.#running = false;
  }

  /**
   * #stream watches until it is replaced because others are to be watched or none is left; or it was broken after it had
   * worked; or it failed at once.
   */
  async #stream(): Promise<"replaced" | "broken" | "failed" | "unimplemented"> {
    const ids = [...this.#waiting.keys()].slice(0, mostWatched);
    this.#watched = new Set(ids);
    const controller = new AbortController();
    let replaced = false;
    this.#stop = () => {
      replaced = true;
      controller.abort();
    };
    let timer = setTimeout(() => controller.abort(), firstMessageMs);
    let worked = false;
    try {
      for await (const { media } of this.#c.service.watchUpload({ mediaIds: ids }, { signal: controller.signal })) {
        worked = true;
        clearTimeout(timer);
        timer = setTimeout(() => controller.abort(), silenceMs);
        if (media) this.#settle(media);
      }
    } catch (error) {
      if (!replaced && ConnectError.from(error).code === Code.Unimplemented) return "unimplemented";
    } finally {
      clearTimeout(timer);
      clearTimeout(this.#restart);
      this.#stop = this.#restart = undefined;
    }
    if (replaced) return "replaced";
    return worked ? "broken" : "failed";
  }

  #restartSoon() {
    if (!this.#stop || this.#restart) return;
    for (const id of this.#waiting.keys()) {
      if (this.#watched.has(id)) continue;
      this.#restart = setTimeout(() => this.#stop?.(), restartMs);
      return;
    }
  }

  /** #poll asks for each media once, and reports whether anything has come of it. */
  async #poll(): Promise<boolean> {
    const before = this.#waiting.size;
    const ids = [...this.#waiting.keys()];
    const ask = async () => {
      for (let id = ids.shift(); id !== undefined; id = ids.shift()) {
        try {
          const { media } = await this.#c.service.getUpload({ mediaId: id }, { timeoutMs: this.#c.callTimeoutMs });
          if (media) this.#settle(media);
        } catch (error) {
          const failure = fromService(error);
          if (failure.retryable) continue;
          this.#waiting.get(id)?.reject(failure);
          this.#forget(id);
        }
      }
    };
    await Promise.all([ask(), ask(), ask()]);
    return this.#waiting.size < before;
  }

  #settle(media: Media) {
    const entry = this.#waiting.get(media.id);
    if (!entry) return;
    switch (media.state) {
      case MediaState.UPLOADED:
      case MediaState.CONFIRMED:
        entry.resolve(media);
        return this.#forget(media.id);
      case MediaState.DELETING:
      case MediaState.DELETED:
        entry.reject(gone(media));
        return this.#forget(media.id);
    }
  }

  #forget(id: string) {
    this.#waiting.delete(id);
    if (this.#waiting.size === 0) this.#stop?.();
    else this.#restartSoon();
  }
}

function newWaiting(): Waiting {
  let resolve!: (media: Media) => void;
  let reject!: (error: unknown) => void;
  const landed = new Promise<Media>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  landed.catch(() => {}); // whoever waited may have left
  return { landed, resolve, reject, waiters: 0 };
}

/** gone is the error of a media that is DELETING or DELETED. */
function gone(media: Media): UploadError {
  const reason = (DeleteReason[media.deleteReason] ?? "unknown").toLowerCase();
  return new UploadError("gone", `media ${media.id} is gone (${reason}): upload the file anew`, { mediaId: media.id });
}

function notNotified(id: string, timeoutMs: number): UploadError {
  return new UploadError(
    "not_notified",
    `media ${id} was sent, and the service has not been told of it within ${timeoutMs / 1000} s: save what uses it all the same, since a confirmation asks S3 itself; and look at the service's consumer`,
    { mediaId: id },
  );
}
