//go:build e2e

package e2e

import (
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	_ "github.com/jackc/pgx/v5/stdlib"

	"github.com/coatcheck/coatcheck/internal/awsclient"
)

const content = "a coat, size M"

func checksum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return base64.StdEncoding.EncodeToString(sum[:])
}

// create asks for an upload of content and returns its id, its key and its presigned request.
func (w *world) create(t *testing.T, fileName string) (id, key string, request map[string]any) {
	t.Helper()
	answer := w.must(t, "UploadService/CreateUpload", map[string]any{
		"contentType": "image/jpeg", "sizeBytes": len(content), "checksumSha256": checksum(content), "fileName": fileName,
	})
	media := answer["media"].(map[string]any)
	if state := media["state"]; state != "MEDIA_STATE_PENDING" {
		t.Fatalf("a new upload is %v", state)
	}
	return media["id"].(string), media["key"].(string), answer["request"].(map[string]any)
}

func (w *world) state(t *testing.T, id string) string {
	t.Helper()
	return w.must(t, "MediaService/GetMedia", map[string]any{"mediaId": id})["media"].(map[string]any)["state"].(string)
}

func TestEndToEnd(t *testing.T) {
	w := newWorld(t)
	t.Run("story", w.story)
	t.Run("refusals", w.refusals)
	t.Run("reconcile", w.reconcile)
}

// story is what the product exists for: three uploads, one never made, one made and not claimed, one confirmed; then a
// sweep; then bucket and table hold exactly the confirmed one.
func (w *world) story(t *testing.T) {
	// The sweep is told when to run, so the sweeper role stays off.
	const window = 6 * time.Second
	windows := []string{"--upload-window", "6s", "--claim-window", "6s", "--tombstone-window", "6s"}
	stop := w.serve(t, append(windows, "--roles", "api,consumer", "--url-ttl", "5s", "--wait-time", "1s")...)

	never, _, _ := w.create(t, "never.jpg")
	unclaimed, _, request := w.create(t, "unclaimed.jpg")
	if got := put(t, request, content, nil); got != "200" {
		t.Fatalf("PUT: %s", got)
	}
	claimed, claimedKey, request := w.create(t, "claimed.jpg")
	if got := put(t, request, content, nil); got != "200" {
		t.Fatalf("PUT: %s", got)
	}
	for _, id := range []string{unclaimed, claimed} {
		waitFor(t, 30*time.Second, "UPLOADED", func() bool { return w.state(t, id) == "MEDIA_STATE_UPLOADED" })
	}
	w.must(t, "MediaService/ConfirmMedia", map[string]any{"mediaId": claimed, "claim": "post/123"})

	preview := w.coatcheck(t, append([]string{"sweep", "--dry-run"}, windows...)...)
	t.Logf("coatcheck sweep --dry-run, before the windows are over:\n%s", preview)
	if strings.Contains(preview, never) || strings.Contains(preview, unclaimed) || strings.Contains(preview, claimed) {
		t.Error("a sweep would take what is within its window")
	}
	time.Sleep(window + time.Second)
	preview = w.coatcheck(t, append([]string{"sweep", "--dry-run"}, windows...)...)
	t.Logf("coatcheck sweep --dry-run:\n%s", preview)
	if !strings.Contains(preview, never) || !strings.Contains(preview, unclaimed) || strings.Contains(preview, claimed) {
		t.Error("the dry run does not name exactly the two that are to go")
	}
	if len(w.keys(t)) != 2 {
		t.Errorf("after a dry run the bucket holds %v, want two objects", w.keys(t))
	}
	t.Logf("coatcheck sweep: %s", w.coatcheck(t, append([]string{"sweep"}, windows...)...))
	if got, want := w.keys(t), []string{claimedKey}; !slices.Equal(got, want) {
		t.Errorf("after the sweep the bucket holds %v, want %v", got, want)
	}
	for _, id := range []string{never, unclaimed} {
		if got := w.state(t, id); got != "MEDIA_STATE_DELETED" {
			t.Errorf("media %s is %s after the sweep, want a tombstone", id, got)
		}
	}
	// When no late PUT can come any more, the tombstones go too.
	time.Sleep(window + time.Second)
	t.Logf("coatcheck sweep: %s", w.coatcheck(t, append([]string{"sweep"}, windows...)...))
	if got, want := w.rows(t), []string{claimed + " confirmed"}; !slices.Equal(got, want) {
		t.Errorf("at the end the table holds %v, want %v", got, want)
	}
	if got, want := w.keys(t), []string{claimedKey}; !slices.Equal(got, want) {
		t.Errorf("at the end the bucket holds %v, want %v", got, want)
	}
	stop()
}

// refusals sends uploads that are not the one that was signed. Emulators let some of them in, so the answers are
// printed, and what is asserted is what coatcheck owes its user wherever it runs: what is confirmed is as declared (R3).
func (w *world) refusals(t *testing.T) {
	defer w.serve(t, "--url-ttl", "2s", "--wait-time", "1s")()

	const forged = "A COAT, size M" // as long as content
	cases := []struct {
		name      string
		body      string
		change    func(http.Header)
		before    func(request map[string]any)
		confirmed bool
	}{
		{name: "as declared", body: content, confirmed: true},
		{name: "wrong size", body: content + "!"},
		{name: "wrong type", body: content, change: func(h http.Header) { h.Set("Content-Type", "text/html") }},
		{name: "wrong content", body: forged},
		{name: "wrong content and checksum", body: forged, change: func(h http.Header) { h.Set("X-Amz-Checksum-Sha256", checksum(forged)) }},
		{name: "replayed PUT", body: content, before: func(r map[string]any) { put(t, r, content, nil) }, confirmed: true},
		{name: "expired URL", body: content, before: func(map[string]any) { time.Sleep(4 * time.Second) }},
	}
	for _, c := range cases {
		id, _, request := w.create(t, "refused.jpg")
		if c.before != nil {
			c.before(request)
		}
		answer := put(t, request, c.body, c.change)
		status, _ := w.call(t, "MediaService/ConfirmMedia", map[string]any{"mediaId": id, "claim": "post/1"})
		t.Logf("%-28s PUT answered %-28s confirmation %d", c.name, answer, status)
		if confirmed := status == http.StatusOK; confirmed != c.confirmed {
			t.Errorf("%s: confirmed is %t, want %t", c.name, confirmed, c.confirmed)
		}
	}
}

func (w *world) s3(t *testing.T) *s3.Client {
	t.Helper()
	cfg, err := awsclient.Load(t.Context(), awsclient.Config{
		Region: w.settings["AWS_REGION"], Endpoint: w.settings["endpoint"], AccessKeyID: "test", SecretAccessKey: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	return awsclient.S3(cfg)
}

// keys lists the bucket.
func (w *world) keys(t *testing.T) []string {
	t.Helper()
	listed, err := w.s3(t).ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String(w.settings["COATCHECK_BUCKET"])})
	if err != nil {
		t.Fatal(err)
	}
	var keys []string
	for _, o := range listed.Contents {
		keys = append(keys, aws.ToString(o.Key))
	}
	return keys
}

// rows lists the table as "id state".
func (w *world) rows(t *testing.T) []string {
	t.Helper()
	db, err := sql.Open("pgx", w.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	found, err := db.QueryContext(t.Context(), "SELECT id || ' ' || state FROM coatcheck.media ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer found.Close()
	var rows []string
	for found.Next() {
		var row string
		if err := found.Scan(&row); err != nil {
			t.Fatal(err)
		}
		rows = append(rows, row)
	}
	if err := found.Err(); err != nil {
		t.Fatal(err)
	}
	return rows
}
