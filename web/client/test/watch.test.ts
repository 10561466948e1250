import { Code, ConnectError } from "@connectrpc/connect";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { MediaState } from "../src/gen/coatcheck/v1/media_pb.js";
import { Watcher } from "../src/watch.js";
import { sleep } from "../src/wait.js";
import { forever, Service } from "./fake.js";

const minute = 60_000;
const unavailable = () => new ConnectError("stopping", Code.Unavailable);

let service: Service;
let watcher: Watcher;

beforeEach(() => {
  vi.useFakeTimers();
  service = new Service();
  watcher = new Watcher({ service: service.client, callTimeoutMs: 10_000, sleep, online: { now: () => true, wait: async () => {} } });
});
afterEach(() => void vi.useRealTimers());

const pending = (...ids: string[]) => ids.forEach((id) => service.states.set(id, MediaState.PENDING));
const pass = (ms: number) => vi.advanceTimersByTimeAsync(ms);
const wait = (id: string, signal?: AbortSignal) => {
  const result = watcher.wait(id, 10 * minute, signal);
  result.catch(() => {});
  return result;
};

describe("with a stream", () => {
  it("one stream serves all, and is begun again once when others join", async () => {
    pending("a", "b", "c");
    const told = new Map<string, () => void>();
    service.stream = async function* (ids) {
      yield await new Promise((tell) => told.set(ids.join(), () => tell({ media: { id: "b", state: MediaState.UPLOADED } })));
    };
    const waits = [wait("a"), wait("b"), wait("c")];
    await pass(50);
    expect(service.watched).toEqual([["a"]]);
    await pass(200);
    expect(service.watched).toEqual([["a"], ["a", "b", "c"]]);
    expect(service.streams).toBe(1);
    told.get("a,b,c")!();
    expect(await waits[1]).toMatchObject({ id: "b" });
    expect(service.asked).toEqual([]);
  });

  it("it ends when nobody waits any more", async () => {
    pending("a");
    const controller = new AbortController();
    const a = wait("a", controller.signal);
    await pass(10);
    expect(service.streams).toBe(1);
    controller.abort();
    await expect(a).rejects.toMatchObject({ code: "aborted" });
    await pass(10);
    expect(service.streams).toBe(0);
    await pass(5 * minute);
    expect(service.watched).toHaveLength(1);
  });

  it("two may wait for the same media, and one may leave", async () => {
    pending("a");
    service.stream = async function* () {
      await sleep(1000);
      yield { media: { id: "a", state: MediaState.CONFIRMED } };
    };
    const controller = new AbortController();
    const [first, second] = [wait("a", controller.signal), wait("a")];
    await pass(10);
    controller.abort();
    await expect(first).rejects.toMatchObject({ code: "aborted" });
    await pass(1000);
    expect(await second).toMatchObject({ state: MediaState.CONFIRMED });
  });

  it.each([MediaState.DELETING, MediaState.DELETED])("a media that is gone is told as such: state %s", async (state) => {
    service.states.set("a", state);
    const a = wait("a");
    await pass(10);
    await expect(a).rejects.toMatchObject({ code: "gone", mediaId: "a", retryable: false });
  });

  it("messages that only show that it is alive keep it", async () => {
    pending("a");
    service.stream = async function* () {
      for (;;) {
        await sleep(15_000);
        yield {};
      }
    };
    void wait("a");
    await pass(5 * minute);
    expect(service.watched).toHaveLength(1);
  });

  it("one that falls silent is begun again", async () => {
    pending("a");
    void wait("a");
    await pass(34_000);
    expect(service.watched).toHaveLength(1);
    await pass(2_000);
    expect(service.watched).toHaveLength(2);
    expect(service.asked).toEqual(["a"]);
  });

  it("one that breaks is begun again, after a look and a pause, as long as it works", async () => {
    pending("a");
    service.stream = async function* () {
      await sleep(10_000);
      throw unavailable();
    };
    const a = wait("a");
    await pass(2 * minute);
    expect(service.watched.length).toBeGreaterThan(8);
    expect(service.asked.length).toBeGreaterThan(8);
    service.states.set("a", MediaState.UPLOADED);
    await pass(12_000);
    expect(await a).toMatchObject({ id: "a" });
  });

  it("it watches 100 at most, and the others when there is room", async () => {
    const ids = Array.from({ length: 130 }, (_, i) => `m${i}`);
    pending(...ids);
    service.stream = async function* (watched) {
      await sleep(1000);
      for (const id of watched) yield { media: { id, state: MediaState.UPLOADED } };
      yield* forever();
    };
    const all = Promise.all(ids.map((id) => wait(id)));
    await pass(5000);
    expect(await all).toHaveLength(130);
    expect(service.asked).toEqual([]);
    expect(Math.max(...service.watched.map((w) => w.length))).toBe(100);
  });
});

describe("without a stream", () => {
  it("a service that has none is polled, and not asked for one again", async () => {
    pending("a");
    service.onWatch = () => {
      throw new ConnectError("no", Code.Unimplemented);
    };
    const a = wait("a");
    await pass(5 * minute);
    expect(service.watched).toHaveLength(1);
    // Slower and slower, but never slower than each 5 s.
    expect(service.asked.length).toBeGreaterThan(60);
    expect(service.asked.length).toBeLessThan(140);
    service.states.set("a", MediaState.UPLOADED);
    await pass(5_000);
    expect(await a).toMatchObject({ id: "a" });
    void wait("b");
    await pass(minute);
    expect(service.watched).toHaveLength(1);
  });

  it("one that fails three times in a row is polled for a minute, and then asked for one again", async () => {
    pending("a");
    service.onWatch = () => {
      throw unavailable();
    };
    void wait("a");
    await pass(30_000);
    expect(service.watched).toHaveLength(3);
    const asked = service.asked.length;
    expect(asked).toBeGreaterThan(6);
    await pass(45_000);
    expect(service.watched.length).toBeGreaterThan(3);
    expect(service.asked.length).toBeGreaterThan(asked);
  });

  it("a proxy that keeps a stream's answers back is noticed in ten seconds", async () => {
    pending("a");
    service.client.watchUpload = (_, options) => ({
      async *[Symbol.asyncIterator]() {
        await new Promise((_, no) => options!.signal!.addEventListener("abort", () => no(new ConnectError("stopped", Code.Canceled))));
        yield undefined as never;
      },
    });
    const a = wait("a");
    await pass(9_000);
    service.states.set("a", MediaState.UPLOADED);
    expect(service.asked).toEqual([]);
    await pass(2_000);
    expect(await a).toMatchObject({ id: "a" });
  });

  it("a media that does not exist fails alone", async () => {
    pending("a");
    const [a, b] = [wait("a"), wait("b")];
    await pass(1000);
    await expect(b).rejects.toMatchObject({ code: "gone" });
    await pass(5_000);
    service.states.set("a", MediaState.UPLOADED);
    await pass(40_000);
    expect(await a).toMatchObject({ id: "a" });
  });

  it("a poll that fails for now is repeated", async () => {
    pending("a");
    service.onWatch = () => {
      throw new ConnectError("no", Code.Unimplemented);
    };
    let failures = 3;
    service.onGet = () => {
      if (failures-- > 0) throw unavailable();
      service.states.set("a", MediaState.UPLOADED);
    };
    const a = wait("a");
    await pass(10_000);
    expect(await a).toMatchObject({ id: "a" });
  });
});

it("what is not heard of in time is told as such, and what to do", async () => {
  pending("a");
  const a = watcher.wait("a", minute);
  a.catch(() => {});
  await pass(minute + 1);
  await expect(a).rejects.toMatchObject({ code: "not_notified", retryable: true, mediaId: "a", message: expect.stringContaining("within 60 s") });
  await pass(10);
  expect(service.streams).toBe(0);
});
