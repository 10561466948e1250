import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it, vi } from "vitest";
import type { Progress } from "../src/client.js";
import { UploadError } from "../src/errors.js";
import { MediaState } from "../src/gen/coatcheck/v1/media_pb.js";
import { file, land, never, rig } from "./fake.js";

const network = () => new UploadError("network", "the line is cut");

describe("an upload", () => {
  it("declares the file, puts it, and waits until it has landed", async () => {
    const { client, service, put } = rig();
    const told: Progress[] = [];
    const media = await client.upload(file(), { metadata: { a: "1" }, onProgress: (p) => told.push(p) });
    expect(media.state).toBe(MediaState.UPLOADED);
    expect(service.created).toMatchObject([{ contentType: "image/png", sizeBytes: 6n, fileName: "coat.png", metadata: { a: "1" } }]);
    expect(service.created[0]!.checksumSha256).toHaveLength(44);
    expect(put.urls).toHaveLength(1);
    expect(told.map((p) => p.phase)).toEqual(["queued", "hashing", "hashing", "creating", "uploading", "waiting", "uploaded"]);
    expect(told.at(-1)).toEqual({ phase: "uploaded", loaded: 6, total: 6, mediaId: media.id });
    expect(service.cancelled).toEqual([]);
  });

  it("takes the caller's word over the file's", async () => {
    const { client, service } = rig();
    await client.upload(new Blob(["a"]), { contentType: "image/webp", fileName: "b", idempotencyKey: "k" });
    expect(service.created).toMatchObject([{ contentType: "image/webp", fileName: "b", idempotencyKey: "k" }]);
    await client.upload(new Blob(["a"]));
    expect(service.created[1]).toMatchObject({ contentType: "application/octet-stream", fileName: "" });
  });

  it("has a key of its own, and the server's form of one, when it is given none", async () => {
    const { client, service } = rig();
    await client.upload(file());
    await client.upload(file());
    const keys = service.created.map((c) => c.idempotencyKey);
    expect(new Set(keys).size).toBe(2);
    for (const key of keys) expect(key).toMatch(/^[!-~]{16,128}$/);
  });
});

describe("a failed attempt", () => {
  it("is followed by another with a fresh URL and the same key, after a pause that grows", async () => {
    const { client, service, put, pauses } = rig();
    put.do = async (request) => {
      if (put.urls.length < 4) throw network();
      land(service, request.url);
    };
    await client.upload(file());
    expect(new Set(put.urls).size).toBe(4);
    expect(new Set(service.created.map((c) => c.idempotencyKey)).size).toBe(1);
    expect(pauses).toHaveLength(3);
    pauses.forEach((ms, i) => {
      expect(ms).toBeGreaterThanOrEqual(250 * 2 ** i);
      expect(ms).toBeLessThanOrEqual(500 * 2 ** i);
    });
  });

  it.each(["network", "unavailable", "expired"] as const)("is given up after so many: %s", async (code) => {
    const { client, service, put } = rig();
    put.do = async () => Promise.reject(new UploadError(code, "again"));
    const failure = await client.upload(file()).catch((e: unknown) => e as UploadError);
    expect(failure).toMatchObject({ code, retryable: true, mediaId: `media-${service.created[0]!.idempotencyKey}` });
    expect(put.urls).toHaveLength(4);
    await new Promise((next) => setTimeout(next, 20)); // a call of the fake service takes some turns
    expect(service.cancelled, "a later upload with its key may take it up").toEqual([]);
  });

  it.each(["file_changed", "s3_refused"] as const)("is not repeated, and cancelled, when that is of no use: %s", async (code) => {
    const { client, service, put } = rig();
    put.do = async () => Promise.reject(new UploadError(code, "no"));
    await expect(client.upload(file())).rejects.toMatchObject({ code, retryable: false });
    expect(put.urls).toHaveLength(1);
    await vi.waitFor(() => expect(service.cancelled).toHaveLength(1));
  });

  it("that got through after all needs no other", async () => {
    const { client, service, put } = rig();
    put.do = async (request) => {
      land(service, request.url);
      throw network();
    };
    await client.upload(file());
    expect(put.urls).toHaveLength(1);
    expect(service.created).toHaveLength(2);
  });

  it("does not count while the browser is offline", async () => {
    const r = rig();
    r.online.is = false;
    let after = 3; // attempts that fail once it is online again, one less than there are
    r.put.do = async (request) => {
      if (!r.online.is || after-- > 0) throw network();
      land(r.service, request.url);
    };
    await r.client.upload(file());
    expect(r.online.waits).toBe(20);
    expect(r.pauses).toHaveLength(3);
  });

  it("of CreateUpload is repeated when the service does not answer, and not when it refuses", async () => {
    const { client, service } = rig();
    service.onCreate = (n) => {
      if (n < 3) throw new ConnectError("try again", Code.Unavailable);
    };
    await client.upload(file());
    expect(service.created).toHaveLength(3);

    service.onCreate = () => {
      throw new ConnectError("contentType: not allowed", Code.InvalidArgument);
    };
    await expect(client.upload(file())).rejects.toMatchObject({ code: "invalid" });
    expect(service.created).toHaveLength(4);
    expect(service.cancelled).toEqual([]);
  });

  it("that nobody foresaw is an UploadError too", async () => {
    const { client, put } = rig();
    put.do = async () => Promise.reject(new RangeError("what"));
    const failure = await client.upload(file()).catch((e: unknown) => e);
    expect(failure).toBeInstanceOf(UploadError);
    expect(failure).toMatchObject({ code: "internal", cause: new RangeError("what") });
  });
});

describe("cancelling", () => {
  it("before it has begun asks nothing", async () => {
    const { client, service } = rig();
    await expect(client.upload(file(), { signal: AbortSignal.abort() })).rejects.toMatchObject({ name: "AbortError", code: "aborted" });
    expect(service.created).toEqual([]);
  });

  it("in the queue leaves it", async () => {
    const { client, service, put } = rig({ concurrency: 1 });
    put.do = never;
    void client.upload(file());
    const controller = new AbortController();
    const second = client.upload(file(), { signal: controller.signal });
    controller.abort("changed my mind");
    await expect(second).rejects.toMatchObject({ code: "aborted", cause: "changed my mind" });
    await vi.waitFor(() => expect(service.created).toHaveLength(1));
  });

  it("while CreateUpload is under way cancels what it makes", async () => {
    const { client, service, put } = rig();
    const controller = new AbortController();
    let answer = () => {};
    service.onCreate = () => new Promise<void>((resolve) => (answer = resolve));
    const upload = client.upload(file(), { signal: controller.signal });
    await vi.waitFor(() => expect(service.created).toHaveLength(1));
    controller.abort();
    await expect(upload).rejects.toMatchObject({ code: "aborted" });
    expect(service.cancelled).toEqual([]);
    answer();
    await vi.waitFor(() => expect(service.cancelled).toHaveLength(1));
    expect(put.urls).toEqual([]);
  });

  it("between two attempts ends the pause", async () => {
    const { client, service, put } = rig({ retry: { attempts: 3, sleep: (_, signal) => new Promise((_, no) => signal!.addEventListener("abort", () => no(new UploadError("aborted", "")))), online: { now: () => true, wait: never } } });
    const controller = new AbortController();
    put.do = async () => Promise.reject(network());
    const upload = client.upload(file(), { signal: controller.signal });
    await vi.waitFor(() => expect(put.urls).toHaveLength(1));
    controller.abort();
    await expect(upload).rejects.toMatchObject({ code: "aborted" });
    await vi.waitFor(() => expect(service.cancelled).toHaveLength(1));
  });

  it("while it waits to have landed tells the service", async () => {
    const { client, service, put } = rig();
    put.do = async () => {};
    const controller = new AbortController();
    const upload = client.upload(file(), { signal: controller.signal, onProgress: ({ phase }) => phase === "waiting" && setImmediate(() => controller.abort()) });
    await expect(upload).rejects.toMatchObject({ code: "aborted" });
    await vi.waitFor(() => expect(service.cancelled).toHaveLength(1));
    await vi.waitFor(() => expect(service.streams).toBe(0));
  });

  it("what is claimed is refused as such", async () => {
    const { client, service } = rig();
    service.client.cancelUpload = async () => { throw new ConnectError("it is claimed", Code.FailedPrecondition); };
    await expect(client.cancel("m")).rejects.toBeInstanceOf(UploadError);
  });
});

describe("many uploads", () => {
  it("go on so many at a time, and those that wait to have landed take no place", async () => {
    const { client, service, put } = rig({ concurrency: 2 });
    let now = 0;
    let most = 0;
    put.do = async () => {
      most = Math.max(most, ++now);
      await new Promise((next) => setImmediate(next));
      now--;
    };
    const uploads = Promise.all(Array.from({ length: 10 }, () => client.upload(file())));
    await vi.waitFor(() => expect(put.urls).toHaveLength(10)); // none has landed
    expect(most).toBe(2);
    service.stream = async function* (ids) {
      for (const id of ids) yield { media: { id, state: MediaState.UPLOADED } };
    };
    expect(await uploads).toHaveLength(10);
  });

  it("go on when one of them fails", async () => {
    const { client, service, put } = rig({ concurrency: 1 });
    put.do = async (request) => {
      if (put.urls.length === 1) throw new UploadError("s3_refused", "no");
      land(service, request.url);
    };
    const results = await Promise.allSettled([client.upload(file()), client.upload(file())]);
    expect(results.map((r) => r.status)).toEqual(["rejected", "fulfilled"]);
  });
});

describe("create", () => {
  it("declares a file for code that sends it by other means", async () => {
    const { client, service, put } = rig();
    const { media, request } = await client.create(file(), { idempotencyKey: "k" });
    expect(media!.id).toBe("media-k");
    expect(request!.method).toBe("PUT");
    land(service, request!.url);
    expect(await client.wait(media!.id)).toMatchObject({ state: MediaState.UPLOADED });
    expect((await client.create(file(), { idempotencyKey: "k" })).request).toBeUndefined();
    expect(put.urls).toEqual([]);
  });
});
