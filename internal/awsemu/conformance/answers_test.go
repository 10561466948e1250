package conformance

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// TestAnswers logs what the target answers to each misuse of a presigned upload, for README.md, and fails when one of
// them is let through. TestConformance checks the exact answers.
func TestAnswers(t *testing.T) {
	t.Parallel()
	e := &env{T: t, target: newTarget(t)}
	b := e.bucket()
	right := e.presignPut(b, "right", body)
	short := e.presignPutFor(time.Second, b, "late", body)
	size := e.presignPut(b, "size", body, noChecksum)
	kind := e.presignPut(b, "kind", body)
	sum := e.presignPut(b, "sum", body)
	value := e.presignPut(b, "value", body)
	once := e.presignPut(b, "once", body)
	extra := e.presignPut(b, "extra", body)
	if a := e.send("PUT", right.url, right.header, body); a.status != 200 {
		t.Fatalf("the upload as it was signed: %d %s", a.status, a.code)
	}
	other := []byte("HELLO-jpeg-bytes")
	time.Sleep(2200 * time.Millisecond) // Until the short one has expired.
	var table strings.Builder
	for _, misuse := range []struct {
		name   string
		answer answer
	}{
		{"a wrong size", e.send("PUT", size.url, size.header, body[1:])},
		{"a wrong type", e.send("PUT", kind.url, kind.with("Content-Type", "text/html"), body)},
		{"other bytes than the signed SHA-256", e.send("PUT", sum.url, sum.header, other)},
		{"other bytes and their SHA-256 in the header", e.send("PUT", value.url, value.with("X-Amz-Checksum-Sha256", sha256Base64(other)), other)},
		{"without If-None-Match", e.send("PUT", once.url, once.with("If-None-Match", ""), body)},
		{"an unsigned x-amz-meta-* more", e.send("PUT", extra.url, extra.with("X-Amz-Meta-Sneaked", "in"), body)},
		{"the same URL again", e.send("PUT", right.url, right.header, body)},
		{"an expired URL", e.send("PUT", short.url, short.header, body)},
	} {
		fmt.Fprintf(&table, "\n| %s | %d %s |", misuse.name, misuse.answer.status, misuse.answer.code)
		if misuse.answer.status < 400 {
			t.Errorf("%s is answered %d", misuse.name, misuse.answer.status)
		}
	}
	t.Logf("%s answers to a presigned PUT with%s", e.name, table.String())
	if len(e.failures) > 0 {
		t.Error(strings.Join(e.failures, "\n"))
	}
}
