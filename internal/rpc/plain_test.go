package rpc_test

import (
	"encoding/base64"
	"strings"
	"testing"

	"buf.build/go/protovalidate"
	"github.com/google/uuid"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"github.com/coatcheck/coatcheck/internal/rpc"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// near draws a text that a rule takes, or one that it nearly takes: with a character changed, or of another length.
func near(t *rapid.T, label string, good ...string) string {
	s := rapid.SampledFrom(good).Draw(t, label)
	odd := rapid.SampledFrom([]string{"\x00", "\n", " ", "~", "\x7f", "/", ";", "{", "g", "G", "B=", "=", "ü", "\xff", "-"}).Draw(t, label+", odd")
	switch at := rapid.IntRange(0, len(s)).Draw(t, label+", at"); rapid.IntRange(0, 7).Draw(t, label+", how") {
	case 0:
		return s[:at] + odd + s[at:]
	case 1:
		return s[:at]
	case 2:
		return s[:at] + odd + s[min(at+len(odd), len(s)):]
	case 3:
		return s + s
	}
	return s
}

// TestPlainIsValid: what protovalidate is not asked about it would not refuse.
func TestPlainIsValid(t *testing.T) {
	t.Parallel()
	id := uuid.NewString()
	sum := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\xa5\x5a", 16)))
	create := func(t *rapid.T) *coatcheckv1.CreateUploadRequest {
		r := &coatcheckv1.CreateUploadRequest{
			ContentType:    near(t, "type", "image/jpeg", "image/svg+xml", "text/plain; charset=utf-8", strings.Repeat("a", 250)+"/bcde", "a/"),
			SizeBytes:      rapid.SampledFrom([]int64{1, 5, 1 << 40, 0, -1}).Draw(t, "size"),
			ChecksumSha256: near(t, "checksum", sum, sum, "", sum[:40], strings.Repeat("A", 42)+"B=", strings.Repeat("A", 43)+"="),
			FileName:       near(t, "file", "coat.jpg", "", strings.Repeat("f", 255), "mäntel"),
			IdempotencyKey: near(t, "key", "", "k-1", strings.Repeat("k", 128)),
		}
		if rapid.IntRange(0, 3).Draw(t, "metadata") == 0 {
			r.Metadata = map[string]string{near(t, "metadata key", "k"): near(t, "metadata value", "v")}
		}
		return r
	}
	confirm := func(t *rapid.T) *coatcheckv1.ConfirmMediaRequest {
		return &coatcheckv1.ConfirmMediaRequest{
			MediaId: near(t, "id", id, strings.ToUpper(id), "{"+id+"}", "urn:uuid:"+id, strings.ReplaceAll(id, "-", ""), ""),
			Claim:   near(t, "claim", "post/1", "", strings.Repeat("c", 200), strings.Repeat("ü", 150)),
		}
	}
	batch := func(t *rapid.T) *coatcheckv1.BatchConfirmMediaRequest {
		r := &coatcheckv1.BatchConfirmMediaRequest{Items: rapid.SliceOfN(rapid.Custom(confirm), 0, 2).Draw(t, "items")}
		for n := rapid.SampledFrom([]int{0, 0, 97, 98, 99, 100}).Draw(t, "more"); n > 0; n-- {
			r.Items = append(r.Items, &coatcheckv1.ConfirmMediaRequest{MediaId: id, Claim: "c"})
		}
		return r
	}
	for range 50 { // a hundred each
		rapid.Check(t, func(t *rapid.T) {
			message := rapid.OneOf(
				rapid.Map(rapid.Custom(create), func(m *coatcheckv1.CreateUploadRequest) proto.Message { return m }),
				rapid.Map(rapid.Custom(confirm), func(m *coatcheckv1.ConfirmMediaRequest) proto.Message { return m }),
				rapid.Map(rapid.Custom(batch), func(m *coatcheckv1.BatchConfirmMediaRequest) proto.Message { return m }),
			).Draw(t, "message")
			if err := protovalidate.Validate(message); err != nil && rpc.Plain(message) {
				t.Fatalf("plain, but %v", err)
			}
		})
	}
	item := &coatcheckv1.ConfirmMediaRequest{MediaId: id, Claim: "post/1"}
	for _, test := range []struct {
		message proto.Message
		fields  int // whoever adds one sees to it in this test and in plain
	}{
		{&coatcheckv1.CreateUploadRequest{ContentType: "image/jpeg", SizeBytes: 5, ChecksumSha256: sum, FileName: "coat.jpg", IdempotencyKey: "k"}, 6},
		{item, 2},
		{&coatcheckv1.BatchConfirmMediaRequest{Items: []*coatcheckv1.ConfirmMediaRequest{item, item}}, 1},
	} {
		d := test.message.ProtoReflect().Descriptor()
		if n := d.Fields().Len(); n != test.fields || !rpc.Plain(test.message) || rpc.Plain(test.message.ProtoReflect().New().Interface()) {
			t.Errorf("%s: %d fields, want %d; what comes most is plain: %t", d.Name(), n, test.fields, rpc.Plain(test.message))
		}
	}
}

func BenchmarkValidate(b *testing.B) {
	upload := &coatcheckv1.CreateUploadRequest{
		ContentType: "image/jpeg", SizeBytes: 5, FileName: "coat.jpg", ChecksumSha256: base64.StdEncoding.EncodeToString(make([]byte, 32)),
	}
	items := &coatcheckv1.BatchConfirmMediaRequest{}
	for range 100 {
		items.Items = append(items.Items, &coatcheckv1.ConfirmMediaRequest{MediaId: uuid.NewString(), Claim: "post/1"})
	}
	for name, message := range map[string]proto.Message{"CreateUpload": upload, "BatchConfirmMedia of 100": items} {
		b.Run(name+"/plain", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if !rpc.Plain(message) {
					b.Fatal("it is not plain")
				}
			}
		})
		b.Run(name+"/protovalidate", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := protovalidate.Validate(message); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
