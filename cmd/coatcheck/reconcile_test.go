package main

import (
	"encoding/csv"
	"encoding/json"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// site is a bucket and a database, for commands of the command line.
type site struct {
	t     *testing.T
	s3    *s3.Client
	store *postgres.Store
	keys  media.Keys
	flags []string
}

func newSite(t *testing.T) *site {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", devKey)
	t.Setenv("AWS_SECRET_ACCESS_KEY", devSecret)
	emulator, err := awsemu.New(awsemu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(emulator)
	t.Cleanup(func() {
		server.Close()
		emulator.Close()
	})
	cfg, err := awsclient.Load(t.Context(), awsclient.Config{Region: devRegion, Endpoint: server.URL})
	if err != nil {
		t.Fatal(err)
	}
	url := pgtest.New(t)
	db, err := postgres.Open(url, 4)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s := &site{
		t: t, s3: awsclient.S3(cfg), flags: []string{"--database-url", url, "--bucket", "uploads", "--aws-region", devRegion, "--aws-endpoint", server.URL},
		store: postgres.NewStore(db, media.Windows{Upload: time.Hour, Claim: time.Hour, Tombstone: time.Hour}, time.Now, postgres.NewMetrics(prometheus.NewRegistry())),
	}
	if s.keys, err = media.NewKeys("media/"); err != nil {
		t.Fatal(err)
	}
	for _, b := range []string{"uploads", "reports"} {
		if _, err := s.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &b}); err != nil {
			t.Fatal(err)
		}
	}
	return s
}

func (s *site) put(bucket, key, body string) {
	s.t.Helper()
	if _, err := s.s3.PutObject(s.t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(body)}); err != nil {
		s.t.Fatal(err)
	}
}

func (s *site) key() string { return s.keys.Key(uuid.Must(uuid.NewV7())) }

// reconcile runs the command, and returns what it printed and its exit status.
func (s *site) reconcile(args ...string) (out, log string, status int) {
	s.t.Helper()
	var stdout, stderr output
	status = run(s.t.Context(), append(append([]string{"reconcile"}, s.flags...), args...), &stdout, &stderr)
	return stdout.String(), stderr.String(), status
}

// says is an error unless the command succeeds and says all of it.
func (s *site) says(args []string, want ...string) string {
	s.t.Helper()
	out, log, status := s.reconcile(args...)
	if status != 0 {
		s.t.Fatalf("reconcile %v: status %d: %s", args, status, log)
	}
	for _, w := range want {
		if !strings.Contains(strings.Join(strings.Fields(out+log), " "), w) { // columns may be of any width
			s.t.Errorf("reconcile %v does not say %q:\n%s\n%s", args, w, out, log)
		}
	}
	return out
}

func TestReconcileCommand(t *testing.T) {
	s := newSite(t)
	stray := s.key()
	s.put("uploads", stray, "orphan")
	s.put("uploads", "media/a tool's\x1b[31m", "foreign")
	s.says(nil, "stray", stray, `"media/a tool's\x1b[31m"`, "its key is none that coatcheck makes", "strays", "6 B", "dry run of reconciliation", "finished in")
	s.says([]string{"--no-dry-run"}, "no row explains it", "reconciliation ", "finished in")

	lines := strings.Split(strings.TrimSpace(s.says([]string{"--output", "json"})), "\n")
	if len(lines) != 2 {
		t.Fatalf("the report has %d lines:\n%s", len(lines), strings.Join(lines, "\n"))
	}
	for _, line := range lines {
		var f struct {
			Kind, Key string
			SizeBytes int64
		}
		if err := json.Unmarshal([]byte(line), &f); err != nil || f.Kind != "stray" || f.SizeBytes == 0 || !strings.HasPrefix(f.Key, "media/") {
			t.Errorf("line %s: %+v, %v", line, f, err)
		}
	}
	records, err := csv.NewReader(strings.NewReader(s.says([]string{"--output", "csv"}))).ReadAll()
	if err != nil || len(records) != 3 || records[0][0] != "kind" || records[1][0] != "stray" {
		t.Errorf("the CSV report is %v, error %v", records, err)
	}

	// A wrong database trips the breaker, with exit status 1 and a reason, and removes nothing.
	_, log, status := s.reconcile("--no-dry-run", "--stray-policy", "delete")
	if status != 1 || !strings.Contains(log, "1 of 1 objects (100 %) have no row, foreign ones not counted, and at most 5 % may") || !strings.Contains(log, "Nothing was removed") {
		t.Errorf("status %d: %s", status, log)
	}
	if _, err := s.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("uploads"), Key: &stray}); err != nil {
		t.Errorf("the stray is gone: %v", err)
	}
	time.Sleep(1100 * time.Millisecond) // an object's age is in whole seconds
	s.says([]string{"--no-dry-run", "--stray-policy", "quarantine", "--max-stray-share", "1", "--stray-grace", "1s"},
		"it was moved to coatcheck-quarantine/", "removed", "kept not ours")
	moved, err := s.store.Strays(t.Context(), reconcile.StrayPage{Removed: true, Limit: 2})
	if err != nil || len(moved) != 1 || !strings.HasSuffix(moved[0].RemovedTo, "Z/"+stray) {
		t.Fatalf("moved are %+v, error %v", moved, err)
	}
	if _, err := s.s3.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("uploads"), Key: &moved[0].RemovedTo}); err != nil {
		t.Errorf("the stray is not in quarantine: %v", err)
	}
}

// TestReconcileGoesOn: a run that is under way is gone on with by the same settings, refused with others, and given up
// when that is asked for.
func TestReconcileGoesOn(t *testing.T) {
	s := newSite(t)
	s.says([]string{"--abandon"}, "no reconciliation is under way")
	// Begun by another process, which has stopped.
	begin := func() {
		t.Helper()
		_, log, status := s.reconcile("--concurrency", "1", "--output", "json", "--stray-grace", "5h")
		if status != 0 {
			t.Fatal(log)
		}
		db, err := postgres.Open(s.flags[1], 1)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if _, err := db.ExecContext(t.Context(), `UPDATE coatcheck.reconciliation SET phase = 'listing', outcome = NULL, finished_at = NULL
			WHERE id = (SELECT id FROM coatcheck.reconciliation ORDER BY started_at DESC LIMIT 1)`); err != nil {
			t.Fatal(err)
		}
		if _, err := db.ExecContext(t.Context(), `UPDATE coatcheck.reconciliation_shard SET phase = 'listing' WHERE number > 3`); err != nil {
			t.Fatal(err)
		}
	}
	begin()
	_, log, status := s.reconcile()
	if status != 1 || !strings.Contains(log, "is under way with other settings") || !strings.Contains(log, "--abandon") {
		t.Errorf("status %d: %s", status, log)
	}
	s.says([]string{"--stray-grace", "5h"}, "going on with reconciliation", "4 of 16 shards are listed", "finished in")
	begin()
	s.says([]string{"--abandon"}, "gave up reconciliation")
	s.says(nil, "finished in")
}

func TestAdoptCommand(t *testing.T) {
	s := newSite(t)
	for _, k := range []string{"up/a b.jpg", "up/c,\"d\".jpg", "up/orphan"} {
		s.put("uploads", k, "x")
	}
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "used.csv")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("\ufeffclaim,key\npost/1,up/a b.jpg\n\"post/2\",\"up/c,\"\"d\"\".jpg\"\npost/3,up/gone\n")
	who := []string{"--adopt-tenant", "acme", "--adopt-owner", "alice"}
	for want, args := range map[string][]string{
		"--adopt needs --claim-from":          {"--adopt", "up/"},
		"go with --adopt":                     {"--claim-from", good},
		`must end with "/"`:                   append([]string{"--adopt", "up", "--claim-from", good}, who...),
		"has no tenant or no owner":           {"--adopt", "up/", "--claim-from", good},
		`is not below --adopt "down/"`:        append([]string{"--adopt", "down/", "--claim-from", good}, who...),
		"columns key and claim":               append([]string{"--adopt", "up/", "--claim-from", file("key\nup/a\n")}, who...),
		`column "size" is none of`:            append([]string{"--adopt", "up/", "--claim-from", file("key,claim,size\n")}, who...),
		"wrong number of fields":              append([]string{"--adopt", "up/", "--claim-from", file("key,claim\nup/a\n")}, who...),
		"its claim must name":                 append([]string{"--adopt", "up/", "--claim-from", file("key,claim\nup/a,\n")}, who...),
		"the list is empty":                   append([]string{"--adopt", "up/", "--no-dry-run", "--claim-from", file("key,claim\n")}, who...),
		"occurs twice":                        append([]string{"--adopt", "up/", "--claim-from", file("key,claim\nup/a,1\nup/a,2\n")}, who...),
		"no such file":                        append([]string{"--adopt", "up/", "--claim-from", "/nowhere.csv"}, who...),
		"the query":                           append([]string{"--adopt", "up/", "--claim-from", "sql:SELECT nonsense"}, who...),
		"read-only transaction":               append([]string{"--adopt", "up/", "--claim-from", "sql:CREATE TABLE evil (key text, claim text)"}, who...),
		"--adopt and --from-inventory do not": append([]string{"--adopt", "up/", "--claim-from", good, "--from-inventory", "s3://x/manifest.json"}, who...),
	} {
		if _, log, status := s.reconcile(args...); status == 0 || !strings.Contains(log, want) {
			t.Errorf("reconcile %v: status %d, want %q: %s", args, status, want, log)
		}
	}
	adopt := append([]string{"--adopt", "up/", "--claim-from", good}, who...)
	s.says(adopt, `3 keys are in use below "up/"`, "adopted 2", "stray", "up/orphan", "dry run")
	if prefixes, err := s.store.AdoptedPrefixes(t.Context()); err != nil || len(prefixes) != 0 {
		t.Errorf("a dry run adopted %v, error %v", prefixes, err)
	}
	s.says(append(adopt, "--no-dry-run"), "adopted 2", "not_adopted", "up/gone", "there is no such object")
	list, err := s.store.List(t.Context(), media.Scope{Tenant: "acme", Owner: "alice"}, media.Page{Limit: 10})
	if err != nil || len(list) != 2 {
		t.Errorf("%d media were adopted, error %v", len(list), err)
	}
	s.put("uploads", "up/later", "x")
	s.says([]string{"--no-dry-run", "--adopt", "up/", "--claim-from", "sql:SELECT 'up/later' AS key, 'post/' || 9 AS claim, 'acme' AS tenant, 'bob' AS owner"},
		"adopted 1", "explained 2")
	list, err = s.store.List(t.Context(), media.Scope{Tenant: "acme", Owner: "bob"}, media.Page{Limit: 10})
	if err != nil || len(list) != 1 || list[0].Claim != "post/9" || list[0].Key != "up/later" {
		t.Errorf("it was adopted as %+v, error %v", list, err)
	}
}
