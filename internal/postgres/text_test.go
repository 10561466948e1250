package postgres_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/postgres"
)

// hostile texts: those that end a literal, those that mean something to bun, to Postgres's arrays or to JSON, those that
// cannot be stored, and one that is long. Arguments are written into the statement, so this is where it would show.
var hostile = []string{
	`'`, `''`, `"`, `\`, `\\`, `\'`, `'\''`, `'; DROP TABLE coatcheck.media; --`, `\'; DROP TABLE coatcheck.media; --`,
	`?`, `?0`, `??`, `\?`, `?ids ?now ?TableAlias`, `$1`, `$$`, `E'\047'`, `/*`, `--`, `%s%d%!`, `{}`, `{"a","b"}`, `NULL`, `"NULL"`,
	`\u0000`, `\\u0000`, `\\\u0000`, `a\u0000b`, `\u0041`, `\x00`, `\"`, `"}`, `{"k":"v"}`, "\n\r\t\b\f\v", " ", "\u00a0", "é", "😀", "\u202e",
	"\ufeff", "\ufffd", "\U0010ffff", "\u2028", `<script>&`, "a\x00b", "\x00", "\xff", "a\xc3", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80",
	"x\xff'; DROP TABLE coatcheck.media; --", strings.Repeat("long ", 1<<18/5*4), strings.Repeat("'\\\"?", 1<<18),
}

// canBeStored: NUL and what is not UTF-8 cannot, in Postgres. Such a text must be refused, never altered.
func canBeStored(s string) bool { return utf8.ValidString(s) && !strings.Contains(s, "\x00") }

// checkStored fails the test when a text was stored otherwise than it came, or refused without a reason.
func checkStored(t *testing.T, what, text string, err error, stored func() string) {
	t.Helper()
	switch {
	case err != nil && postgres.Transient(err):
		t.Errorf("%s %.40q: refused as if it would pass: %.200v", what, text, err)
	case err != nil && canBeStored(text) && len(text) < 2000:
		t.Errorf("%s %.40q: refused: %.200v", what, text, err)
	case err == nil && !canBeStored(text):
		t.Errorf("%s %.40q: was taken, and is stored as %.40q", what, text, stored())
	case err == nil && stored() != text:
		t.Errorf("%s %.40q: is stored as %.40q", what, text, stored())
	}
}

func TestHostileTextsOfUploads(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	get := func(m *media.Media) *media.Media {
		got, err := f.Get(t.Context(), media.Scope{Tenant: m.Tenant, Owner: m.Owner}, m.ID)
		if err != nil {
			t.Fatalf("it was created, and then: %.200v", err)
		}
		return got
	}
	for column, of := range map[string]func(*media.Media) *string{
		"tenant":       func(m *media.Media) *string { return &m.Tenant },
		"owner":        func(m *media.Media) *string { return &m.Owner },
		"content type": func(m *media.Media) *string { return &m.ContentType },
		"file name":    func(m *media.Media) *string { return &m.FileName },
		"key":          func(m *media.Media) *string { return &m.Key },
	} {
		for _, key := range []string{"", "k"} {
			for i, text := range hostile {
				d := draft(func(m *media.Media) {
					if *of(m) = text; key != "" {
						m.IdempotencyKey = fmt.Sprint(column, i)
					}
					m.Key += column + key // that column is unique
					if column == "key" {
						m.Key = text + key
					}
				})
				want := *of(d)
				_, err := f.Create(t.Context(), []*media.Media{d})
				checkStored(t, column, want, err, func() string { return *of(get(d)) })
			}
		}
	}
	for _, text := range hostile {
		d := draft(keyed(text))
		_, err := f.Create(t.Context(), []*media.Media{d})
		checkStored(t, "idempotency key", text, err, func() string { return get(d).IdempotencyKey })
		if err != nil {
			continue
		}
		// It is found again, and no other is taken for it.
		ms, err := f.Create(t.Context(), []*media.Media{same(d)})
		if err != nil || ms[0].ID != d.ID {
			t.Errorf("idempotency key %.40q again: %v, %.200v", text, ms, err)
		}
	}
}

func TestHostileMetadata(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	for i, text := range hostile {
		for _, meta := range []map[string]string{{text: "value"}, {"name": text}, {text: text, "another": text + "x"}} {
			d := draft(keyed(fmt.Sprint(i, len(meta), meta["name"] == text)), func(m *media.Media) { m.Metadata = meta })
			_, err := f.Create(t.Context(), []*media.Media{d})
			switch {
			case err == nil && !canBeStored(text), err != nil && (canBeStored(text) || postgres.Transient(err)):
				t.Errorf("metadata with %.40q: %.200v", text, err)
			case err == nil && !maps.Equal(f.get(t, d.ID).Metadata, meta):
				t.Errorf("metadata with %.40q is stored as %.200v", text, f.get(t, d.ID).Metadata)
			case err == nil:
				if ms, err := f.Create(t.Context(), []*media.Media{same(d)}); err != nil || ms[0].ID != d.ID {
					t.Errorf("metadata with %.40q again: %.200v", text, err)
				}
			}
		}
	}
}

func TestHostileClaims(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	for _, text := range hostile {
		m := f.bring(t, media.StateUploaded)
		_, err := f.Confirm(t.Context(), alice, claims(text, m))
		checkStored(t, "claim", text, err, func() string { return f.get(t, m.ID).Claim })
		if err != nil {
			text = "post/1"
			if _, err := f.Confirm(t.Context(), alice, claims(text, m)); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := f.Confirm(t.Context(), alice, claims(text+"'", m)); !refusedWith(err, 0, media.CodeClaimConflict) {
			t.Errorf("claim %.40q and a quote: %.200v", text, err)
		}
		for _, other := range []string{text + "\x00", text + "\xff"} {
			if _, err := f.Discard(t.Context(), alice, m.ID, media.EventRelease, other); err == nil {
				t.Errorf("claim %.40q was released as %.40q", text, other)
			}
		}
		if _, err := f.Discard(t.Context(), alice, m.ID, media.EventRelease, text); err != nil {
			t.Errorf("claim %.40q: %.200v", text, err)
		}
	}
}

func TestHostileLandings(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	for column, of := range map[string]func(*media.Landing) *string{
		"entity tag": func(l *media.Landing) *string { return &l.ETag },
		"version":    func(l *media.Landing) *string { return &l.VersionID },
	} {
		for _, text := range hostile {
			m, bystander := f.create(t), f.create(t)
			_, err := f.Land(t.Context(), media.SourceNotification, []media.Landing{
				landing(m, func(l *media.Landing) { *of(l) = text }), landing(bystander),
			})
			checkStored(t, column, text, err, func() string {
				got := f.get(t, m.ID)
				return *of(&media.Landing{ETag: got.ETag, VersionID: got.VersionID})
			})
			if got := f.get(t, bystander.ID).State; (got == media.StateUploaded) != (err == nil) {
				t.Errorf("%s %.40q: %.200v, and the other landing left its media %s", column, text, err, got)
			}
		}
	}
	for _, text := range []string{"'", "zz", strings.Repeat("F", 41), "\x00", "?"} {
		m := f.create(t)
		_, err := f.Land(t.Context(), media.SourceNotification, []media.Landing{
			landing(m, func(l *media.Landing) { l.Sequencer = media.Sequencer(text) }),
		})
		if err == nil || postgres.Transient(err) {
			t.Errorf("sequencer %q: %v", text, err)
		}
	}
}

// TestHostileErrors: what S3 answers is kept for the operator to read, as well as it can be, and a text that cannot be
// stored does not keep the others of the batch from being tried again.
func TestHostileErrors(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	for _, text := range hostile {
		m := f.bring(t, media.StateDeleting)
		m.LastError, m.DueAt = text, f.Now().Add(windows.Claim)
		if err := f.RetryDeleting(t.Context(), []*media.Media{m}); err != nil {
			t.Errorf("%.40q: %.200v", text, err)
		}
		got := f.get(t, m.ID)
		if !got.DueAt.Equal(m.DueAt) || canBeStored(text) && got.LastError != text {
			t.Errorf("%.40q is stored as %.40q, due %s", text, got.LastError, got.DueAt)
		}
	}
}

// TestLiteralsDoNotDependOnTheDatabase: a database in which a backslash in a literal means something would let a text
// end its literal. The connection says what it needs.
func TestLiteralsDoNotDependOnTheDatabase(t *testing.T) {
	t.Parallel()
	f := newStore(t)
	conn, err := pgx.Connect(t.Context(), f.url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	for _, setting := range []string{"standard_conforming_strings = off", "backslash_quote = on", "client_encoding = 'SJIS'", "DateStyle = 'German, DMY'", "TimeZone = 'Asia/Tokyo'", "array_nulls = off"} {
		name := pgx.Identifier{conn.Config().Database}.Sanitize()
		if _, err := conn.Exec(t.Context(), "ALTER DATABASE "+name+" SET "+setting); err != nil {
			t.Fatal(err)
		}
	}
	db, err := postgres.Open(f.url, 2)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store := postgres.NewStore(db, windows, f.Now, postgres.NewMetrics(prometheus.NewRegistry()))
	for _, text := range []string{`\`, `\'`, `\'; UPDATE coatcheck.media SET owner = 'mallory'; --`, "é", "表", "😀", "NULL"} {
		d := draft(func(m *media.Media) { m.FileName, m.Metadata = text, map[string]string{"name": text} })
		if _, err := store.Create(t.Context(), []*media.Media{d}); err != nil {
			t.Errorf("%q: %v", text, err)
			continue
		}
		if _, err := store.Land(t.Context(), media.SourceNotification, []media.Landing{landing(d, func(l *media.Landing) { l.ETag = text })}); err != nil {
			t.Errorf("%q: %v", text, err)
		}
		got, err := store.Get(t.Context(), alice, d.ID)
		if err != nil || got.FileName != text || got.ETag != text || got.Metadata["name"] != text || !got.CreatedAt.Equal(f.Now()) {
			t.Errorf("%q is stored as %+v, %v", text, got, err)
		}
	}
}
