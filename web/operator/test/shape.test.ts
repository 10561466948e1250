import { create } from "@bufbuild/protobuf";
import { timestampFromDate } from "@bufbuild/protobuf/wkt";
import { expect, test } from "vitest";
import {
  Age, DeleteReason, FunnelHourSchema, LandingCountSchema, LandingSource, MediaCountSchema, MediaState, OverviewSchema, ReconcileOutcome, ReconcileSchema,
} from "@coatcheck/client/proto";
import { summary } from "../src/summary.js";
import { ages, classes, hours, loss, lossOfRun, overdue, sources, states, sum, total, waiting } from "../src/shape.js";

const media = [
  { state: MediaState.CONFIRMED, age: Age.HOUR, media: 3n, bytes: 30n },
  { state: MediaState.CONFIRMED, age: Age.OLDER, media: 2n, bytes: 20n },
  { state: MediaState.DELETED, deleteReason: DeleteReason.UNCLAIMED, age: Age.DAY, media: 1n, bytes: 5n },
  { state: MediaState.DELETED, deleteReason: DeleteReason.NEVER_UPLOADED, age: Age.DAY, media: 4n, bytes: 8n },
].map((m) => create(MediaCountSchema, m));

test("classes hold every media once", () => {
  const rows = classes(media);
  expect(rows.map((r) => [r.state, r.reason, r.all.media])).toEqual([
    [MediaState.CONFIRMED, DeleteReason.UNSPECIFIED, 5], [MediaState.UPLOADED, DeleteReason.UNSPECIFIED, 0], [MediaState.PENDING, DeleteReason.UNSPECIFIED, 0],
    [MediaState.DELETED, DeleteReason.NEVER_UPLOADED, 4], [MediaState.DELETED, DeleteReason.UNCLAIMED, 1],
  ]);
  expect(rows[0]?.byAge.map((a) => a.bytes)).toEqual([30, 0, 0, 0, 20]);
  expect(rows.reduce((n, r) => n + r.byAge.reduce((m, a) => m + a.media, 0), 0)).toBe(total(media, () => true).media);
});

test("there is a place for every age, state and source", () => {
  const known = (e: object) => Object.values(e).filter((v) => typeof v === "number" && v > 0).length;
  expect(ages.length).toBe(known(Age));
  expect(states.length).toBe(known(MediaState));
  expect(sources.length).toBe(known(LandingSource));
});

test("the funnel has every hour up to the one that was counted", () => {
  const countedAt = new Date("2026-03-29T12:34:56Z");
  const told = (start: string, presigned: bigint) => create(FunnelHourSchema, { start: timestampFromDate(new Date(start)), presigned, landed: presigned - 1n });
  const all = hours([told("2026-03-29T12:00:00Z", 5n), told("2026-03-28T13:00:00Z", 7n), told("2026-03-28T12:00:00Z", 100n)], countedAt, 24);
  expect(all.length).toBe(24);
  expect(all[0]).toMatchObject({ start: new Date("2026-03-28T13:00:00Z"), presigned: 7, landed: 6 });
  expect(all[23]).toMatchObject({ start: new Date("2026-03-29T12:00:00Z"), presigned: 5, confirmed: 0 });
  expect(sum(all, "presigned")).toBe(12);
  expect(new Set(all.map((h) => h.start.getTime())).size).toBe(24);
});

test("the loss is that of all landings, however they were learnt", () => {
  const landings = [
    { source: LandingSource.NOTIFICATION, media: 97n, unnotified: 0n }, { source: LandingSource.CONFIRM, media: 2n, unnotified: 1n }, { source: LandingSource.SWEEP, media: 1n, unnotified: 1n },
  ].map((l) => create(LandingCountSchema, l));
  expect(loss(landings)).toEqual({ landed: 100, unnotified: 2 });
  expect(loss([])).toEqual({ landed: 0, unnotified: 0 });
});

test("a reconciliation's loss counts what it found itself too, as the metric does", () => {
  const run = (id: string, outcome: ReconcileOutcome, counts: Record<string, bigint>, source = "listing") => create(ReconcileSchema, { id, outcome, counts, settings: { source } });
  const finished = run("b", ReconcileOutcome.FINISHED, { landed_since: 8n, lost_notifications: 1n, landed: 2n });
  const newest = [run("d", ReconcileOutcome.UNSPECIFIED, { landed_since: 1n }), run("c", ReconcileOutcome.FINISHED, { landed_since: 1n }, "s3://inventory"), finished];
  expect(lossOfRun(newest)).toEqual({ landed: 10, unnotified: 3, run: finished });
  expect(lossOfRun([run("a", ReconcileOutcome.FINISHED, {})])).toBeUndefined();
  expect(lossOfRun([])).toBeUndefined();
});

test("what is overdue is added up over the states, and the oldest is the oldest of all", () => {
  const o = create(OverviewSchema, {
    media, missing: 1n,
    backlog: [
      { state: MediaState.PENDING, media: 10n, overdue: 2n, oldestOverdue: { seconds: 3n, nanos: 500_000_000 } },
      { state: MediaState.DELETING, media: 4n, overdue: 1n, oldestOverdue: { seconds: 60n } },
      { state: MediaState.UPLOADED, media: 6n },
    ],
  });
  expect(overdue(o)).toEqual({ media: 3, oldestMs: 60_000 });
  expect(overdue(create(OverviewSchema))).toEqual({ media: 0, oldestMs: 0 });
  expect(waiting(o, MediaState.PENDING)).toBe(10);
  expect(summary(o)).toBe("5 confirmed, 6 uploaded and unclaimed, 10 pending, 4 deleting, 1 missing, 3 overdue");
});
