import { createHash as nodeHash } from "node:crypto";
import { afterEach, describe, expect, it, vi } from "vitest";
import { fileKey } from "../src/filekey.js";
import { createHash } from "../src/hash.js";
import type { HashAnswer, HashRequest } from "../src/hash-worker.js";
import { hashBlob } from "../src/sha256.js";

const slice = 4 << 20;
const expected = (bytes: Uint8Array) => nodeHash("sha256").update(bytes).digest("base64");
const content = (size: number) => new Uint8Array(size).map((_, i) => (i * 7) % 251);

describe.each(["WebAssembly", "plain JavaScript"])("SHA-256 by %s", (by) => {
  afterEach(() => void vi.unstubAllGlobals());

  it.each([0, 1, slice - 1, slice, slice + 1, 2 * slice + 5])("of %i bytes", async (size) => {
    if (by !== "WebAssembly") vi.stubGlobal("WebAssembly", undefined);
    const bytes = content(size);
    const told: number[] = [];
    expect(await hashBlob(new Blob([bytes]), (n) => told.push(n), () => false)).toBe(expected(bytes));
    expect(told).toHaveLength(Math.ceil(size / slice));
    expect(told.at(-1) ?? 0).toBe(size);
  });
});

/** A worker as the browser has it, as far as hash.ts knows. */
class FakeWorker {
  static readonly all: FakeWorker[] = [];
  readonly got: HashRequest[] = [];
  terminated = false;
  onmessage: (event: { data: HashAnswer }) => void = () => {};
  onerror: (event: { preventDefault(): void }) => void = () => {};
  constructor() {
    FakeWorker.all.push(this);
  }
  postMessage(request: HashRequest) {
    this.got.push(request);
  }
  terminate() {
    this.terminated = true;
  }
}
const fake = () => {
  FakeWorker.all.length = 0;
  return createHash(() => new FakeWorker() as unknown as Worker);
};
const blob = new Blob(["a coat"]);
const sum = expected(new TextEncoder().encode("a coat"));
const ignore = () => {};

describe("hashing", () => {
  it("has one worker for all files, as long as there are any", async () => {
    const hash = fake();
    const told: number[] = [];
    const [a, b] = [hash(blob, (n) => told.push(n)), hash(blob, ignore)];
    const [worker] = FakeWorker.all;
    expect(FakeWorker.all).toHaveLength(1);
    worker!.onmessage({ data: { id: 2, checksum: "second" } });
    expect(await b).toBe("second");
    expect(worker!.terminated).toBe(false);
    worker!.onmessage({ data: { id: 1, done: 3 } });
    worker!.onmessage({ data: { id: 1, checksum: "first" } });
    expect(await a).toBe("first");
    expect(told).toEqual([3]);
    expect(worker!.terminated).toBe(true);
    void hash(blob, ignore);
    expect(FakeWorker.all).toHaveLength(2);
  });

  it("is done on the page when the worker's script does not load, for good", async () => {
    const hash = fake();
    const both = [hash(blob, ignore), hash(blob, ignore)];
    FakeWorker.all[0]!.onerror({ preventDefault: ignore });
    expect(await Promise.all(both)).toEqual([sum, sum]);
    expect(await hash(blob, ignore)).toBe(sum);
    expect(FakeWorker.all).toHaveLength(1);
  });

  it("is done on the page when there may be no worker", async () => {
    const start = vi.fn(() => { throw new DOMException("no", "SecurityError"); });
    const hash = createHash(start);
    expect(await hash(blob, ignore)).toBe(sum);
    expect(await hash(blob, ignore)).toBe(sum);
    expect(start).toHaveBeenCalledTimes(1);
  });

  it("that is cancelled stops in the worker, and the others go on", async () => {
    const hash = fake();
    const controller = new AbortController();
    const [a, b] = [hash(blob, ignore, controller.signal), hash(blob, ignore)];
    controller.abort();
    await expect(a).rejects.toMatchObject({ code: "aborted" });
    const [worker] = FakeWorker.all;
    expect(worker!.got.at(-1)).toEqual({ id: 1 });
    worker!.onmessage({ data: { id: 2, checksum: "second" } });
    expect(await b).toBe("second");
  });

  it("that is cancelled on the page stops", async () => {
    const hash = createHash(() => { throw new Error("no"); });
    const controller = new AbortController();
    const told: number[] = [];
    const big = new Blob([content(3 * slice)]);
    await expect(hash(big, (n) => { told.push(n); controller.abort(); }, controller.signal)).rejects.toMatchObject({ code: "aborted" });
    expect(told).toHaveLength(1);
  });

  it("tells that a file cannot be read", async () => {
    const hash = fake();
    const a = hash(blob, ignore);
    FakeWorker.all[0]!.onmessage({ data: { id: 1, error: "NotReadableError" } });
    await expect(a).rejects.toMatchObject({ code: "file_changed", retryable: false });

    const onPage = createHash(() => { throw new Error("no"); });
    const gone = { size: 5, slice: () => ({ arrayBuffer: () => Promise.reject(new DOMException("", "NotReadableError")) }) } as unknown as Blob;
    await expect(onPage(gone, ignore)).rejects.toMatchObject({ code: "file_changed" });
  });
});

describe("a file's key", () => {
  const file = (name = "a.png", text = "abc", type = "image/png", lastModified = 1) => new File([text], name, { type, lastModified });

  it("is the same for the same file and place, and has the form that the service takes", async () => {
    const key = await fileKey(file(), "draft/7");
    expect(key).toBe(await fileKey(file(), "draft/7"));
    expect(key).toMatch(/^[!-~]{20,128}$/);
  });

  it("is another one for whatever differs", async () => {
    const keys = await Promise.all([
      fileKey(file(), "draft/7"), fileKey(file(), "draft/8"), fileKey(file("b.png"), "draft/7"), fileKey(file("a.png", "abcd"), "draft/7"),
      fileKey(file("a.png", "abc", "image/gif"), "draft/7"), fileKey(file("a.png", "abc", "image/png", 2), "draft/7"),
    ]);
    expect(new Set(keys).size).toBe(keys.length);
  });
});
