import { sha256 } from "@noble/hashes/sha2.js";
import { createSHA256 } from "hash-wasm";

/** sliceBytes is how much of a file is in memory at a time. Smaller slices are slower: see the README. */
const sliceBytes = 4 << 20;

interface Hasher {
  update(bytes: Uint8Array): unknown;
  digest(): Uint8Array;
}

/** hasher is WebAssembly's, or, where the content security policy forbids that, plain JavaScript's, which is slower. */
async function hasher(): Promise<Hasher> {
  try {
    const wasm = await createSHA256();
    return { update: (bytes) => wasm.update(bytes), digest: () => wasm.digest("binary") };
  } catch {
    return sha256.create();
  }
}

/** hashBlob returns the SHA-256 of a file in base64. It reads slice by slice, and tells how many bytes are done. */
export async function hashBlob(file: Blob, told: (bytes: number) => void, stopped: () => boolean): Promise<string> {
  const hash = await hasher();
  for (let from = 0; from < file.size && !stopped(); from += sliceBytes) {
    const to = Math.min(from + sliceBytes, file.size);
    hash.update(new Uint8Array(await file.slice(from, to).arrayBuffer()));
    told(to);
  }
  return btoa(String.fromCharCode(...hash.digest()));
}
