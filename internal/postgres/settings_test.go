package postgres_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
)

// TestSettingsOfTheDatabase: what is read and written means the same whatever the database's own settings are, and a row
// that changes meanwhile is judged as it has become.
func TestSettingsOfTheDatabase(t *testing.T) {
	t.Parallel()
	for _, setting := range []string{
		"bytea_output = 'escape'", "default_transaction_isolation = 'repeatable read'", "default_transaction_isolation = 'serializable'",
		"DateStyle = 'SQL, DMY'", "TimeZone = 'Asia/Kolkata'", "standard_conforming_strings = off", "search_path = 'pg_temp'",
	} {
		t.Run(setting, func(t *testing.T) {
			t.Parallel()
			url := pgtest.New(t)
			admin := open(t, url)
			exec(t, admin, "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET "+strings.ReplaceAll(setting, "'", "''")+"', current_database()); END $$")
			f := storeAt(t, url)
			sum := append([]byte("\\x00'\x00\xff\"\\000"), bytes.Repeat([]byte{'\\'}, 32)...)[:32]
			m := f.create(t, keyed("k"), func(m *media.Media) {
				m.ChecksumSHA256, m.FileName, m.Metadata = sum, "á\\'?", map[string]string{"á\\": "'\\u0041\\"}
			})
			one, err := f.Get(t.Context(), alice, m.ID)
			if err != nil {
				t.Fatal(err)
			}
			all, err := f.GetAll(t.Context(), alice, []uuid.UUID{m.ID})
			if err != nil || len(all) != 1 {
				t.Fatal(all, err)
			}
			for _, got := range []*media.Media{one, all[0]} {
				if text(got) != text(m) {
					t.Errorf("it was %s and is read as %s", text(m), text(got))
				}
			}
			pending := f.create(t)
			if err := f.meet(t, pending, becomesUploaded, func() error {
				_, err := f.Land(t.Context(), media.SourceNotification, []media.Landing{landing(pending)})
				return err
			}); err != nil {
				t.Errorf("a landing that meets another: %v", err)
			}
			if _, err := f.Confirm(t.Context(), alice, claims("post/1", pending)); err != nil {
				t.Error(err)
			}
		})
	}
}
