package rpc

import (
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/coatcheck/coatcheck/internal/reconcile"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

var policies = map[reconcile.Policy]coatcheckv1.StrayPolicy{
	reconcile.PolicyReport:     coatcheckv1.StrayPolicy_STRAY_POLICY_REPORT,
	reconcile.PolicyQuarantine: coatcheckv1.StrayPolicy_STRAY_POLICY_QUARANTINE,
	reconcile.PolicyDelete:     coatcheckv1.StrayPolicy_STRAY_POLICY_DELETE,
}

var phases = map[reconcile.Phase]coatcheckv1.ReconcilePhase{
	reconcile.PhaseListing:  coatcheckv1.ReconcilePhase_RECONCILE_PHASE_LISTING,
	reconcile.PhaseRemoving: coatcheckv1.ReconcilePhase_RECONCILE_PHASE_REMOVING,
	reconcile.PhaseDone:     coatcheckv1.ReconcilePhase_RECONCILE_PHASE_DONE,
}

var outcomes = map[reconcile.Outcome]coatcheckv1.ReconcileOutcome{
	reconcile.OutcomeFinished:  coatcheckv1.ReconcileOutcome_RECONCILE_OUTCOME_FINISHED,
	reconcile.OutcomeTripped:   coatcheckv1.ReconcileOutcome_RECONCILE_OUTCOME_TRIPPED,
	reconcile.OutcomeAbandoned: coatcheckv1.ReconcileOutcome_RECONCILE_OUTCOME_ABANDONED,
}

var kinds = map[reconcile.Kind]coatcheckv1.FindingKind{
	reconcile.KindLanded:        coatcheckv1.FindingKind_FINDING_KIND_LANDED,
	reconcile.KindRejected:      coatcheckv1.FindingKind_FINDING_KIND_REJECTED,
	reconcile.KindLate:          coatcheckv1.FindingKind_FINDING_KIND_LATE,
	reconcile.KindOverwritten:   coatcheckv1.FindingKind_FINDING_KIND_OVERWRITTEN,
	reconcile.KindHidden:        coatcheckv1.FindingKind_FINDING_KIND_HIDDEN,
	reconcile.KindUpload:        coatcheckv1.FindingKind_FINDING_KIND_UPLOAD,
	reconcile.KindUploadAborted: coatcheckv1.FindingKind_FINDING_KIND_UPLOAD_ABORTED,
	reconcile.KindNotAdopted:    coatcheckv1.FindingKind_FINDING_KIND_NOT_ADOPTED,
	reconcile.KindUnclear:       coatcheckv1.FindingKind_FINDING_KIND_UNCLEAR,
}

func runToProto(r *reconcile.Run) *coatcheckv1.Reconcile {
	p := &coatcheckv1.Reconcile{
		Id: r.ID.String(), Phase: phases[r.Phase], Outcome: outcomes[r.Outcome], Explanation: r.Explanation,
		Settings: &coatcheckv1.ReconcileSettings{
			DryRun: r.DryRun, Policy: policies[r.Policy], QuarantinePrefix: r.Quarantine, Grace: durationpb.New(r.Grace),
			MaxStrayShare: r.MaxStrayShare, DeleteBudget: r.DeleteBudget, AbortUploadsAfter: durationpb.New(r.AbortUploadsAfter),
			Source: r.Source, SourceAt: timestamp(r.SourceAt), Adopt: r.Adopt, AdoptPrefix: r.AdoptPrefix,
		},
		Counts: make(map[string]int64, len(r.Counts)), Shards: int32(r.Shards), ShardsDone: int32(r.ShardsDone), Estimate: r.Estimate,
		StartedAt: timestamp(r.StartedAt), PriorStartedAt: timestamp(r.PriorStartedAt), ListedAt: timestamp(r.ListedAt),
		FinishedAt: timestamp(r.FinishedAt),
	}
	for name, n := range r.Counts {
		p.Counts[string(name)] = n
	}
	if r.Phase != reconcile.PhaseDone {
		p.WorkedAt = timestamp(r.WorkedAt)
	}
	return p
}

func strayToProto(s *reconcile.Stray) *coatcheckv1.Stray {
	return &coatcheckv1.Stray{
		Key: s.Key, SizeBytes: s.SizeBytes, Etag: s.ETag, VersionId: s.VersionID, LastModified: timestamp(s.LastModified), Ours: s.Ours,
		FirstSeenAt: timestamp(s.FirstSeenAt), FirstReconcileId: s.FirstRun.String(), LastSeenAt: timestamp(s.LastSeenAt),
		LastReconcileId: s.LastRun.String(), DeletingAt: timestamp(s.DeletingAt), RemovedAt: timestamp(s.RemovedAt),
		RemovedTo: s.RemovedTo, Attempts: int32(s.Attempts), LastError: s.LastError,
	}
}

func missingToProto(m *reconcile.Missing) *coatcheckv1.Missing {
	return &coatcheckv1.Missing{
		Media: toProto(m.Media), Tenant: m.Media.Tenant, FirstSeenAt: timestamp(m.FirstSeenAt), LastSeenAt: timestamp(m.LastSeenAt),
		LastReconcileId: m.LastRun.String(),
	}
}

func findingToProto(f *reconcile.Finding) *coatcheckv1.Finding {
	p := &coatcheckv1.Finding{Kind: kinds[f.Kind], Key: f.Key, Detail: f.Detail, FoundAt: timestamp(f.FoundAt)}
	if f.MediaID != (uuid.UUID{}) {
		p.MediaId = f.MediaID.String()
	}
	if f.SizeBytes >= 0 {
		p.SizeBytes = &f.SizeBytes
	}
	return p
}
