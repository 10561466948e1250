package postgres

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// rowsSQL reads a page of rows. Postgres takes a range of keys for a tenth of what it has and less: given a limit that it
// knows, it would rather read all of the range, page for page, and sort it. Of one that it does not know it believes that
// it ends early, and reads by the index of keys.
const rowsSQL = `SELECT id, key, state, size_bytes, etag, version_id, landed_at, landed_by, overwritten_at IS NOT NULL, revision
	FROM coatcheck.media WHERE key >= $1 AND key > $2 AND key <= $3 ORDER BY key LIMIT (SELECT $4::bigint)`

// Rows implements [reconcile.Store]. A run reads every row there is, so this goes around database/sql and bun, most of
// whose time goes into values that are allocated one by one. The statement is parsed, bound and executed in one round trip
// without a name, which leaves nothing behind on the connection.
func (s *Store) Rows(ctx context.Context, r reconcile.Range, after string, limit int) ([]reconcile.Row, error) {
	from, above, until := r.Bounds()
	// What is above a key that no row can have is, in Postgres, above what it begins with.
	above, after = storablePrefix(above), storablePrefix(after)
	args := [][]byte{[]byte(from), []byte(max(above, after)), []byte(until), strconv.AppendInt(nil, int64(limit), 10)}
	page := rowPage{rows: make([]reconcile.Row, 0, limit)}
	err := s.withPgx(ctx, func(conn *pgx.Conn) error {
		return page.read(conn.PgConn().ExecParams(ctx, rowsSQL, args, nil, nil, []int16{binaryFormat}))
	})
	if err != nil {
		return nil, unusable(fmt.Errorf("reading media by key: %w", err))
	}
	return page.rows, nil
}

const binaryFormat = 1

// rowPage is rows that are being read.
type rowPage struct {
	rows  []reconcile.Row
	texts strings.Builder // theirs
}

// read reads all of a result.
func (p *rowPage) read(result *pgconn.ResultReader) error {
	for result.NextRow() {
		m, err := p.row(result.Values())
		if err != nil {
			_, closeErr := result.Close()
			return errors.Join(err, closeErr)
		}
		p.rows = append(p.rows, m)
	}
	_, err := result.Close()
	return err
}

// row reads the columns of rowsSQL in Postgres's binary format: big-endian numbers, and a time as its microseconds since
// the year 2000.
// https://www.postgresql.org/docs/current/protocol-overview.html#PROTOCOL-FORMAT-CODES
func (p *rowPage) row(v [][]byte) (m reconcile.Row, err error) {
	if len(v) != 10 || len(v[0]) != len(m.ID) || len(v[3]) != 8 || len(v[6]) != 8 && v[6] != nil || len(v[8]) != 1 || len(v[9]) != 8 {
		return m, errors.New("a row does not have the expected columns")
	}
	m.ID = uuid.UUID(v[0])
	m.Key = p.keep(v[1])
	m.State = known(v[2], media.States)
	m.SizeBytes = int64(binary.BigEndian.Uint64(v[3]))
	m.ETag, m.VersionID = p.keep(v[4]), p.keep(v[5])
	if v[6] != nil {
		const year2000 = 946_684_800_000_000
		m.LandedAt = time.UnixMicro(year2000 + int64(binary.BigEndian.Uint64(v[6]))).UTC()
	}
	m.LandedBy = known(v[7], media.Sources)
	m.Overwritten = v[8][0] != 0
	m.Revision = int64(binary.BigEndian.Uint64(v[9]))
	return m, nil
}

// known returns the one of several names that a text is, without allocating it anew.
func known[T ~string](text []byte, all []T) T {
	for _, one := range all {
		if string(text) == string(one) {
			return one
		}
	}
	return T(text)
}

// textsChunk is how many bytes of texts are allocated at once.
const textsChunk = 16 << 10

// keep copies a text to where many are kept: whoever holds on to one holds on to a chunk.
func (p *rowPage) keep(text []byte) string {
	if p.texts.Cap()-p.texts.Len() < len(text) {
		p.texts = strings.Builder{}
		p.texts.Grow(max(textsChunk, len(text)))
	}
	from := p.texts.Len()
	p.texts.Write(text)
	return p.texts.String()[from:]
}

// storablePrefix is the longest beginning of a text that Postgres can hold.
func storablePrefix(text string) string {
	for i := 0; i < len(text); {
		c, n := utf8.DecodeRuneInString(text[i:])
		if c == 0 || c == utf8.RuneError && n == 1 {
			return text[:i]
		}
		i += n
	}
	return text
}
