package rpc_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

func confirm(id, claim string) map[string]any { return map[string]any{"mediaId": id, "claim": claim} }

func TestCreateUploadAnswersWhatTheClientNeeds(t *testing.T) {
	t.Parallel()
	s := newService(t)
	sum := sha256.Sum256([]byte("hello"))
	checksum := base64.StdEncoding.EncodeToString(sum[:])
	body := s.must(t, alice, "UploadService/CreateUpload", map[string]any{
		"contentType": "image/png", "sizeBytes": "5", "checksumSha256": checksum, "fileName": "coat.png",
		"metadata": map[string]string{"album": `"?' \ ?0`},
	})
	m, request := body["media"].(map[string]any), body["request"].(map[string]any)
	id := m["id"].(string)
	if want := fmt.Sprintf("media/%s/%s", id[len(id)-2:], id); m["key"] != want {
		t.Errorf("key %v, want %s", m["key"], want)
	}
	if m["state"] != "MEDIA_STATE_PENDING" || m["owner"] != "alice" || m["metadata"].(map[string]any)["album"] != `"?' \ ?0` {
		t.Errorf("media %v", m)
	}
	headers := request["headers"].(map[string]any)
	for name, want := range map[string]string{
		"Content-Type": "image/png", "Content-Length": "5", "If-None-Match": "*", "X-Amz-Checksum-Sha256": checksum,
	} {
		if headers[name] != want {
			t.Errorf("header %s is %v, want %s (all: %v)", name, headers[name], want, headers)
		}
	}
	expires, err := time.Parse(time.RFC3339Nano, request["expiresAt"].(string))
	if left := time.Until(expires); err != nil || left < 50*time.Second || left > time.Minute {
		t.Errorf("the URL ends in %v, want about a minute (%v)", left, err)
	}
	if status := put(t, request, "HELLO"); status != http.StatusBadRequest {
		t.Errorf("a PUT with another content: %d, want 400", status)
	}
	if status := put(t, request, "hello"); status != http.StatusOK {
		t.Errorf("the PUT: %d", status)
	}
	if status := put(t, request, "hello"); status != http.StatusPreconditionFailed {
		t.Errorf("the PUT once more: %d, want 412", status)
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	s := newService(t)
	request := map[string]any{"contentType": "text/plain", "sizeBytes": 5, "idempotencyKey": "tab-1/file-7"}
	first := s.must(t, alice, "UploadService/CreateUpload", request)
	again := s.must(t, alice, "UploadService/CreateUpload", request)
	id := first["media"].(map[string]any)["id"].(string)
	if got := again["media"].(map[string]any)["id"]; got != id {
		t.Errorf("the same key made media %v and %v", id, got)
	}
	if status := put(t, again["request"].(map[string]any), "hello"); status != http.StatusOK {
		t.Errorf("PUT with the second URL: %d", status)
	}
	if got := s.must(t, bob, "UploadService/CreateUpload", request)["media"].(map[string]any)["id"]; got == id {
		t.Error("another owner's key is the same one")
	}
	request["sizeBytes"] = 6
	if got := s.call(t, alice, "UploadService/CreateUpload", request); got.code != "already_exists" || !strings.Contains(got.message, "size_bytes") {
		t.Errorf("the same key for another upload: %s %s", got.code, got.message)
	}
	request["sizeBytes"] = 5
	s.must(t, backend, "MediaService/ConfirmMedia", confirm(id, "post/1"))
	landed := s.must(t, alice, "UploadService/CreateUpload", request)
	if landed["request"] != nil || landed["media"].(map[string]any)["state"] != "MEDIA_STATE_CONFIRMED" {
		t.Errorf("the key of a landed upload answers %v, want the media and no request", landed)
	}
}

// TestConfirmBeforeTheNotification: a client that confirms early is never told no.
func TestConfirmBeforeTheNotification(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id, request := s.create(t)
	if got := s.call(t, backend, "MediaService/ConfirmMedia", confirm(id, "post/1")); got.code != "failed_precondition" || got.infos[0]["reason"] != "ERROR_REASON_NOT_LANDED" {
		t.Errorf("before the PUT: %s %s", got.code, got.message)
	}
	put(t, request, "hello")
	m := s.must(t, backend, "MediaService/ConfirmMedia", confirm(id, "post/1"))["media"].(map[string]any)
	if m["state"] != "MEDIA_STATE_CONFIRMED" || m["landedBy"] != "LANDING_SOURCE_CONFIRM" || m["claim"] != "post/1" {
		t.Errorf("after the PUT: %v", m)
	}
}

func TestConfirm(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id := s.uploaded(t)
	heads := s.aws.Counts()["HeadObject"]
	s.must(t, backend, "MediaService/ConfirmMedia", confirm(id, "post/1"))
	s.must(t, backend, "MediaService/ConfirmMedia", confirm(id, "post/1"))
	if got := s.aws.Counts()["HeadObject"]; got != heads {
		t.Errorf("confirming from UPLOADED made %d HEADs", got-heads)
	}
	if got := s.call(t, backend, "MediaService/ConfirmMedia", confirm(id, "post/2")); got.code != "already_exists" || strings.Contains(got.message, "post/1") {
		t.Errorf("another claim: %s %s", got.code, got.message)
	}
	if got := s.call(t, alice, "UploadService/CancelUpload", map[string]any{"mediaId": id}); got.code != "failed_precondition" {
		t.Errorf("cancelling what is confirmed: %s %s", got.code, got.message)
	}
	if got := s.call(t, backend, "MediaService/ReleaseMedia", confirm(id, "post/2")); got.code != "already_exists" {
		t.Errorf("releasing another's claim: %s %s", got.code, got.message)
	}
	for range 2 {
		m := s.must(t, backend, "MediaService/ReleaseMedia", confirm(id, "post/1"))["media"].(map[string]any)
		if m["state"] != "MEDIA_STATE_DELETING" || m["deleteReason"] != "DELETE_REASON_RELEASED" {
			t.Errorf("released: %v", m)
		}
	}
	got := s.call(t, backend, "MediaService/ConfirmMedia", confirm(id, "post/1"))
	if got.code != "failed_precondition" || !strings.Contains(got.message, "released") || got.infos[0]["deleteReason"] != "DELETE_REASON_RELEASED" {
		t.Errorf("confirming what was released: %s %s", got.code, got.message)
	}
}

// TestConfirmIsNotFooled is R3: what is in the bucket is not what was declared, and was not put there by our URL.
func TestConfirmIsNotFooled(t *testing.T) {
	t.Parallel()
	s := newService(t)
	id, _ := s.create(t)
	key := s.must(t, backend, "MediaService/GetMedia", map[string]any{"mediaId": id})["media"].(map[string]any)["key"].(string)
	_, err := s.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: &key, ContentType: aws.String("text/html"), Body: strings.NewReader("hello"),
	})
	if err != nil {
		t.Fatal(err)
	}
	got := s.call(t, backend, "MediaService/ConfirmMedia", confirm(id, "post/1"))
	if got.code != "failed_precondition" || !strings.Contains(got.message, "rejected") {
		t.Errorf("confirmed another type: %s %s", got.code, got.message)
	}
}

func TestBatchConfirmIsAllOrNothing(t *testing.T) {
	t.Parallel()
	s := newService(t)
	landed, early := s.uploaded(t), ""
	early, request := s.create(t)
	put(t, request, "hello")
	never, _ := s.create(t)
	items := func(ids ...string) map[string]any {
		var all []any
		for _, id := range ids {
			all = append(all, confirm(id, "post/1"))
		}
		return map[string]any{"items": all}
	}
	got := s.call(t, backend, "MediaService/BatchConfirmMedia", items(landed, never, early))
	if got.code != "failed_precondition" || len(got.infos) != 1 || got.infos[0]["mediaId"] != never || got.infos[0]["index"] != 1.0 {
		t.Errorf("a batch with one that never landed: %s %s %v", got.code, got.message, got.infos)
	}
	if a, b := s.state(t, landed), s.state(t, early); a != "MEDIA_STATE_UPLOADED" || b != "MEDIA_STATE_UPLOADED" {
		t.Errorf("after the refusal: %s and %s", a, b)
	}
	all := s.must(t, backend, "MediaService/BatchConfirmMedia", items(early, landed))["media"].([]any)
	for i, id := range []string{early, landed} {
		if m := all[i].(map[string]any); m["id"] != id || m["state"] != "MEDIA_STATE_CONFIRMED" {
			t.Errorf("item %d: %v", i, m)
		}
	}
}

func TestCancelAndDelete(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for range 2 {
		id, _ := s.create(t)
		for range 2 {
			m := s.must(t, alice, "UploadService/CancelUpload", map[string]any{"mediaId": id})["media"].(map[string]any)
			if m["state"] != "MEDIA_STATE_DELETING" || m["deleteReason"] != "DELETE_REASON_CANCELLED" {
				t.Errorf("cancelled: %v", m)
			}
		}
	}
	id := s.uploaded(t)
	s.must(t, backend, "MediaService/ConfirmMedia", confirm(id, "post/1"))
	for range 2 {
		m := s.must(t, backend, "MediaService/DeleteMedia", map[string]any{"mediaId": id})["media"].(map[string]any)
		if m["state"] != "MEDIA_STATE_DELETING" || m["deleteReason"] != "DELETE_REASON_RELEASED" {
			t.Errorf("deleted: %v", m)
		}
	}
	if got := s.call(t, backend, "MediaService/ReleaseMedia", confirm(s.uploaded(t), "post/1")); got.code != "failed_precondition" || got.infos[0]["reason"] != "ERROR_REASON_NOT_CONFIRMED" {
		t.Errorf("releasing what is not confirmed: %s %s", got.code, got.message)
	}
}

func TestDownload(t *testing.T) {
	t.Parallel()
	s := newService(t)
	pending, _ := s.create(t)
	if got := s.call(t, backend, "MediaService/CreateDownload", map[string]any{"mediaId": pending}); got.code != "failed_precondition" {
		t.Errorf("a download of what has not landed: %s %s", got.code, got.message)
	}
	id := s.uploaded(t)
	request := s.must(t, backend, "MediaService/CreateDownload", map[string]any{"mediaId": id, "ttl": "90.5s"})["request"].(map[string]any)
	res, err := http.Get(request["url"].(string))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); res.StatusCode != http.StatusOK || string(body) != "hello" || res.Header.Get("Content-Type") != "text/plain" {
		t.Errorf("the download: %d %q %v", res.StatusCode, body, res.Header)
	}
}

func TestListMediaPages(t *testing.T) {
	t.Parallel()
	s := newService(t)
	var made []string
	for range 5 {
		id, _ := s.create(t)
		made = append([]string{id}, made...)
	}
	s.must(t, alice, "UploadService/CancelUpload", map[string]any{"mediaId": made[2]})
	var got []string
	token := ""
	for pages := 0; pages == 0 || token != ""; pages++ {
		if pages > 5 {
			t.Fatal("the pages do not end")
		}
		body := s.must(t, backend, "MediaService/ListMedia", map[string]any{"pageSize": 2, "pageToken": token, "owner": "alice"})
		page, _ := body["media"].([]any)
		for _, m := range page {
			got = append(got, m.(map[string]any)["id"].(string))
		}
		token, _ = body["nextPageToken"].(string)
	}
	if fmt.Sprint(got) != fmt.Sprint(made) {
		t.Errorf("listed %v, want %v", got, made)
	}
	body := s.must(t, backend, "MediaService/ListMedia", map[string]any{"state": "MEDIA_STATE_DELETING"})
	if page := body["media"].([]any); len(page) != 1 || page[0].(map[string]any)["id"] != made[2] {
		t.Errorf("DELETING: %v", page)
	}
}

func TestCrossOrigin(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for origin, want := range map[string]string{"https://app.example.com": "https://app.example.com", "https://evil.example.com": ""} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodOptions, s.url+"/coatcheck.v1.UploadService/CreateUpload", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Origin", origin)
		req.Header.Set("Access-Control-Request-Method", "POST")
		req.Header.Set("Access-Control-Request-Headers", "authorization,coatcheck-owner,connect-protocol-version,content-type")
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if got := res.Header.Get("Access-Control-Allow-Origin"); got != want {
			t.Errorf("preflight from %s: allowed origin %q, want %q", origin, got, want)
		}
	}
}

// TestOverwritten is R3 where something with credentials of its own overwrites what was confirmed: it is noted, and on
// a bucket with versions the confirmed one stays the one that is served.
func TestOverwritten(t *testing.T) {
	t.Parallel()
	s := newService(t)
	_, err := s.s3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		t.Fatal(err)
	}
	id, request := s.create(t)
	if status := put(t, request, "hello"); status != http.StatusOK {
		t.Fatalf("PUT: %d", status)
	}
	m := s.must(t, backend, "MediaService/ConfirmMedia", confirm(id, "post/1"))["media"].(map[string]any)
	if m["versionId"] == "" || m["overwrittenAt"] != nil {
		t.Fatalf("confirmed: %v", m)
	}
	key := m["key"].(string)
	overwritten, err := s.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: &key, ContentType: aws.String("text/plain"), Body: strings.NewReader("HELLO"),
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.store.Land(t.Context(), media.SourceNotification, []media.Landing{{
		MediaID: uuid.MustParse(id), SizeBytes: 5, ETag: strings.Trim(*overwritten.ETag, `"`), VersionID: *overwritten.VersionId,
		Sequencer: media.Sequencer(strings.Repeat("F", 40)),
	}})
	if err != nil {
		t.Fatal(err)
	}
	after := s.must(t, backend, "MediaService/GetMedia", map[string]any{"mediaId": id})["media"].(map[string]any)
	if after["overwrittenAt"] == nil || after["etag"] != m["etag"] || after["versionId"] != m["versionId"] {
		t.Errorf("overwritten: %v, was %v", after, m)
	}
	download := s.must(t, backend, "MediaService/CreateDownload", map[string]any{"mediaId": id})["request"].(map[string]any)
	res, err := http.Get(download["url"].(string))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if body, _ := io.ReadAll(res.Body); string(body) != "hello" {
		t.Errorf("the download is %q, want what was confirmed", body)
	}
}
