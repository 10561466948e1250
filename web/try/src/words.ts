import { timestampMs, type Timestamp } from "@bufbuild/protobuf/wkt";
import { DeleteReason, LandingSource, MediaState, type Media } from "@coatcheck/client/proto";
import type { Coat, Way } from "./coat.js";
import { bytes, duration } from "./format.js";

export const ways: Record<Way, string> = {
  claim: "upload and claim",
  leave: "upload, do not claim",
  walk: "take a URL and walk away",
};

/** ms is a time in milliseconds since 1970, or NaN where there is none. */
export const ms = (t: Timestamp | undefined) => (t ? timestampMs(t) : NaN);

export const landed = (m: Media) => m.landedAt !== undefined;
export const going = (m: Media) => m.state === MediaState.DELETING || m.state === MediaState.DELETED;

const reasons: Record<DeleteReason, string> = {
  [DeleteReason.UNSPECIFIED]: "Given up",
  [DeleteReason.NEVER_UPLOADED]: "Swept: the upload window is over. The sweep asked S3, which has nothing",
  [DeleteReason.UNCLAIMED]: "Swept: it landed, and nobody claimed it within the claim window",
  [DeleteReason.CANCELLED]: "Cancelled: what nobody has claimed may be given up",
  [DeleteReason.RELEASED]: "Released: what held it is gone, so it goes too",
  [DeleteReason.REJECTED]: "Rejected: what landed is not what was declared",
  [DeleteReason.LATE]: "It landed after it had been deleted, and is deleted once more",
};

/** now is what happens to a coat at the moment, and what will. */
export function now(c: Coat): string {
  if (c.error) return c.error;
  switch (c.phase) {
    case "queued": return "Waits for its turn: four go at a time.";
    case "hashing": return "Its SHA-256 is made in a worker: S3 will take this content and no other.";
    case "creating": return "Asking for a ticket.";
    case "uploading": return `Going to S3: ${sent(c)}.`;
    case "waiting": return "S3 has it. Waiting for S3 to tell coatcheck.";
  }
  const m = c.media;
  if (!m) return "Asking how it is.";
  switch (m.state) {
    case MediaState.PENDING:
      return c.way === "walk"
        ? "Nobody sends anything. When the clock runs out the sweep asks S3, finds nothing, and takes the ticket back."
        : "The page was left before it had landed. When the clock runs out the sweep asks S3 whether it is there.";
    case MediaState.UPLOADED:
      return c.way === "claim" && c.stop
        ? "It has landed. A backend now saves what shows the file, and then claims it."
        : "It has landed, and nobody has claimed it. When the clock runs out the sweep deletes it.";
    case MediaState.CONFIRMED: return "Kept: no sweep touches what is claimed.";
    case MediaState.DELETING: return `${reasons[m.deleteReason]}. S3 is deleting it.`;
    case MediaState.DELETED: return `${reasons[m.deleteReason]}. ${landed(m) ? "S3 has confirmed that the object is gone." : "The ticket is void."}`;
  }
  return "";
}

/** sent is how far the bytes are, and how fast. */
function sent(c: Coat): string {
  const took = Date.now() - (c.sendingAt ?? Date.now());
  const speed = took > 200 && c.loaded > 0 ? `, ${bytes((c.loaded / took) * 1000)}/s` : "";
  return `${bytes(c.loaded)} of ${bytes(c.size)}${speed}`;
}

/** What has happened so far: when, in milliseconds since 1970, and what. */
export function story(c: Coat): { at: number; what: string }[] {
  const m = c.media;
  if (!m) return [];
  const told = [{ at: ms(m.createdAt), what: `Ticket: a presigned PUT for exactly ${bytes(c.size)}, ${m.contentType}${m.checksumSha256 ? ", this SHA-256" : ""}` }];
  if (c.sentAt && c.sendingAt) {
    const took = c.sentAt - c.sendingAt;
    told.push({ at: c.sentAt, what: `Sent straight to S3 in ${duration(took)}, ${bytes((c.size / Math.max(1, took)) * 1000)}/s` });
  }
  if (m.landedAt) told.push({ at: ms(m.landedAt), what: landing(m, c.sentAt) });
  if (m.confirmedAt) told.push({ at: ms(m.confirmedAt), what: `Claimed by “${m.claim}”` });
  if (m.deletedAt) told.push({ at: ms(m.deletedAt), what: landed(m) ? "S3 has deleted the object; the row stays for a while, as a tombstone" : "Void; the row stays for a while, as a tombstone" });
  return told.sort((a, b) => a.at - b.at);
}

function landing(m: Media, sentAt: number | undefined): string {
  switch (m.landedBy) {
    case LandingSource.NOTIFICATION: {
      const after = ms(m.landedAt) - (sentAt ?? NaN);
      return `S3 told coatcheck by notification${after >= 0 ? `, ${duration(after)} after the PUT` : after < 0 ? ", before the PUT had its answer" : ""}`;
    }
    case LandingSource.CONFIRM: return "The claim came before S3's notification, so coatcheck asked S3 itself";
    case LandingSource.SWEEP: return "The sweep asked S3 before it gave up, and found it";
    case LandingSource.RECONCILE: return "A listing of the bucket found it";
  }
  return "It has landed";
}
