import { Code, ConnectError } from "@connectrpc/connect";
import type { Media } from "@coatcheck/client/proto";
import { uploads } from "./service.js";

const silenceMs = 35_000; // the service says something every 15 s
const callMs = 10_000;

/** Feed tells of media, each as it is and each time that it changes, by one stream for all. */
export class Feed {
  readonly #ids = new Set<string>();
  readonly #told: (media: Media) => void;
  readonly #forgotten: (id: string) => void;
  readonly #reached: (reached: boolean) => void;
  #stream: AbortController | undefined;
  #running = false;

  /** told is called with each news, forgotten with an id that the service does not know, reached when it is there or not. */
  constructor(told: (media: Media) => void, forgotten: (id: string) => void, reached: (reached: boolean) => void) {
    [this.#told, this.#forgotten, this.#reached] = [told, forgotten, reached];
  }

  add(...ids: string[]): void {
    for (const id of ids) this.#ids.add(id);
    this.#stream?.abort();
    if (!this.#running) void this.#run();
  }

  remove(id: string): void {
    this.#ids.delete(id);
    if (this.#ids.size === 0) this.#stream?.abort();
  }

  async #run(): Promise<void> {
    this.#running = true;
    for (let failures = 0; this.#ids.size > 0; ) {
      if (await this.#watch()) {
        failures = 0;
        continue;
      }
      // Where a stream ends, each is asked for: one that is unknown ends the stream for all.
      failures = (await this.#ask()) ? 1 : failures + 1;
      if (this.#ids.size > 0) await new Promise((later) => setTimeout(later, Math.min(5_000, 250 * 2 ** failures)));
    }
    this.#running = false;
  }

  /** #watch streams until other ids are to be watched, which it reports with true, or the stream ends. */
  async #watch(): Promise<boolean> {
    const stream = (this.#stream = new AbortController());
    const silent = new AbortController();
    let timer = setTimeout(() => silent.abort(), silenceMs);
    try {
      const signal = AbortSignal.any([stream.signal, silent.signal]);
      for await (const { media } of uploads.watchUpload({ mediaIds: [...this.#ids] }, { signal })) {
        clearTimeout(timer);
        timer = setTimeout(() => silent.abort(), silenceMs);
        this.#reached(true);
        if (media) this.#told(media);
      }
    } catch {
      // #ask finds out what is wrong
    } finally {
      clearTimeout(timer);
      this.#stream = undefined;
    }
    return stream.signal.aborted;
  }

  async #ask(): Promise<boolean> {
    const ids = [...this.#ids];
    const one = async (id: string) => {
      try {
        const { media } = await uploads.getUpload({ mediaId: id }, { timeoutMs: callMs });
        if (media) this.#told(media);
      } catch (error) {
        if (ConnectError.from(error).code !== Code.NotFound) return false;
        this.#ids.delete(id);
        this.#forgotten(id);
      }
      return true;
    };
    let reached = true;
    for (const id of ids) reached &&= await one(id);
    this.#reached(reached);
    return reached;
  }
}
