import { hashBlob } from "./sha256.js";

/** HashRequest asks for the SHA-256 of a file, or, without one, to stop. */
export interface HashRequest {
  readonly id: number;
  readonly file?: Blob;
}

/** HashAnswer tells how far it is, or the checksum, or why there is none. */
export interface HashAnswer {
  readonly id: number;
  readonly done?: number;
  readonly checksum?: string;
  readonly error?: string;
}

const page = self as unknown as { onmessage: (event: MessageEvent<HashRequest>) => void; postMessage(answer: HashAnswer): void };
const stopped = new Set<number>();

// Several files are hashed in turns, a slice of each at a time.
page.onmessage = async ({ data: { id, file } }) => {
  if (!file) {
    stopped.add(id);
    return;
  }
  try {
    const checksum = await hashBlob(file, (done) => page.postMessage({ id, done }), () => stopped.has(id));
    page.postMessage({ id, checksum });
  } catch (error) {
    page.postMessage({ id, error: String(error) });
  } finally {
    stopped.delete(id);
  }
};
