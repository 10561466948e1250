package torture

import (
	"encoding/json"
	"fmt"
	"maps"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// modelOutcome is what a reconciliation comes to when nothing else happens.
type modelOutcome struct {
	outcome reconcile.Outcome
	counts  reconcile.Counts
}

// modelRow is what tells of a row how its object is to be classed.
type modelRow struct {
	Key         string
	State       media.State
	SizeBytes   int64
	ETag        string `bun:"etag"`
	Overwritten bool
}

// expect works out, from the bucket and the rows as they are, what a run of these settings will count.
func (h *history) expect(r modelReconcile) (modelOutcome, error) {
	o := modelOutcome{reconcile.OutcomeFinished, reconcile.Counts{}}
	var rows []modelRow
	err := h.db.NewRaw(`SELECT key, state, size_bytes, coalesce(etag, '') AS etag, overwritten_at IS NOT NULL AS overwritten
		FROM coatcheck.media`).Scan(h.ctx, &rows)
	if err != nil {
		return o, fmt.Errorf("reading rows: %w", err)
	}
	byKey := map[string]modelRow{}
	for _, row := range rows {
		byKey[row.Key] = row
	}
	list, err := h.store.Strays(h.ctx, reconcile.StrayPage{Limit: 1000})
	if err != nil {
		return o, err
	}
	seen := map[string]reconcile.Stray{}
	for _, s := range list {
		seen[s.Key] = s
	}
	c := o.counts
	c[reconcile.CountRows] = int64(len(rows))
	var due []int64 // sizes
	for _, m := range h.media {
		row, known := byKey[m.key]
		for _, v := range h.there[m.key] {
			if !v.Latest {
				c[reconcile.CountNoncurrent]++
				c[reconcile.CountNoncurrentBytes] += v.Size
			}
		}
		live := h.live(m)
		switch {
		case live == nil && row.State == media.StatePending:
			c[reconcile.CountWaiting]++
		case live == nil:
		default:
			c[reconcile.CountObjects]++
			c[reconcile.CountBytes] += live.Size
			if known {
				c[h.class(m, row, *live, r)]++
				continue
			}
			c[reconcile.CountStrays]++
			c[reconcile.CountStrayBytes] += live.Size
			limit := h.Now().Add(-r.settings.Grace)
			s, was := seen[m.key]
			same := was && s.ETag == live.ETag && s.SizeBytes == live.Size && s.LastModified.Equal(live.Modified) && (!h.versioned || s.VersionID == live.Version)
			if same && !s.FirstSeenAt.After(limit) && !live.Modified.After(limit) {
				due = append(due, live.Size)
			}
		}
	}
	h.expectRemovals(&o, r.settings, due)
	return o, nil
}

// expectRemovals works out what becomes of strays, some of which are due to be removed.
func (h *history) expectRemovals(o *modelOutcome, s reconcile.Settings, due []int64) {
	c := o.counts
	strays := c[reconcile.CountStrays]
	if !s.Removes() || strays == 0 {
		return
	}
	if float64(strays) > s.MaxStrayShare*float64(c[reconcile.CountObjects]) {
		o.outcome = reconcile.OutcomeTripped
		return
	}
	c[reconcile.CountKeptRecent] = strays - int64(len(due))
	removed := min(int64(len(due)), s.DeleteBudget)
	c[reconcile.CountRemoved], c[reconcile.CountKeptBudget] = removed, int64(len(due))-removed
	if removed == int64(len(due)) {
		for _, size := range due {
			c[reconcile.CountRemovedBytes] += size
		}
	} else {
		delete(c, reconcile.CountRemovedBytes) // it depends on which ones
	}
}

// class is what an object with a row is counted as.
func (h *history) class(m *modelMedia, row modelRow, o stored, r modelReconcile) reconcile.Count {
	p := m.put(o.Version, o.ETag)
	right := p != nil && p.right
	switch {
	case row.State == media.StatePending && h.Now().Sub(o.Modified) < r.inFlight:
		return reconcile.CountInFlight
	case row.State == media.StatePending && right:
		return reconcile.CountLanded
	case row.State == media.StatePending:
		return reconcile.CountRejected
	case row.State == media.StateDeleting:
		return reconcile.CountDeleting
	case row.State == media.StateDeleted:
		return reconcile.CountLate
	case o.Size == row.SizeBytes && (o.ETag == row.ETag || row.ETag == ""):
		return reconcile.CountExplained
	case row.State == media.StateUploaded && !right && !row.Overwritten:
		return reconcile.CountRejected
	}
	return reconcile.CountOverwritten
}

// compare holds a run against it.
func (o modelOutcome) compare(h *history, run *reconcile.Run) {
	got, want := maps.Clone(run.Counts), maps.Clone(o.counts)
	for _, c := range []reconcile.Count{reconcile.CountLandedSince, reconcile.CountLost} {
		delete(got, c)
	}
	if want[reconcile.CountKeptBudget] > 0 {
		delete(got, reconcile.CountRemovedBytes)
	}
	zero := func(_ reconcile.Count, n int64) bool { return n == 0 }
	maps.DeleteFunc(got, zero)
	maps.DeleteFunc(want, zero)
	if run.Outcome != o.outcome || !maps.Equal(got, want) {
		a, _ := json.Marshal(got)
		b, _ := json.Marshal(want)
		h.found("the reconciliation %s and counted\n%s\nwant %s and\n%s", run.Outcome, a, o.outcome, b)
	}
	h.count("reconciliations counted by the model", 1)
}
