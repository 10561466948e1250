package postgres

import (
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgtype/zeronull"
	"github.com/uptrace/bun"
	"github.com/uptrace/bun/schema"

	"github.com/coatcheck/coatcheck/internal/media"
)

// row is coatcheck.media as bun reads and writes it.
type row struct {
	bun.BaseModel `bun:"table:coatcheck.media,alias:m"`

	ID             uuid.UUID       `bun:"id,pk,type:uuid"`
	Tenant         string          `bun:"tenant"`
	Owner          string          `bun:"owner"`
	Key            string          `bun:"key"`
	State          media.State     `bun:"state"`
	Reason         media.Reason    `bun:"reason,nullzero"`
	ContentType    string          `bun:"content_type"`
	SizeBytes      int64           `bun:"size_bytes"`
	ChecksumSHA256 []byte          `bun:"checksum_sha256,nullzero"`
	FileName       string          `bun:"file_name"`
	Metadata       metadata        `bun:"metadata,type:jsonb,nullzero"`
	IdempotencyKey string          `bun:"idempotency_key,nullzero"`
	CreatedAt      time.Time       `bun:"created_at"`
	URLExpiresAt   time.Time       `bun:"url_expires_at"`
	LandedAt       time.Time       `bun:"landed_at,nullzero"`
	LandedBy       media.Source    `bun:"landed_by,nullzero"`
	ETag           string          `bun:"etag,nullzero"`
	VersionID      string          `bun:"version_id,nullzero"`
	Sequencer      media.Sequencer `bun:"sequencer,nullzero"`
	Claim          string          `bun:"claim,nullzero"`
	ConfirmedAt    time.Time       `bun:"confirmed_at,nullzero"`
	OverwrittenAt  time.Time       `bun:"overwritten_at,nullzero"`
	DeletingAt     time.Time       `bun:"deleting_at,nullzero"`
	DeletedAt      time.Time       `bun:"deleted_at,nullzero"`
	Attempts       int             `bun:"attempts"`
	LastError      string          `bun:"last_error,nullzero"`
	DueAt          time.Time       `bun:"due_at,nullzero"`
	Revision       int64           `bun:"revision"`
}

// columns is every column of row, for statements written by hand, whose table is called m.
var columns = schema.Safe(`m.id, m.tenant, m.owner, m.key, m.state, m.reason, m.content_type, m.size_bytes,
	m.checksum_sha256, m.file_name, m.metadata, m.idempotency_key, m.created_at, m.url_expires_at, m.landed_at,
	m.landed_by, m.etag, m.version_id, m.sequencer, m.claim, m.confirmed_at, m.overwritten_at, m.deleting_at, m.deleted_at, m.attempts,
	m.last_error, m.due_at, m.revision`)

// columnsBut are those columns but for some, and which of them all each is.
func columnsBut(without ...string) (sql string, places []int) {
	var names []string
	for i, name := range strings.Split(string(columns), ",") {
		name = strings.TrimSpace(name)
		if !slices.Contains(without, strings.TrimPrefix(name, "m.")) {
			names, places = append(names, name), append(places, i)
		}
	}
	return strings.Join(names, ", "), places
}

// fields are where pgx reads those columns to.
func (r *row) fields() []any {
	return []any{(*[16]byte)(&r.ID), &r.Tenant, &r.Owner, &r.Key, &r.State, (*zeronull.Text)(&r.Reason), &r.ContentType, &r.SizeBytes,
		&r.ChecksumSHA256, &r.FileName, &r.Metadata, (*zeronull.Text)(&r.IdempotencyKey), (*utc)(&r.CreatedAt), (*utc)(&r.URLExpiresAt), (*utc)(&r.LandedAt),
		(*zeronull.Text)(&r.LandedBy), (*zeronull.Text)(&r.ETag), (*zeronull.Text)(&r.VersionID), (*zeronull.Text)(&r.Sequencer), (*zeronull.Text)(&r.Claim),
		(*utc)(&r.ConfirmedAt), (*utc)(&r.OverwrittenAt), (*utc)(&r.DeletingAt), (*utc)(&r.DeletedAt), &r.Attempts,
		(*zeronull.Text)(&r.LastError), (*utc)(&r.DueAt), &r.Revision}
}

// reader reads one row after the other, each to the same place.
type reader struct {
	row row
	to  []any
}

// newReader returns a reader of those columns, with what comes before them.
func newReader(before ...any) *reader {
	r := new(reader)
	r.to = append(before, r.row.fields()...)
	return r
}

// newReaderOf returns a reader of some of those columns. The others are of each media what they are in r.row.
func newReaderOf(places []int, before ...any) *reader {
	r := new(reader)
	r.to = before
	for fields := r.row.fields(); len(places) > 0; places = places[1:] {
		r.to = append(r.to, fields[places[0]])
	}
	return r
}

func (r *reader) read(answer scanner) (*media.Media, error) {
	if err := answer.Scan(r.to...); err != nil {
		return nil, err
	}
	return r.row.media(), nil
}

// utc is a time that pgx reads as bun does: in UTC, and NULL as none.
type utc time.Time

// ScanTimestamptz implements [pgtype.TimestamptzScanner].
func (t *utc) ScanTimestamptz(v pgtype.Timestamptz) error {
	*t = utc{}
	if v.Valid {
		*t = utc(v.Time.UTC())
	}
	return nil
}

func fromMedia(m *media.Media) *row {
	return &row{
		ID: m.ID, Tenant: m.Tenant, Owner: m.Owner, Key: m.Key, State: m.State, Reason: m.Reason,
		ContentType: m.ContentType, SizeBytes: m.SizeBytes, ChecksumSHA256: m.ChecksumSHA256, FileName: m.FileName,
		Metadata: m.Metadata, IdempotencyKey: m.IdempotencyKey, CreatedAt: m.CreatedAt, URLExpiresAt: m.URLExpiresAt,
		LandedAt: m.LandedAt, LandedBy: m.LandedBy, ETag: m.ETag, VersionID: m.VersionID, Sequencer: m.Sequencer,
		Claim: m.Claim, ConfirmedAt: m.ConfirmedAt, OverwrittenAt: m.OverwrittenAt, DeletingAt: m.DeletingAt, DeletedAt: m.DeletedAt,
		Attempts: m.Attempts, LastError: m.LastError, DueAt: m.DueAt, Revision: m.Revision,
	}
}

func (r *row) media() *media.Media {
	return &media.Media{
		ID: r.ID, Tenant: r.Tenant, Owner: r.Owner, Key: r.Key, State: r.State, Reason: r.Reason,
		ContentType: r.ContentType, SizeBytes: r.SizeBytes, ChecksumSHA256: r.ChecksumSHA256, FileName: r.FileName,
		Metadata: r.Metadata, IdempotencyKey: r.IdempotencyKey, CreatedAt: r.CreatedAt, URLExpiresAt: r.URLExpiresAt,
		LandedAt: r.LandedAt, LandedBy: r.LandedBy, ETag: r.ETag, VersionID: r.VersionID, Sequencer: r.Sequencer,
		Claim: r.Claim, ConfirmedAt: r.ConfirmedAt, OverwrittenAt: r.OverwrittenAt, DeletingAt: r.DeletingAt, DeletedAt: r.DeletedAt,
		Attempts: r.Attempts, LastError: r.LastError, DueAt: r.DueAt, Revision: r.Revision,
	}
}

func allMedia(rows []row) []*media.Media {
	ms := make([]*media.Media, len(rows))
	for i := range rows {
		ms[i] = rows[i].media()
	}
	return ms
}
