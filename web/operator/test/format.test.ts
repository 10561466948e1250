import { expect, test } from "vitest";
import { ago, bytes, count, duration, share, things } from "../src/format.js";

test("sizes are told as the commands tell them", () => {
  const told: [number | bigint, string][] = [
    [0, "0 B"], [1, "1 B"], [1023, "1,023 B"], [1024, "1.0 KiB"], [1536, "1.5 KiB"], [1024 ** 2, "1.0 MiB"],
    [5n * 1024n ** 3n, "5.0 GiB"], [1024 ** 5, "1.0 PiB"], [2000 * 1024 ** 5, "2,000.0 PiB"],
  ];
  for (const [n, want] of told) expect(bytes(n)).toBe(want);
});

test("a length of time has two units at most", () => {
  const told: [number, string][] = [
    [0, "0 s"], [0.4, "under 1 ms"], [12.3, "12 ms"], [999, "999 ms"], [999.6, "1 s"], [1500, "1.5 s"], [9940, "9.9 s"], [12_400, "12 s"],
    [59_960, "1 min"], [90_000, "2 min"], [3_599_999, "1 h"], [3_600_000, "1 h"], [5_400_000, "1 h 30 min"], [47 * 3_600_000, "47 h"],
    [48 * 3_600_000, "2 d"], [175 * 3_600_000, "7 d 7 h"], [-1500, "-1.5 s"],
  ];
  for (const [ms, want] of told) expect(duration(ms), String(ms)).toBe(want);
});

test("a share never reads as nothing or everything when it is neither", () => {
  expect(share(0, 10)).toBe("0 %");
  expect(share(10, 10)).toBe("100 %");
  expect(share(1, 3)).toBe("33.3 %");
  expect(share(1, 10_000)).toBe("under 0.1 %");
  expect(share(9_999, 10_000)).toBe("over 99.9 %");
  expect(share(0, 0)).toBe("none");
});

test("moments are told by how far away they are", () => {
  const now = new Date("2026-01-02T03:04:05Z");
  const at = (ms: number) => new Date(now.getTime() + ms);
  expect(ago(at(-400), now)).toBe("now");
  expect(ago(at(-2_900), now)).toBe("2 s ago");
  expect(ago(at(-120_000), now)).toBe("2 min ago");
  expect(ago(at(86_400_000), now)).toBe("in 24 h");
});

test("numbers have all their digits, and names their number", () => {
  expect(count(1_234_567n)).toBe("1,234,567");
  expect(things(1, "landing")).toBe("1 landing");
  expect(things(0, "landing")).toBe("0 landings");
  expect(things(2, "media", "media")).toBe("2 media");
});
