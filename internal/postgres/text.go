package postgres

import (
	"database/sql/driver"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/coatcheck/coatcheck/internal/media"
)

// storable reports whether Postgres can hold the text as it is: UTF-8 without NUL. What is not, bun would replace or
// leave out, and two texts that differ would become one: another owner's, or another claim's (R9).
func storable(text string) bool {
	return utf8.ValidString(text) && strings.IndexByte(text, 0) < 0
}

// checkText returns the refusal of a field whose text cannot be stored as it is.
func checkText(field, text string) *media.Error {
	if storable(text) {
		return nil
	}
	return media.Invalid(field, field+".text", "must be UTF-8 without NUL")
}

// check returns the refusal of the first text in the row that cannot be stored as it is.
func (r *row) check() *media.Error {
	texts := []struct{ field, text string }{
		{"tenant", r.Tenant}, {"owner", r.Owner}, {"key", r.Key}, {"content_type", r.ContentType}, {"file_name", r.FileName},
		{"idempotency_key", r.IdempotencyKey},
	}
	for k, v := range r.Metadata {
		texts = append(texts, struct{ field, text string }{"metadata", k}, struct{ field, text string }{"metadata", v})
	}
	for _, t := range texts {
		if e := checkText(t.field, t.text); e != nil {
			return e
		}
	}
	return nil
}

// checkRows returns a [media.BatchError] when a row has a text that cannot be stored.
func checkRows(rows []*row) error {
	refused := &media.BatchError{Items: make([]*media.Error, len(rows))}
	failed := false
	for i, r := range rows {
		if refused.Items[i] = r.check(); refused.Items[i] != nil {
			failed = true
		}
	}
	if failed {
		return refused
	}
	return nil
}

// checkLandings refuses landings whose texts cannot be stored. Trying again would not help.
func checkLandings(gathered []media.Gathered) error {
	for _, g := range gathered {
		for _, t := range []struct{ field, text string }{
			{"etag", g.ETag}, {"version_id", g.VersionID}, {"sequencer", string(g.Sequencer)},
		} {
			if e := checkText(t.field, t.text); e != nil {
				e.MediaID = g.MediaID
				return fmt.Errorf("recording the landing of media %s: %w", g.MediaID, e)
			}
		}
	}
	return nil
}

// checkClaims returns a [media.BatchError] when a claim's text cannot be stored. It is given before anything is looked
// up, so it tells nothing of the media.
func checkClaims(claims []media.Claim) error {
	refused := &media.BatchError{Items: make([]*media.Error, len(claims))}
	failed := false
	for i, c := range claims {
		if refused.Items[i] = checkText("claim", c.Claim); refused.Items[i] != nil {
			failed = true
		}
	}
	if failed {
		return refused
	}
	return nil
}

// metadata is stored as JSON, written by us: bun's own writing of it alters a backslash before "u0000".
type metadata map[string]string

// Value implements [driver.Valuer].
func (m metadata) Value() (driver.Value, error) {
	text, err := m.text()
	if text == nil {
		return nil, err
	}
	return *text, nil
}

// text is what is stored, or nil for NULL.
func (m metadata) text() (*string, error) {
	if m == nil {
		return nil, nil
	}
	b, err := json.Marshal(map[string]string(m))
	text := string(b)
	return &text, err
}

// Scan implements [sql.Scanner].
func (m *metadata) Scan(src any) error {
	*m = nil
	return scanJSON(src, (*map[string]string)(m))
}

// scanJSON reads a column of JSON, and leaves what it is read to as it is when it is NULL.
func scanJSON(src, to any) error {
	switch text := src.(type) {
	case nil:
		return nil
	case []byte:
		return json.Unmarshal(text, to)
	case string:
		return json.Unmarshal([]byte(text), to)
	}
	return fmt.Errorf("reading a column: %T is not JSON", src)
}
