// The names of things, and what they mean.
import { Age, DeleteReason, FindingKind, LandingSource, MediaState, ReconcileOutcome, ReconcilePhase, StrayPolicy } from "@coatcheck/client/proto";

export const stateName: Record<MediaState, string> = {
  [MediaState.UNSPECIFIED]: "Unknown",
  [MediaState.PENDING]: "Pending",
  [MediaState.UPLOADED]: "Uploaded, unclaimed",
  [MediaState.CONFIRMED]: "Confirmed",
  [MediaState.DELETING]: "Deleting",
  [MediaState.DELETED]: "Deleted",
};

export const stateMeans: Record<MediaState, string> = {
  [MediaState.UNSPECIFIED]: "",
  [MediaState.PENDING]: "Presigned, and not known to have landed.",
  [MediaState.UPLOADED]: "Landed, and claimed by nothing yet. Swept when the claim window is over.",
  [MediaState.CONFIRMED]: "Claimed by the product. No sweep touches it.",
  [MediaState.DELETING]: "To be deleted. S3 has not confirmed it yet.",
  [MediaState.DELETED]: "Gone from S3. The row stays while a late upload could still arrive.",
};

export const reasonName: Record<DeleteReason, string> = {
  [DeleteReason.UNSPECIFIED]: "",
  [DeleteReason.NEVER_UPLOADED]: "never uploaded",
  [DeleteReason.UNCLAIMED]: "unclaimed",
  [DeleteReason.CANCELLED]: "cancelled",
  [DeleteReason.RELEASED]: "released",
  [DeleteReason.REJECTED]: "rejected",
  [DeleteReason.LATE]: "late",
};

export const reasonMeans: Record<DeleteReason, string> = {
  [DeleteReason.UNSPECIFIED]: "",
  [DeleteReason.NEVER_UPLOADED]: "The upload window passed, and S3 has no object.",
  [DeleteReason.UNCLAIMED]: "It landed, and the claim window passed without a confirmation.",
  [DeleteReason.CANCELLED]: "The client cancelled it, or the backend deleted it before anything claimed it.",
  [DeleteReason.RELEASED]: "The backend released its claim, or deleted it while it was claimed.",
  [DeleteReason.REJECTED]: "What landed is not what was declared.",
  [DeleteReason.LATE]: "An object landed after the media had been deleted.",
};

export const ageName: Record<Age, string> = {
  [Age.UNSPECIFIED]: "",
  [Age.HOUR]: "under 1 h",
  [Age.DAY]: "1 h to 1 d",
  [Age.WEEK]: "1 to 7 d",
  [Age.MONTH]: "7 to 30 d",
  [Age.OLDER]: "30 d and more",
};

export const sourceName: Record<LandingSource, string> = {
  [LandingSource.UNSPECIFIED]: "unknown",
  [LandingSource.NOTIFICATION]: "notification",
  [LandingSource.CONFIRM]: "confirmation",
  [LandingSource.RECONCILE]: "reconciliation",
  [LandingSource.SWEEP]: "sweep",
};

export const sourceMeans: Record<LandingSource, string> = {
  [LandingSource.UNSPECIFIED]: "",
  [LandingSource.NOTIFICATION]: "S3 told of it.",
  [LandingSource.CONFIRM]: "The confirmation came first and asked S3.",
  [LandingSource.RECONCILE]: "A listing of the bucket found it.",
  [LandingSource.SWEEP]: "A sweep asked S3 before it gave the upload up.",
};

export const phaseName: Record<ReconcilePhase, string> = {
  [ReconcilePhase.UNSPECIFIED]: "unknown",
  [ReconcilePhase.LISTING]: "listing",
  [ReconcilePhase.REMOVING]: "removing strays",
  [ReconcilePhase.DONE]: "done",
};

export const outcomeName: Record<ReconcileOutcome, string> = {
  [ReconcileOutcome.UNSPECIFIED]: "under way",
  [ReconcileOutcome.FINISHED]: "finished",
  [ReconcileOutcome.TRIPPED]: "tripped",
  [ReconcileOutcome.ABANDONED]: "abandoned",
};

export const policyName: Record<StrayPolicy, string> = {
  [StrayPolicy.UNSPECIFIED]: "",
  [StrayPolicy.REPORT]: "strays are reported",
  [StrayPolicy.QUARANTINE]: "strays are quarantined",
  [StrayPolicy.DELETE]: "strays are deleted",
};

export const findingName: Record<FindingKind, string> = {
  [FindingKind.UNSPECIFIED]: "unknown",
  [FindingKind.LANDED]: "landed",
  [FindingKind.REJECTED]: "rejected",
  [FindingKind.LATE]: "late",
  [FindingKind.OVERWRITTEN]: "overwritten",
  [FindingKind.HIDDEN]: "hidden",
  [FindingKind.UPLOAD]: "unfinished upload",
  [FindingKind.UPLOAD_ABORTED]: "upload aborted",
  [FindingKind.NOT_ADOPTED]: "not adopted",
  [FindingKind.UNCLEAR]: "unclear",
};
