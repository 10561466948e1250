package reconcile

import (
	"context"
	"time"

	"github.com/google/uuid"
)

// shownUploads is how many unfinished uploads of a prefix become findings; all are counted.
const shownUploads = 1000

// countUploads lists the unfinished multipart uploads of the shard's prefix.
func (w *scan) countUploads(ctx context.Context) error {
	n := int64(0)
	for u, err := range w.objects.Uploads(ctx, w.shard.Prefix) {
		if err != nil {
			return err
		}
		if n++; n <= shownUploads {
			w.batch.find(KindUpload, u.Key, uuid.UUID{}, -1, begun(u)+", and its parts are paid for")
		}
	}
	w.batch.Counts[CountUploads] += n
	return nil
}

func begun(u Upload) string { return "it was begun at " + u.StartedAt.UTC().Format(time.RFC3339) }

// abortUploads aborts the old ones among them that are ours. That is a removal, so it waits until all is listed, and the
// breaker has not tripped (R8).
func (p *removal) abortUploads(ctx context.Context, prefix string) error {
	for u, err := range p.objects.Uploads(ctx, prefix) {
		if err != nil {
			return err
		}
		if p.now().Sub(u.StartedAt) < p.run.AbortUploadsAfter || !p.ours(u.Key, p.adopted) {
			continue
		}
		kind, detail := KindUploadAborted, begun(u)
		if err := p.objects.AbortUpload(ctx, u); err != nil {
			kind, detail = KindUnclear, "an unfinished upload could not be aborted: "+bounded(err.Error())
			p.result.Counts[CountUnclear]++
		} else {
			p.result.Counts[CountUploadsAborted]++
		}
		if len(p.result.Findings) < shownUploads {
			p.result.Findings = append(p.result.Findings, Finding{Kind: kind, Key: u.Key, SizeBytes: -1, Detail: detail})
		}
	}
	return nil
}
