import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { Slots } from "../src/slots.js";
import { backoff, online, sleep } from "../src/wait.js";

describe("slots", () => {
  it("let in so many, in their order", async () => {
    const slots = new Slots(2);
    const entered: number[] = [];
    const leaves = await Promise.all([slots.take(), slots.take()]);
    const rest = [3, 4, 5].map((n) => slots.take().then((leave) => { entered.push(n); return leave; }));
    await Promise.resolve();
    expect(entered).toEqual([]);
    leaves[0]!();
    leaves[0]!(); // once is enough
    await rest[0];
    expect(entered).toEqual([3]);
    leaves[1]!();
    await rest[1];
    (await rest[0]!)();
    await rest[2];
    expect(entered).toEqual([3, 4, 5]);
  });

  it("who is in and is cancelled takes nobody out of the queue", async () => {
    const slots = new Slots(1);
    const leave = await slots.take();
    const controller = new AbortController();
    const enters = slots.take(controller.signal);
    leave();
    const inside = await enters;
    const stays = slots.take();
    controller.abort();
    inside();
    (await stays)();
  });

  it("who leaves the queue takes nobody's place", async () => {
    const slots = new Slots(1);
    const leave = await slots.take();
    const controller = new AbortController();
    const quits = slots.take(controller.signal);
    const stays = slots.take();
    controller.abort();
    await expect(quits).rejects.toMatchObject({ code: "aborted" });
    leave();
    (await stays)();
    (await slots.take(controller.signal).catch(() => slots.take()))();
  });
});

it("pauses grow to their limit, at random", () => {
  vi.spyOn(Math, "random").mockReturnValueOnce(0).mockReturnValueOnce(0.5).mockReturnValueOnce(0.5).mockReturnValueOnce(0);
  expect([backoff(1, 500, 30_000), backoff(1, 500, 30_000), backoff(3, 500, 30_000), backoff(50, 500, 30_000)]).toEqual([250, 375, 1500, 15_000]);
  vi.restoreAllMocks();
});

describe("offline", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    const target = new EventTarget();
    vi.stubGlobal("addEventListener", target.addEventListener.bind(target));
    vi.stubGlobal("removeEventListener", target.removeEventListener.bind(target));
    vi.stubGlobal("dispatchEvent", target.dispatchEvent.bind(target));
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    vi.useRealTimers();
  });

  it("is what the browser says, and not where there is none", () => {
    vi.stubGlobal("navigator", { onLine: false });
    expect(online.now()).toBe(false);
    vi.stubGlobal("navigator", { onLine: true });
    expect(online.now()).toBe(true);
    vi.stubGlobal("navigator", undefined);
    expect(online.now()).toBe(true);
  });

  it("ends with the browser's event", async () => {
    const back = online.wait();
    globalThis.dispatchEvent(new Event("online"));
    await back;
  });

  it("is not believed for longer than 30 seconds", async () => {
    const told = vi.fn();
    void online.wait().then(told);
    await vi.advanceTimersByTimeAsync(29_000);
    expect(told).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(1_001);
    expect(told).toHaveBeenCalled();
  });

  it("and pauses end when the upload is cancelled", async () => {
    const controller = new AbortController();
    const waits = [online.wait(controller.signal), sleep(1e6, controller.signal)];
    controller.abort();
    for (const wait of waits) await expect(wait).rejects.toMatchObject({ code: "aborted" });
  });
});
