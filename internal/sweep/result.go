package sweep

import "log/slog"

// Result counts what a pass did, by media. A media that was expired and deleted in one pass counts as both.
type Result struct {
	// Landed had not been known to be uploaded, and S3 has them as declared.
	Landed int
	// Rejected had not been known to be uploaded either, and are not what was declared: they become DELETING.
	Rejected int
	// NeverUploaded became DELETING because S3 does not have them.
	NeverUploaded int
	// HeadErrors could not be asked for, and are left as they are until their lease ends.
	HeadErrors int
	// Unclaimed became DELETING because nothing had confirmed them in time.
	Unclaimed int
	// Deleted are gone from S3, and became tombstones.
	Deleted int
	// DeletedBytes were declared for those.
	DeletedBytes int64
	// DeleteErrors could not be deleted, and are tried again later.
	DeleteErrors int
	// Changed were changed by somebody else while S3 was asked, so that nothing was done to them.
	Changed int
	// Purged are tombstones that were forgotten.
	Purged int
	// Incomplete means that more may be due: the pass was ended by its limit, by its context or by an error.
	Incomplete bool
}

type count struct {
	outcome string
	n       int
}

// counts names the counts, for metrics and logs.
func (r Result) counts() []count {
	return []count{
		{"landed", r.Landed}, {"rejected", r.Rejected}, {"never_uploaded", r.NeverUploaded}, {"head_error", r.HeadErrors},
		{"unclaimed", r.Unclaimed}, {"deleted", r.Deleted}, {"delete_error", r.DeleteErrors}, {"changed", r.Changed},
		{"purged", r.Purged},
	}
}

func (r *Result) add(o Result) {
	r.Landed += o.Landed
	r.Rejected += o.Rejected
	r.NeverUploaded += o.NeverUploaded
	r.HeadErrors += o.HeadErrors
	r.Unclaimed += o.Unclaimed
	r.Deleted += o.Deleted
	r.DeletedBytes += o.DeletedBytes
	r.DeleteErrors += o.DeleteErrors
	r.Changed += o.Changed
	r.Purged += o.Purged
	r.Incomplete = r.Incomplete || o.Incomplete
}

// Zero reports whether nothing was done and nothing failed.
func (r Result) Zero() bool { return r == Result{} }

// LogValue implements [slog.LogValuer]. It leaves out what is zero.
func (r Result) LogValue() slog.Value {
	var attrs []slog.Attr
	for _, c := range r.counts() {
		if c.n != 0 {
			attrs = append(attrs, slog.Int(c.outcome, c.n))
		}
	}
	if r.Incomplete {
		attrs = append(attrs, slog.Bool("incomplete", true))
	}
	return slog.GroupValue(attrs...)
}
