package torture

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/reconcile"
)

const (
	// crashAge is how old everything in the bucket is, by S3's clock, when a story of reconciliation begins: older than
	// what may be in flight, and not so old that S3 would refuse what is signed now.
	crashAge   = 10 * time.Minute
	crashGrace = 5 * time.Minute
	// crashMoved is where strays are moved.
	crashMoved = "coatcheck-quarantine/"
)

// crashSettings are the settings of crashFlags.
func crashSettings(policy reconcile.Policy) reconcile.Settings {
	s := reconcile.DefaultSettings()
	s.Policy, s.Grace, s.MaxStrayShare, s.Quarantine = policy, crashGrace, 1, crashMoved
	return s
}

func crashFlags(policy reconcile.Policy) []string {
	return []string{"--stray-policy", string(policy), "--stray-grace", crashGrace.String(), "--max-stray-share", "1", "--quarantine-prefix", crashMoved}
}

// ageing sets the scene: what is stored is old at once, and keys lie in two shards in turn.
func (w *crashWorld) ageing() {
	w.ahead.Store(-int64(crashAge))
	n := byte(0)
	w.newID = func() uuid.UUID {
		n++
		var id uuid.UUID
		copy(id[:], []byte{1, 0x93, 0x6b, 0x2e, 0, n, 0x70, 0, 0x80})
		id[15] = n % 2 * 0xc0
		return id
	}
}

// stray stores an object that no row explains.
func (w *crashWorld) stray() uuid.UUID {
	w.t.Helper()
	id := w.newID()
	w.emulator.Faults().DropNotifications(1)
	w.put(id, crashBody(id))
	w.strays[id] = crashBody(id)
	return id
}

// begin begins a run of few shards, which a process then goes on with.
func (w *crashWorld) begin(s reconcile.Settings, cuts ...string) uuid.UUID {
	w.t.Helper()
	var ranges []reconcile.Range
	after := ""
	for _, cut := range append(cuts, "") {
		ranges = append(ranges, reconcile.Range{Prefix: w.keys.Prefix(), After: after, Until: cut})
		after = cut
	}
	run, err := w.store.BeginRun(w.t.Context(), s, 0, ranges)
	w.must(err)
	return run.ID
}

// look makes a run that only looks, in the test itself, and lets the grace period of what it has seen pass.
func (w *crashWorld) look() {
	w.t.Helper()
	_, err := w.reconciler.Work(w.t.Context(), w.begin(crashSettings(reconcile.PolicyReport)), nil)
	w.must(err)
	w.passGrace()
}

// passGrace makes strays seem to have been seen long ago.
func (w *crashWorld) passGrace() {
	w.t.Helper()
	_, err := w.db.ExecContext(context.Background(), "UPDATE coatcheck.stray SET first_seen_at = first_seen_at - interval '1 day'")
	w.must(err)
}

// plant puts one of everything into the bucket that a reconciliation is for, and returns what it then counts.
func (w *crashWorld) plant() reconcile.Counts {
	w.t.Helper()
	w.ageing()
	late := w.tombstone()
	for range 2 {
		w.due[w.stray()] = true
	}
	w.look()
	w.putUnnoticed(late, "came late, and nobody was told")
	w.confirmed(false)
	lost, wrong := w.pending(), w.pending()
	w.putUnnoticed(lost, crashBody(lost))
	w.putUnnoticed(wrong, "not as declared")
	w.pending()
	gone := w.confirmed(false)
	delete(w.claimed, gone)
	w.missing[gone] = true
	version := w.rows()[gone].Version
	_, err := w.s3.DeleteObject(w.t.Context(), &s3.DeleteObjectInput{
		Bucket: aws.String(crashBucket), Key: aws.String(w.keys.Key(gone)), VersionId: nonEmpty(version),
	})
	w.must(err)
	w.stray()
	return reconcile.Counts{
		reconcile.CountObjects: 7, reconcile.CountExplained: 1, reconcile.CountLanded: 1, reconcile.CountRejected: 1, reconcile.CountLate: 1,
		reconcile.CountStrays: 3, reconcile.CountMissing: 1, reconcile.CountWaiting: 1, reconcile.CountRows: 6,
		reconcile.CountRemoved: 2, reconcile.CountKeptRecent: 1,
	}
}

// crashReconcile is a run that deletes strays and has an adoption's list to go by.
func crashReconcile(w *crashWorld) {
	want := w.plant()
	settings := crashSettings(reconcile.PolicyDelete)
	settings.Adopt, settings.AdoptPrefix = true, w.keys.Prefix()
	adopted := w.adoptable()
	w.must(w.stage(adopted))
	want[reconcile.CountObjects]++
	want[reconcile.CountAdopted] = 1
	run := w.begin(settings, "media/80")
	w.reconcile(true, append(crashFlags(settings.Policy), "--adopt", w.keys.Prefix(), "--claim-from", w.list(adopted))...)
	w.checkRun(run, want)
	w.checkMoved(false)
}

// crashQuarantine is a run that moves strays, on a bucket with versions.
func crashQuarantine(w *crashWorld) {
	want := w.plant()
	run := w.begin(crashSettings(reconcile.PolicyQuarantine), "media/80")
	w.reconcile(true, crashFlags(reconcile.PolicyQuarantine)...)
	w.checkRun(run, want)
	w.checkMoved(true)
}

// crashAdopt is an adoption from its beginning, until the run is under way.
func crashAdopt(w *crashWorld) {
	w.ageing()
	adopted := w.adoptable()
	list := w.list(adopted)
	underWay := false
	w.watch.only = func(proxyEffect) bool { return !underWay }
	w.watch.onAfter = func(e proxyEffect, _ int) { underWay = underWay || strings.HasPrefix(e.Name, "WITH free") }
	w.reconcile(true, append(crashFlags(reconcile.PolicyDelete), "--adopt", w.keys.Prefix(), "--claim-from", list)...)
	if row := w.rows()[adopted]; row.Claim != "post/"+adopted.String() {
		violated(w.t, "R10: what was to be adopted is %+v", row)
	}
}

// crashReconciler is the role that works on a run.
func crashReconciler(w *crashWorld) {
	want := w.plant()
	run := w.begin(crashSettings(reconcile.PolicyDelete), "media/80")
	for watched := true; w.serveReconciler(watched, run); watched = false {
		w.freeShards()
	}
	w.checkRun(run, want)
	w.checkMoved(false)
}

func (w *crashWorld) serveReconciler(watched bool, run uuid.UUID) (killed bool) {
	w.t.Helper()
	c := w.start(watched, append([]string{"serve", "--roles", "reconciler", "--reconcile-interval", "1s", "--reconcile-concurrency", "1"},
		crashFlags(reconcile.PolicyDelete)...)...)
	for deadline := time.Now().Add(crashLimit); ; time.Sleep(2 * time.Millisecond) {
		if c.done(0) {
			if w.buried(c) {
				return true
			}
			w.t.Fatalf("the reconciler ended: %v", c.err)
		}
		r, err := w.store.GetRun(w.t.Context(), run)
		w.must(err)
		if r.Phase == reconcile.PhaseDone && !w.watch.killedThe(c) {
			break
		}
		if time.Now().After(deadline) {
			w.t.Fatalf("the run is not done within %s: %+v", crashLimit, r)
		}
	}
	w.watch.leave()
	c.kill()
	w.quiet()
	return false
}

// adoptable stores an object that only the list of an adoption knows. What it says is a claim as any other.
func (w *crashWorld) adoptable() uuid.UUID {
	w.t.Helper()
	id := w.stray()
	delete(w.strays, id)
	w.listed[id] = true
	w.claimed[id] = crashBody(id)
	return id
}

// list is the file that names what is to be adopted.
func (w *crashWorld) list(id uuid.UUID) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "list.csv")
	w.must(os.WriteFile(path, []byte(fmt.Sprintf("key,claim,tenant,owner\n%s,post/%s,%s,%s\n", w.keys.Key(id), id, crashTenant, crashOwner)), 0o600))
	return path
}

func (w *crashWorld) stage(id uuid.UUID) error {
	_, err := w.store.StageAdoption(w.t.Context(), w.keys.Prefix(), false, func(yield func(reconcile.Adoption, error) bool) {
		yield(reconcile.Adoption{Key: w.keys.Key(id), Claim: "post/" + id.String(), Tenant: crashTenant, Owner: crashOwner}, nil)
	})
	return err
}

// reconcile runs the command, and again when it is killed on the way, after the leases of the first.
func (w *crashWorld) reconcile(watched bool, flags ...string) {
	w.t.Helper()
	c := w.start(watched, append([]string{"reconcile", "--no-dry-run", "--concurrency", "1"}, flags...)...)
	if !c.done(crashLimit) {
		w.t.Fatalf("the reconciliation did not end within %s", crashLimit)
	}
	if w.buried(c) {
		w.freeShards()
		w.reconcile(false, flags...)
		return
	}
	w.watch.leave()
	if c.err != nil {
		w.t.Fatalf("the reconciliation failed: %v\n%s", c.err, &c.out)
	}
}

// freeShards makes the leases of shards end.
func (w *crashWorld) freeShards() {
	w.t.Helper()
	_, err := w.db.ExecContext(context.Background(), "UPDATE coatcheck.reconciliation_shard SET leased_until = leased_until - interval '1 hour'")
	w.must(err)
}

// checkRun holds what a run has counted, and what it has recorded, against what was planted: once, whenever a process
// was killed.
func (w *crashWorld) checkRun(id uuid.UUID, want reconcile.Counts) {
	w.t.Helper()
	ctx := context.Background()
	run, err := w.store.GetRun(ctx, id)
	w.must(err)
	if run.Outcome != reconcile.OutcomeFinished {
		violated(w.t, "R10: the run %s: %s", run.Outcome, run.Explanation)
	}
	got := maps.Clone(run.Counts)
	maps.DeleteFunc(got, func(c reconcile.Count, n int64) bool {
		return n == 0 || c.IsBytes() || c == reconcile.CountLandedSince || c == reconcile.CountLost
	})
	if !maps.Equal(got, want) {
		violated(w.t, "R10: the run counted %v, want %v", got, want)
	}
	findings, _, err := w.store.Findings(ctx, id, 0, 100)
	w.must(err)
	var kinds []string
	for _, f := range findings {
		kinds = append(kinds, string(f.Kind))
	}
	slices.Sort(kinds)
	if got := strings.Join(kinds, " "); got != "landed late rejected" {
		violated(w.t, "R10: the run found %s", got)
	}
	missing, err := w.store.Missing(ctx, uuid.UUID{}, uuid.UUID{}, 100)
	w.must(err)
	if len(missing) != len(w.missing) || len(missing) > 0 && !w.missing[missing[0].Media.ID] {
		violated(w.t, "R2: missing are %v, want %v", missing, w.missing)
	}
	objects := w.stored()
	for id := range w.due {
		if objects[id].versions > 0 {
			violated(w.t, "R2: a stray was due to go, and is there: %s", id)
		}
		delete(w.strays, id)
	}
	w.checkInstant()
}

// checkMoved holds what is in quarantine against what was due to be moved there.
func (w *crashWorld) checkMoved(moved bool) {
	w.t.Helper()
	there := w.moved()
	for id := range w.due {
		if got := w.contentOf(there[id].key); moved && got != crashBody(id) {
			violated(w.t, "R6: a stray was moved into quarantine, and what is there is %q", got)
		}
		delete(there, id)
	}
	if len(there) > 0 || !moved && len(w.moved()) > 0 {
		violated(w.t, "R1: in quarantine is what was not due: %v", there)
	}
}

// mend makes two runs in the test itself, a grace period apart, after which nothing is left that no row explains.
func (w *crashWorld) mend() {
	w.t.Helper()
	if len(w.strays) == 0 {
		return
	}
	for range 2 {
		_, err := w.reconciler.Work(w.t.Context(), w.begin(crashSettings(reconcile.PolicyDelete)), nil)
		w.must(err)
		w.passGrace()
	}
	clear(w.strays)
}

func nonEmpty(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
