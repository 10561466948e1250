import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import { DeleteReason, LandingSource, MediaRecordSchema, MediaState } from "@coatcheck/client/proto";
import { life } from "../src/life.js";

const now = new Date("2026-05-01T12:00:00Z");
const at = (minutes: number) => timestampFromDate(new Date(now.getTime() + minutes * 60_000));

test("a life is told in the order of time, and what is to come as such", () => {
  const steps = life(create(MediaRecordSchema, {
    media: { state: MediaState.UPLOADED, createdAt: at(-10), landedAt: at(-9), landedBy: LandingSource.NOTIFICATION, owner: "ann" },
    urlExpiresAt: at(-5), dueAt: at(60), notified: true,
  }), now);
  expect(steps.map((s) => [s.name, s.ahead])).toEqual([["Created", false], ["Landed", false], ["URL expires", false], ["Claim window ends", true]]);
  expect(steps[0]?.detail).toBe("for ann");
  expect(steps[1]?.detail).toBe("S3 told of it.");
});

test("a deleted media's life tells why it was deleted", () => {
  const steps = life(create(MediaRecordSchema, {
    media: { state: MediaState.DELETED, deleteReason: DeleteReason.RELEASED, createdAt: at(-90), landedAt: at(-89), landedBy: LandingSource.CONFIRM, confirmedAt: at(-89), claim: "post/1", deletedAt: at(-1) },
    urlExpiresAt: at(-85), deletingAt: at(-2), dueAt: at(10_000),
  }), now);
  expect(steps.map((s) => s.name)).toEqual(["Created", "Landed", "Confirmed", "URL expires", "Deleting", "Deleted", "Forgotten"]);
  expect(steps[1]?.detail).toContain("notification has not arrived");
  expect(steps[2]?.detail).toBe("claimed by post/1");
  expect(steps[4]?.detail).toContain("released its claim");
});

test("what is confirmed has nothing to come", () => {
  const steps = life(create(MediaRecordSchema, { media: { state: MediaState.CONFIRMED, createdAt: at(-3), landedAt: at(-2), confirmedAt: at(-1) }, urlExpiresAt: at(2), missingSince: at(-1) }), now);
  expect(steps.map((s) => [s.name, s.ahead])).toEqual([["Created", false], ["Landed", false], ["Confirmed", false], ["Found missing", false], ["URL expires", true]]);
});
