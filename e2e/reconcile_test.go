//go:build e2e

package e2e

import (
	"database/sql"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// reconcile holds the bucket against the table when both have lost something.
func (w *world) reconcile(t *testing.T) {
	stop := w.serve(t, "--roles", "api,consumer", "--wait-time", "1s")
	upload := func() (id, key string) {
		id, key, request := w.create(t, "coat.jpg")
		if got := put(t, request, content, nil); got != "200" {
			t.Fatalf("PUT: %s", got)
		}
		waitFor(t, 30*time.Second, "UPLOADED", func() bool { return w.state(t, id) == "MEDIA_STATE_UPLOADED" })
		w.must(t, "MediaService/ConfirmMedia", map[string]any{"mediaId": id, "claim": "post/9"})
		return id, key
	}
	_, kept := upload()
	missing, missingKey := upload()
	stray, strayKey := upload()
	stop()

	client := w.s3(t)
	bucket := aws.String(w.settings["COATCHECK_BUCKET"])
	if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: &missingKey}); err != nil {
		t.Fatal(err)
	}
	if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("media/a tool's+notes é.txt"), Body: strings.NewReader("x")}); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("pgx", w.database)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := db.ExecContext(t.Context(), "DELETE FROM coatcheck.media WHERE id = $1", stray); err != nil {
		t.Fatal(err)
	}

	report := w.coatcheck(t, "reconcile", "--output", "json")
	t.Logf("coatcheck reconcile --output json:\n%s", report)
	lines := strings.Split(strings.TrimSpace(report), "\n")
	for _, want := range [][2]string{{"missing", missing}, {"stray", strayKey}, {"stray", "media/a tool's+notes é.txt"}} {
		if !slices.ContainsFunc(lines, func(l string) bool {
			return strings.Contains(l, `"kind":"`+want[0]+`"`) && strings.Contains(l, want[1])
		}) {
			t.Errorf("the report does not name %s as %s", want[1], want[0])
		}
	}
	if len(lines) != 3 {
		t.Errorf("the report has %d lines, want 3", len(lines))
	}
	time.Sleep(2 * time.Second)
	t.Logf("coatcheck reconcile:\n%s", w.coatcheck(t, "reconcile", "--no-dry-run", "--stray-policy", "quarantine", "--stray-grace", "1s", "--max-stray-share", "1"))
	keys := w.keys(t)
	if !slices.ContainsFunc(keys, func(k string) bool {
		return strings.HasPrefix(k, "coatcheck-quarantine/") && strings.HasSuffix(k, "Z/"+strayKey)
	}) {
		t.Errorf("the stray is not in quarantine: %v", keys)
	}
	for key, want := range map[string]bool{
		kept: true, strayKey: false, "media/a tool's+notes é.txt": true,
	} {
		if slices.Contains(keys, key) != want {
			t.Errorf("the bucket holds %q: %t, want %t", key, !want, want)
		}
	}
}
