import { aborted } from "./errors.js";

/** Slots lets so many in at a time, in the order in which they came. */
export class Slots {
  #free: number;
  readonly #queue: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** take waits for a slot and returns what gives it back; calling that again does nothing. */
  async take(signal?: AbortSignal): Promise<() => void> {
    if (signal?.aborted) throw aborted(signal);
    if (this.#free > 0) {
      this.#free--;
    } else {
      await new Promise<void>((resolve, reject) => {
        const enter = () => {
          signal?.removeEventListener("abort", leave);
          resolve();
        };
        const leave = () => {
          this.#queue.splice(this.#queue.indexOf(enter), 1);
          reject(aborted(signal!));
        };
        this.#queue.push(enter);
        signal?.addEventListener("abort", leave, { once: true });
      });
    }
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      const next = this.#queue.shift();
      if (next) next();
      else this.#free++;
    };
  }
}
