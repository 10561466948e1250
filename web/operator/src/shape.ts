// What the overview says, in the shapes that are shown.
import { timestampDate, type Duration, type Timestamp } from "@bufbuild/protobuf/wkt";
import { Age, DeleteReason, LandingSource, MediaState, type FunnelHour, type LandingCount, type MediaCount, ReconcileOutcome, type Overview, type Reconcile } from "@coatcheck/client/proto";

/** Amount is a number of media and their declared bytes. */
export interface Amount {
  readonly media: number;
  readonly bytes: number;
}

export const ages = [Age.HOUR, Age.DAY, Age.WEEK, Age.MONTH, Age.OLDER] as const;
export const states = [MediaState.CONFIRMED, MediaState.UPLOADED, MediaState.PENDING, MediaState.DELETING, MediaState.DELETED] as const;
export const sources = [LandingSource.NOTIFICATION, LandingSource.CONFIRM, LandingSource.SWEEP, LandingSource.RECONCILE] as const;

/** total adds up the groups that are asked for. */
export function total(media: readonly MediaCount[], of: (m: MediaCount) => boolean): Amount {
  let sum = { media: 0, bytes: 0 };
  for (const m of media) if (of(m)) sum = { media: sum.media + Number(m.media), bytes: sum.bytes + Number(m.bytes) };
  return sum;
}

/** MediaClass is a row of the table of classes: a state, and for what is or was deleted why. */
export interface MediaClass {
  readonly state: MediaState;
  readonly reason: DeleteReason;
  readonly byAge: readonly Amount[]; // in the order of ages
  readonly all: Amount;
}

/** classes are the classes that there are, by state and reason. States other than DELETING and DELETED are always there. */
export function classes(media: readonly MediaCount[]): MediaClass[] {
  const rows: MediaClass[] = [];
  for (const state of states) {
    const reasons = new Set(media.filter((m) => m.state === state).map((m) => m.deleteReason));
    if (state !== MediaState.DELETING && state !== MediaState.DELETED) reasons.add(DeleteReason.UNSPECIFIED);
    for (const reason of [...reasons].sort((a, b) => a - b)) {
      const own = (m: MediaCount) => m.state === state && m.deleteReason === reason;
      rows.push({ state, reason, byAge: ages.map((age) => total(media, (m) => own(m) && m.age === age)), all: total(media, own) });
    }
  }
  return rows;
}

export interface Hour {
  readonly start: Date;
  readonly presigned: number;
  readonly landed: number;
  readonly confirmed: number;
  readonly neverUploaded: number;
  readonly unclaimed: number;
}

const hourMs = 3_600_000;

/** hours are the last n hours, up to the one in which the funnel was counted, also those in which nothing was created. */
export function hours(funnel: readonly FunnelHour[], countedAt: Date, n: number): Hour[] {
  const told = new Map(funnel.map((h) => [Math.floor(date(h.start).getTime() / hourMs), h]));
  const last = Math.floor(countedAt.getTime() / hourMs);
  return Array.from({ length: n }, (_, i) => {
    const h = told.get(last - n + 1 + i);
    return {
      start: new Date((last - n + 1 + i) * hourMs),
      presigned: Number(h?.presigned ?? 0),
      landed: Number(h?.landed ?? 0),
      confirmed: Number(h?.confirmed ?? 0),
      neverUploaded: Number(h?.neverUploaded ?? 0),
      unclaimed: Number(h?.unclaimed ?? 0),
    };
  });
}

export type Step = Exclude<keyof Hour, "start">;

/** sum adds up one step of the funnel. */
export function sum(all: readonly Hour[], step: Step): number {
  return all.reduce((n, h) => n + h[step], 0);
}

/** Loss is how many landings no notification has told of. */
export interface Loss {
  readonly landed: number;
  readonly unnotified: number;
}

/** loss is that of the landings of the last 7 days; some of those notifications may be on their way. */
export function loss(landings: readonly LandingCount[]): Loss {
  return {
    landed: landings.reduce((n, l) => n + Number(l.media), 0),
    unnotified: landings.reduce((n, l) => n + Number(l.unnotified), 0),
  };
}

/**
 * lossOfRun is what the newest finished reconciliation of a listing measured: of what landed since the one before it, what a
 * sweep or the listing had to find. It is the metric coatcheck_reconcile_lost_notifications_share.
 */
export function lossOfRun(newestFirst: readonly Reconcile[]): (Loss & { readonly run: Reconcile }) | undefined {
  const run = newestFirst.find((r) => r.outcome === ReconcileOutcome.FINISHED && r.settings?.source === "listing");
  if (!run) return undefined;
  const counted = (name: string) => Number(run.counts[name] ?? 0);
  const landed = counted("landed_since") + counted("landed");
  return landed === 0 ? undefined : { landed, unnotified: counted("lost_notifications") + counted("landed"), run };
}

/** overdue is how much is due and not taken, and for how long the oldest. */
export function overdue(o: Overview): { media: number; oldestMs: number } {
  return {
    media: o.backlog.reduce((n, b) => n + Number(b.overdue), 0),
    oldestMs: Math.max(0, ...o.backlog.map((b) => (b.oldestOverdue ? ms(b.oldestOverdue) : 0))),
  };
}

/** waiting is how many media the backlog says are in a state: the number of the metric coatcheck_media. */
export function waiting(o: Overview, state: MediaState): number {
  return Number(o.backlog.find((b) => b.state === state)?.media ?? 0);
}

export function ms(d: Duration): number {
  return Number(d.seconds) * 1000 + d.nanos / 1e6;
}

/** date is the moment of a timestamp that is set. */
export function date(t: Timestamp | undefined): Date {
  return t ? timestampDate(t) : new Date(0);
}
