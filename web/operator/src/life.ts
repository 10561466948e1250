// One media's life, as steps on a line.
import type { Timestamp } from "@bufbuild/protobuf/wkt";
import { DeleteReason, MediaState, type MediaRecord } from "@coatcheck/client/proto";
import { date } from "./shape.js";
import { reasonMeans, sourceMeans } from "./words.js";

export interface Step {
  readonly name: string;
  readonly at: Date;
  /** It is still to come. */
  readonly ahead: boolean;
  readonly detail: string;
}

/** life is what happened to a media, and what will unless something else does, in the order of time. */
export function life(r: MediaRecord, now: Date): Step[] {
  const m = r.media;
  if (!m) return [];
  const steps: Step[] = [];
  const add = (name: string, at: Timestamp | undefined, detail = "") => {
    if (at) steps.push({ name, at: date(at), ahead: date(at) > now, detail });
  };
  add("Created", m.createdAt, m.owner ? `for ${m.owner}` : "");
  add("URL expires", r.urlExpiresAt, "S3 refuses uploads that begin later.");
  add("Landed", m.landedAt, sourceMeans[m.landedBy] + (m.landedAt && !r.notified ? " S3's notification has not arrived." : ""));
  add("Confirmed", m.confirmedAt, m.claim && `claimed by ${m.claim}`);
  add("Overwritten", m.overwrittenAt, "Something replaced the object.");
  add("Found missing", r.missingSince, "A reconciliation did not find the object.");
  add("Deleting", r.deletingAt, reasonMeans[m.deleteReason]);
  add("Deleted", m.deletedAt, "S3 has confirmed it.");
  if (r.dueAt && m.state !== MediaState.CONFIRMED) add(dueName[m.state], r.dueAt, dueMeans(r));
  // Equal times stay in the order of life.
  return steps.map((step, i) => ({ step, i })).sort((a, b) => a.step.at.getTime() - b.step.at.getTime() || a.i - b.i).map(({ step }) => step);
}

const dueName: Record<MediaState, string> = {
  [MediaState.UNSPECIFIED]: "Due",
  [MediaState.PENDING]: "Upload window ends",
  [MediaState.UPLOADED]: "Claim window ends",
  [MediaState.CONFIRMED]: "Due",
  [MediaState.DELETING]: "Next attempt",
  [MediaState.DELETED]: "Forgotten",
};

function dueMeans(r: MediaRecord): string {
  switch (r.media?.state) {
    case MediaState.PENDING: return "A sweep asks S3, and gives it up if nothing is there.";
    case MediaState.UPLOADED: return "A sweep deletes it unless something claims it before.";
    case MediaState.DELETING: return "A sweep asks S3 to delete it.";
    case MediaState.DELETED: return r.media.deleteReason === DeleteReason.UNSPECIFIED ? "" : "A sweep deletes its object once more and forgets the row.";
    default: return "";
  }
}
