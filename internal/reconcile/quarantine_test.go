package reconcile_test

import (
	"testing"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// TestQuarantineKeepsWhatItHas: a second stray of a key does not overwrite the first in quarantine.
func TestQuarantineKeepsWhatItHas(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	key := mintedKey(w)
	for _, body := range []string{"first", "second"} {
		w.put(key, []byte(body))
		w.reconcile()
		w.Advance(grace)
		run := w.reconcile(policy(reconcile.PolicyQuarantine))
		if run.Counts[reconcile.CountRemoved] != 1 {
			t.Fatalf("the run counted %v", counted(run))
		}
	}
	if held := w.held(); len(held) != 2 {
		t.Errorf("quarantine holds %v", held)
	}
}

// TestQuarantineAroundWhatIsAdopted would be passed over by every run, and its lifecycle ends what is in use.
func TestQuarantineAroundWhatIsAdopted(t *testing.T) {
	t.Parallel()
	w := newWorld(t, worldOptions{})
	w.put("uploads/a", nil)
	w.stage("uploads/", false)
	for _, q := range []string{"uploads/", "up/"} {
		_, err := w.try(policy(reconcile.PolicyQuarantine), with(func(s *reconcile.Settings) { s.Quarantine = q }))
		if (err == nil) != (q == "up/") {
			t.Errorf("quarantine below %q: %v", q, err)
		}
	}
}
