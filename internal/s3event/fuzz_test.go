package s3event_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/coatcheck/coatcheck/internal/s3event"
)

// FuzzDecode checks what callers rely on: no panic, an error or something to act on, bounded errors, and records whose
// strings Postgres can store.
func FuzzDecode(f *testing.F) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		f.Fatalf("no seeds: %v", err)
	}
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
		f.Add(body[:len(body)/2])
	}
	f.Add([]byte(`{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"%F0%9F%A7%A5+%00","size":1e3}}}]}`))
	f.Add([]byte(`{"Type":"Notification","Message":"{\"Type\":\"Notification\",\"Message\":\"{}\"}"}`))
	f.Add([]byte(`{"Records":[{"eventVersion":"2.","eventSource":":s3","eventName":"\ud800","s3":{"bucket":{"name":"\u0000"}}}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := s3event.Decode(string(body))
		switch {
		case err == nil && !m.Test && len(m.Records) == 0:
			t.Error("neither an error nor anything to act on")
		case err == nil && m.Test && len(m.Records) != 0:
			t.Error("a test event with records")
		case err != nil && len(err.Error()) > 1000:
			t.Errorf("an error of %d bytes", len(err.Error()))
		case len(m.Records) > s3event.MaxRecords:
			t.Errorf("%d records", len(m.Records))
		}
		for _, r := range m.Records {
			if r.Bucket == "" || r.Key == "" || r.EventName == "" || r.SizeBytes < 0 || len(r.Key) > s3event.MaxKey {
				t.Errorf("a record that should have been refused: %+v", r)
			}
			for _, s := range []string{r.EventName, r.Bucket, r.Key, r.ETag, r.VersionID, r.Sequencer} {
				if !utf8.ValidString(s) || strings.ContainsRune(s, 0) {
					t.Errorf("a string that cannot be stored: %q", s)
				}
			}
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for _, name := range []string{"s3_put.json", "sns_put.json", "eventbridge_created.json"} {
		body := string(read(b, name))
		b.Run(strings.TrimSuffix(name, ".json"), func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := s3event.Decode(body); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
