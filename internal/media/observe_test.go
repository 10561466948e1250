package media_test

import (
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/internal/media"
)

func TestObserve(t *testing.T) {
	t.Parallel()
	sum, other := []byte(strings.Repeat("s", 32)), []byte(strings.Repeat("o", 32))
	declared := func(checksum []byte) *media.Media {
		m := in(media.StatePending, "", "")
		m.SizeBytes, m.ContentType, m.ChecksumSHA256 = 100, "image/jpeg", checksum
		return m
	}
	for _, test := range []struct {
		name   string
		m      *media.Media
		object media.Object
		says   string
	}{
		{"as declared", declared(sum), media.Object{SizeBytes: 100, ContentType: "image/jpeg", ChecksumSHA256: sum}, ""},
		{"size", declared(sum), media.Object{SizeBytes: 99, ContentType: "image/jpeg", ChecksumSHA256: sum}, "size is 99"},
		{"type", declared(sum), media.Object{SizeBytes: 100, ContentType: "text/html", ChecksumSHA256: sum}, `"text/html"`},
		{"checksum", declared(sum), media.Object{SizeBytes: 100, ContentType: "image/jpeg", ChecksumSHA256: other}, "checksum"},
		{"a store that tells no checksum", declared(sum), media.Object{SizeBytes: 100, ContentType: "image/jpeg"}, ""},
		{"no checksum declared", declared(nil), media.Object{SizeBytes: 100, ContentType: "image/jpeg", ChecksumSHA256: other}, ""},
		{"a type too long to repeat", declared(nil), media.Object{SizeBytes: 100, ContentType: strings.Repeat("x", 1<<20)}, "content type"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.object.ETag, test.object.VersionID, test.object.LastModified = "e1", "v1", decidedAt
			l := test.m.Observe(test.object)
			if (l.Mismatch == "") != (test.says == "") || !strings.Contains(l.Mismatch, test.says) || len(l.Mismatch) > 1000 {
				t.Errorf("mismatch %.200q, want %q", l.Mismatch, test.says)
			}
			if l.MediaID != test.m.ID || l.SizeBytes != test.object.SizeBytes || l.ETag != "e1" || l.VersionID != "v1" ||
				!l.EventTime.Equal(decidedAt) || l.Sequencer != "" {
				t.Errorf("got %+v", l)
			}
		})
	}
}
