package torture

import (
	"context"
	"fmt"

	"github.com/google/uuid"
)

// leave leaves a stray, and lets the grace period of those that have been seen pass, and the leases of shards that could
// not be given back.
func (s *faultSite) leave() {
	s.t.Helper()
	s.direct.RLock()
	defer s.direct.RUnlock()
	s.w.passGrace()
	s.w.freeShards()
	id := uuid.Must(uuid.NewV7())
	s.w.strays[id], s.w.due[id] = crashBody(id), true
	s.w.put(id, crashBody(id))
}

// checkRuns holds what reconciliations have recorded so far against what is so: every media that has landed has its
// object, whatever a listing lacked, and nothing is a stray but what was left as one.
func (s *faultSite) checkRuns() {
	s.t.Helper()
	s.direct.RLock()
	defer s.direct.RUnlock()
	var missing []string
	s.w.must(s.w.db.NewRaw(`SELECT key FROM coatcheck.missing UNION ALL
		SELECT 'counted by run ' || id FROM coatcheck.reconciliation WHERE (counts->>'missing')::bigint > 0`).Scan(context.Background(), &missing))
	for _, key := range missing {
		violated(s.t, "R2: a reconciliation calls an object missing that is there: %s", key)
	}
	var strays []string
	s.w.must(s.w.db.NewRaw(`SELECT key FROM coatcheck.stray`).Scan(context.Background(), &strays))
	for _, key := range strays {
		if id, ok := s.w.keys.ID(key); !ok || s.w.strays[id] == "" {
			violated(s.t, "R7: a reconciliation calls a stray what is none: %s", key)
		}
	}
}

// reconciled waits until two whole runs have been made and all strays are gone. Whatever notifications were lost, their
// uploads have landed then.
func (s *faultSite) reconciled() {
	s.t.Helper()
	s.w.freeShards()
	before := s.metric(faultRuns)
	s.within("two reconciliations", func() error {
		if n := s.metric(faultRuns) - before; n < 2 {
			return fmt.Errorf("%v were finished since", n)
		}
		return nil
	})
	s.within("no stray is left", func() error {
		s.w.passGrace()
		var left int
		s.w.must(s.w.db.NewRaw(`SELECT count(*) FROM coatcheck.stray WHERE removed_at IS NULL`).Scan(context.Background(), &left))
		if left > 0 {
			return fmt.Errorf("%d are", left)
		}
		return nil
	})
	s.checkRuns()
	var removed int
	s.w.must(s.w.db.NewRaw(`SELECT count(*) FROM coatcheck.stray WHERE removed_at IS NOT NULL`).Scan(context.Background(), &removed))
	if removed != len(s.w.strays) {
		violated(s.t, "R2: %d strays were removed, and %d were left there", removed, len(s.w.strays))
	}
	total.add("strays removed", removed)
	total.add("reconciliations among faults", int(s.metric(faultRuns)))
}
