package rpc_test

import (
	"strings"
	"testing"

	"github.com/google/uuid"
	"google.golang.org/protobuf/reflect/protoreflect"

	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// TestBadInput checks that each refusal has its own code, names the field, and leaves nothing behind.
func TestBadInput(t *testing.T) {
	t.Parallel()
	s := newService(t)
	upload := func(change map[string]any) map[string]any {
		r := map[string]any{"contentType": "text/plain", "sizeBytes": 5}
		for k, v := range change {
			r[k] = v
		}
		return r
	}
	id := s.uploaded(t)
	cases := []struct {
		name      string
		procedure string
		request   any
		code      string
		field     string
		rule      string
	}{
		{"size 0", "UploadService/CreateUpload", upload(map[string]any{"sizeBytes": 0}), "invalid_argument", "sizeBytes", "size_bytes.min"},
		{"size missing", "UploadService/CreateUpload", map[string]any{"contentType": "text/plain"}, "invalid_argument", "sizeBytes", "size_bytes.min"},
		{"size negative", "UploadService/CreateUpload", upload(map[string]any{"sizeBytes": -1}), "invalid_argument", "sizeBytes", "size_bytes.min"},
		{"size over the limit", "UploadService/CreateUpload", upload(map[string]any{"sizeBytes": 1001}), "invalid_argument", "sizeBytes", "size_bytes.limit"},
		{"type not allowed", "UploadService/CreateUpload", upload(map[string]any{"contentType": "text/html"}), "invalid_argument", "contentType", "content_type.allowed"},
		{"type empty", "UploadService/CreateUpload", upload(map[string]any{"contentType": ""}), "invalid_argument", "contentType", "content_type.form"},
		{"type malformed", "UploadService/CreateUpload", upload(map[string]any{"contentType": "image/jpeg\r\nX-Evil: 1"}), "invalid_argument", "contentType", "content_type.form"},
		{"checksum not base64", "UploadService/CreateUpload", upload(map[string]any{"checksumSha256": "zzz"}), "invalid_argument", "checksumSha256", "checksum_sha256.form"},
		{"checksum in hex", "UploadService/CreateUpload", upload(map[string]any{"checksumSha256": strings.Repeat("ab", 32)}), "invalid_argument", "checksumSha256", "checksum_sha256.form"},
		{"checksum with loose bits", "UploadService/CreateUpload", upload(map[string]any{"checksumSha256": strings.Repeat("A", 42) + "B="}), "invalid_argument", "checksumSha256", "checksum_sha256.form"},
		{"file name too long", "UploadService/CreateUpload", upload(map[string]any{"fileName": strings.Repeat("ä", 256)}), "invalid_argument", "fileName", "file_name.form"},
		{"file name with NUL", "UploadService/CreateUpload", upload(map[string]any{"fileName": "a\x00b"}), "invalid_argument", "fileName", "file_name.form"},
		{"metadata key", "UploadService/CreateUpload", upload(map[string]any{"metadata": map[string]string{"": "x"}}), "invalid_argument", `metadata[""]`, "metadata.key"},
		{"metadata value", "UploadService/CreateUpload", upload(map[string]any{"metadata": map[string]string{"k": "a\x00"}}), "invalid_argument", `metadata["k"]`, "metadata.value"},
		{"idempotency key", "UploadService/CreateUpload", upload(map[string]any{"idempotencyKey": strings.Repeat("x", 129)}), "invalid_argument", "idempotencyKey", "idempotency_key.form"},
		{"one bad item of a batch", "UploadService/BatchCreateUploads", map[string]any{"uploads": []any{upload(nil), upload(map[string]any{"sizeBytes": 0})}}, "invalid_argument", "uploads[1].sizeBytes", "size_bytes.min"},
		{"empty batch", "UploadService/BatchCreateUploads", map[string]any{"uploads": []any{}}, "invalid_argument", "uploads", "repeated.min_items"},
		{"malformed id", "MediaService/GetMedia", map[string]any{"mediaId": "42"}, "invalid_argument", "mediaId", "string.uuid"},
		{"no id", "MediaService/GetMedia", map[string]any{}, "invalid_argument", "mediaId", "string.uuid"},
		{"id in braces", "MediaService/GetMedia", map[string]any{"mediaId": "{" + id + "}"}, "invalid_argument", "mediaId", "string.uuid"},
		{"unknown id", "MediaService/GetMedia", map[string]any{"mediaId": uuid.NewString()}, "not_found", "", ""},
		{"no claim", "MediaService/ConfirmMedia", map[string]any{"mediaId": id}, "invalid_argument", "claim", "claim.form"},
		{"oversized claim", "MediaService/ConfirmMedia", map[string]any{"mediaId": id, "claim": strings.Repeat("c", 201)}, "invalid_argument", "claim", "claim.form"},
		{"claim with a line feed", "MediaService/ConfirmMedia", map[string]any{"mediaId": id, "claim": "a\nb"}, "invalid_argument", "claim", "claim.form"},
		{"the same media twice", "MediaService/BatchConfirmMedia", map[string]any{"items": []any{map[string]any{"mediaId": id, "claim": "a"}, map[string]any{"mediaId": strings.ToUpper(id), "claim": "a"}}}, "invalid_argument", "items", "items.distinct"},
		{"page size", "MediaService/ListMedia", map[string]any{"pageSize": 1001}, "invalid_argument", "pageSize", "int32.gte_lte"},
		{"page token", "MediaService/ListMedia", map[string]any{"pageToken": "nonsense"}, "invalid_argument", "pageToken", "page_token.form"},
		{"state", "MediaService/ListMedia", map[string]any{"state": 99}, "invalid_argument", "state", "enum.defined_only"},
		{"download time", "MediaService/CreateDownload", map[string]any{"mediaId": id, "ttl": "604801s"}, "invalid_argument", "ttl", "duration.gte_lte"},
		{"not JSON", "UploadService/CreateUpload", "{", "invalid_argument", "", ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got := s.call(t, alice, c.procedure, c.request)
			if got.code != c.code {
				t.Fatalf("code %q, want %q (%s)", got.code, c.code, got.message)
			}
			if c.field == "" {
				return
			}
			if !strings.Contains(got.message, c.field+": ") {
				t.Errorf("the message does not name %s: %s", c.field, got.message)
			}
			if len(got.infos) != 1 || got.infos[0]["field"] != c.field || got.infos[0]["rule"] != c.rule {
				t.Errorf("details %v, want field %s and rule %s", got.infos, c.field, c.rule)
			}
		})
	}
	if listed := s.must(t, backend, "MediaService/ListMedia", map[string]any{})["media"].([]any); len(listed) != 1 {
		t.Errorf("after the refusals there are %d media, want the one made before", len(listed))
	}
}

func TestWhoIsCalling(t *testing.T) {
	t.Parallel()
	s := newService(t)
	request := map[string]any{"contentType": "text/plain", "sizeBytes": 5}
	if got := s.call(t, caller{}, "UploadService/CreateUpload", request); got.code != "unauthenticated" {
		t.Errorf("without a token: %s %s", got.code, got.message)
	}
	// Authentication comes before decoding: what is not let in is not read.
	if got := s.call(t, caller{}, "UploadService/CreateUpload", "{"); got.code != "unauthenticated" {
		t.Errorf("without a token, and malformed: %s %s", got.code, got.message)
	}
	s.tokens["nobody"] = "coat_made-up"
	if got := s.call(t, caller{"nobody", "alice"}, "UploadService/CreateUpload", request); got.code != "unauthenticated" {
		t.Errorf("with an unknown token: %s %s", got.code, got.message)
	}
	if got := s.call(t, backend, "UploadService/CreateUpload", request); got.code != "invalid_argument" || !strings.Contains(got.message, "Coatcheck-Owner") {
		t.Errorf("an upload for nobody: %s %s", got.code, got.message)
	}
	if got := s.call(t, caller{"acme", strings.Repeat("o", 201)}, "UploadService/CreateUpload", request); got.code != "invalid_argument" || !strings.Contains(got.message, "Coatcheck-Owner") {
		t.Errorf("an owner too long: %s %s", got.code, got.message)
	}
}

// TestOperatorsAndTenants: what spans tenants is for operators only, and an operator has no media (R9). It is told before
// the body is decoded, whatever owner the call is for.
func TestOperatorsAndTenants(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id := s.uploaded(t)
	for _, file := range []protoreflect.FileDescriptor{
		coatcheckv1.File_coatcheck_v1_upload_service_proto, coatcheckv1.File_coatcheck_v1_media_service_proto,
	} {
		methods(file, func(procedure string, _ bool) {
			for _, who := range []caller{operator, {"*", "alice"}, {"*", strings.Repeat("o", 201)}} {
				for _, body := range []any{"{", map[string]any{"mediaId": id}} {
					if got := s.call(t, who, procedure, body); got.code != "permission_denied" || !strings.Contains(got.message, "AdminService only") {
						t.Errorf("%s as %v: %s %s", procedure, who, got.code, got.message)
					}
				}
			}
		})
	}
	methods(coatcheckv1.File_coatcheck_v1_admin_service_proto, func(procedure string, streams bool) {
		for _, who := range []caller{alice, backend, globex} {
			for _, body := range []any{"{", map[string]any{}} {
				if got := s.call(t, who, procedure, body); got.code != "permission_denied" || !strings.Contains(got.message, "for operators") {
					t.Errorf("%s as %v: %s %s", procedure, who, got.code, got.message)
				}
			}
		}
		if got := s.call(t, caller{}, procedure, "{"); got.code != "unauthenticated" {
			t.Errorf("%s without a token: %s %s", procedure, got.code, got.message)
		}
		if streams { // which are another content type
			return
		}
		if got := s.call(t, operator, procedure, "{"); got.code != "invalid_argument" {
			t.Errorf("%s as an operator, malformed: %s %s", procedure, got.code, got.message)
		}
	})
	if runs, err := s.store.Runs(t.Context(), 1); err != nil || len(runs) != 0 {
		t.Errorf("after all that there are runs: %v, %v", runs, err)
	}
	if got := s.state(t, id); got != "MEDIA_STATE_UPLOADED" {
		t.Errorf("after all that it is %s", got)
	}
}

// methods calls f with each procedure of a file's service, and whether it answers with a stream.
func methods(file protoreflect.FileDescriptor, f func(procedure string, streams bool)) {
	service := file.Services().Get(0)
	for i := range service.Methods().Len() {
		m := service.Methods().Get(i)
		f(string(service.Name())+"/"+string(m.Name()), m.IsStreamingServer())
	}
}

// TestNobodyTouchesWhatIsNotTheirs is R9: another owner, and another tenant, get to the letter what an id gets that does
// not exist.
func TestNobodyTouchesWhatIsNotTheirs(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id, unknown := s.uploaded(t), uuid.NewString()
	procedures := map[string]map[string]any{
		"UploadService/GetUpload":        {},
		"UploadService/CancelUpload":     {},
		"MediaService/GetMedia":          {},
		"MediaService/ConfirmMedia":      {"claim": "post/1"},
		"MediaService/ReleaseMedia":      {"claim": "post/1"},
		"MediaService/DeleteMedia":       {},
		"MediaService/CreateDownload":    {},
		"MediaService/BatchConfirmMedia": nil,
	}
	for procedure, fields := range procedures {
		for _, who := range []caller{bob, globex} {
			ask := func(id string) answer {
				if fields == nil {
					return s.call(t, who, procedure, map[string]any{"items": []any{map[string]any{"mediaId": id, "claim": "post/1"}}})
				}
				request := map[string]any{"mediaId": id}
				for k, v := range fields {
					request[k] = v
				}
				return s.call(t, who, procedure, request)
			}
			theirs, nothing := ask(id), ask(unknown)
			if theirs.code != "not_found" || nothing.code != "not_found" {
				t.Errorf("%s as %v: %s for another's, %s for an unknown id", procedure, who, theirs.code, nothing.code)
			}
			if a, b := strings.ReplaceAll(theirs.message, id, "ID"), strings.ReplaceAll(nothing.message, unknown, "ID"); a != b {
				t.Errorf("%s as %v: %q for another's, %q for an unknown id", procedure, who, a, b)
			}
		}
	}
	for _, who := range []caller{bob, globex} {
		if listed, ok := s.must(t, who, "MediaService/ListMedia", map[string]any{"owner": who.owner})["media"].([]any); ok && len(listed) > 0 {
			t.Errorf("%v lists what is not theirs: %v", who, listed)
		}
	}
	if listed, ok := s.must(t, bob, "MediaService/ListMedia", map[string]any{"owner": "alice"})["media"].([]any); ok && len(listed) > 0 {
		t.Errorf("bob lists alice's: %v", listed)
	}
	if got := s.state(t, id); got != "MEDIA_STATE_UPLOADED" {
		t.Errorf("after all that it is %s", got)
	}
}

// TestFaultsAreNotToldToCallers checks that what nobody foresaw is logged, and answered without its text.
func TestFaultsAreNotToldToCallers(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id, _ := s.create(t)
	if err := s.db.Close(); err != nil {
		t.Fatal(err)
	}
	got := s.call(t, alice, "UploadService/GetUpload", map[string]any{"mediaId": id})
	if got.code != "unavailable" || strings.Contains(got.message, "sql") {
		t.Errorf("without a database: %s %s", got.code, got.message)
	}
	if !strings.Contains(s.log.String(), "sql: database is closed") {
		t.Errorf("the log does not tell the cause: %s", s.log)
	}
}
