package reconcile

import (
	"context"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
)

const (
	rowsPage = 2000
	// maxCandidates is how many keys are looked at before they are recorded.
	maxCandidates = 500
)

// scan goes over one shard's keys.
type scan struct {
	*Reconciler
	run     *Run
	shard   *Shard
	source  Source
	adopted []string

	batch      Batch
	candidates []candidate
	flushed    time.Time
}

// listShard goes over what is left of a shard, and records it as it goes.
func (r *Reconciler) listShard(ctx context.Context, run *Run, shard *Shard, source Source, adopted []string) error {
	w := &scan{Reconciler: r, run: run, shard: shard, source: source, adopted: adopted, flushed: time.Now()}
	w.batch.Counts = Counts{}
	if err := w.merge(ctx); err != nil {
		return err
	}
	if shard.After == "" && run.Source == SourceListing {
		if err := w.countUploads(ctx); err != nil {
			return err
		}
	}
	w.batch.Done = true
	return w.flush(ctx, "")
}

// merge walks both streams in the order of keys.
func (w *scan) merge(ctx context.Context) error {
	left := w.shard.Range
	if w.shard.Position > left.After {
		left.After = w.shard.Position
	}
	ctx, stop := context.WithCancel(ctx)
	rows := newRowStream(ctx, w.store, left)
	pages := newAhead(ctx, w.source.List(ctx, left))
	defer func() {
		stop()
		rows.pages.wait()
		pages.wait()
	}()
	for {
		page, ok, err := pages.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		for i := range page {
			if err := w.object(ctx, rows, &page[i]); err != nil {
				return err
			}
		}
		if len(page) > 0 {
			if err := w.flushIfDue(ctx, page[len(page)-1].Key); err != nil {
				return err
			}
		}
	}
	for {
		row, err := rows.peek()
		if err != nil {
			return err
		}
		if row == nil {
			return nil
		}
		w.pair(nil, row)
		key := row.Key
		rows.take()
		if err := w.flushIfDue(ctx, key); err != nil {
			return err
		}
	}
}

// object deals with the rows below an object's key, and with the object.
func (w *scan) object(ctx context.Context, rows *rowStream, o *Listed) error {
	for {
		row, err := rows.peek()
		switch {
		case err != nil:
			return err
		case row == nil || row.Key > o.Key:
			w.pair(o, nil)
			return nil
		case row.Key == o.Key:
			w.pair(o, row)
			rows.take()
			return nil
		}
		key := row.Key
		w.pair(nil, row)
		rows.take()
		// A long stretch of rows without objects is recorded on the way.
		if len(w.candidates) >= maxCandidates {
			if err := w.flush(ctx, key); err != nil {
				return err
			}
		}
	}
}

// pair counts what one key has, and sets aside what is to be looked at.
func (w *scan) pair(o *Listed, row *Row) {
	counts := w.batch.Counts
	if o != nil {
		if w.run.Quarantine != "" && strings.HasPrefix(o.Key, w.run.Quarantine) {
			return
		}
		if !o.NoObject {
			counts[CountObjects]++
			counts[CountBytes] += o.SizeBytes
		}
		if len(o.Noncurrent) > 0 || o.DeleteMarkers > 0 {
			counts[CountNoncurrent] += int64(len(o.Noncurrent))
			counts[CountNoncurrentBytes] += o.NoncurrentBytes
			counts[CountDeleteMarkers] += int64(o.DeleteMarkers)
		}
	}
	if row != nil {
		counts[CountRows]++
		w.countLost(row)
	}
	j := w.judge(o, row, w.run.SourceAt)
	if j.ask == askNothing {
		if j.count != "" {
			counts[j.count]++
		}
		return
	}
	c := candidate{ask: j.ask}
	if o != nil {
		c.object = o.apart()
	}
	if row != nil {
		c.row = row.apart()
	}
	w.candidates = append(w.candidates, c)
}

// countLost counts media that landed since the run before, and those whose notification was lost. What was adopted had
// none.
func (w *scan) countLost(row *Row) {
	if !row.Landed() || row.LandedAt.Before(w.run.PriorStartedAt) {
		return
	}
	switch row.LandedBy {
	case media.SourceReconcile, media.SourceSweep:
		if _, minted := w.keys.ID(row.Key); !minted {
			return
		}
		w.batch.Counts[CountLost]++
	}
	w.batch.Counts[CountLandedSince]++
}

func (w *scan) flushIfDue(ctx context.Context, position string) error {
	if len(w.candidates) < maxCandidates && time.Since(w.flushed) < w.config.CheckpointEvery {
		return nil
	}
	return w.flush(ctx, position)
}

// flush looks at what was set aside, and records everything up to a position.
func (w *scan) flush(ctx context.Context, position string) error {
	if err := w.look(ctx, w.candidates, &w.batch); err != nil {
		return err
	}
	w.batch.Position, w.batch.SourceAt, w.batch.Trial = position, w.run.SourceAt, w.trial()
	before := w.shard.Counts
	if err := w.store.Checkpoint(ctx, w.shard, w.batch); err != nil {
		return err
	}
	w.metrics.recorded(before, w.shard.Counts)
	w.batch = Batch{Counts: Counts{}}
	w.candidates = w.candidates[:0]
	w.flushed = time.Now()
	return nil
}
