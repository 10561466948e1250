package rpc_test

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/rpc"
)

// missing is a CONFIRMED media whose object somebody deletes.
func (s *service) missing(t *testing.T) (id string) {
	t.Helper()
	id = s.uploaded(t)
	m := s.must(t, backend, "MediaService/ConfirmMedia", confirm(id, "post/1"))["media"].(map[string]any)
	if _, err := s.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String(m["key"].(string))}); err != nil {
		t.Fatal(err)
	}
	return id
}

func (s *service) stray(t *testing.T, key string) string {
	t.Helper()
	_, err := s.s3.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader("stray")})
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// start begins a reconciliation, and work ends it, as a process with the reconciler role does.
func (s *service) start(t *testing.T, request map[string]any) map[string]any {
	t.Helper()
	return s.must(t, operator, "AdminService/StartReconcile", request)["reconcile"].(map[string]any)
}

func (s *service) work(t *testing.T, id string) {
	t.Helper()
	if _, err := s.reconciler.Work(t.Context(), uuid.MustParse(id), nil); err != nil {
		t.Fatal(err)
	}
}

// pages reads a list of an AdminService's method in pages of one.
func (s *service) pages(t *testing.T, method, field string, request map[string]any) (all []map[string]any) {
	t.Helper()
	request["pageSize"], request["pageToken"] = 1, ""
	for n := 0; n == 0 || request["pageToken"] != ""; n++ {
		if n > 20 {
			t.Fatalf("%s: the pages do not end", method)
		}
		body := s.must(t, operator, "AdminService/"+method, request)
		page, _ := body[field].([]any)
		for _, item := range page {
			all = append(all, item.(map[string]any))
		}
		request["pageToken"], _ = body["nextPageToken"].(string)
	}
	return all
}

// TestReconcile is an operator's: begin one, see that there is one at a time, and what it found, of all tenants.
func TestReconcile(t *testing.T) {
	t.Parallel()
	s := newService(t)
	if got := s.call(t, operator, "AdminService/GetReconcile", map[string]any{}); got.code != "not_found" {
		t.Errorf("before the first: %s %s", got.code, got.message)
	}
	missing := []string{s.missing(t), s.missing(t)}
	foreign, key := s.stray(t, "media/zoë.txt"), uuid.Must(uuid.NewV7()).String()
	minted := s.stray(t, "media/"+key[len(key)-2:]+"/"+key)
	var lost []string
	for range 2 {
		id, request := s.create(t)
		if status := put(t, request, "hello"); status != http.StatusOK {
			t.Fatalf("PUT: %d", status)
		}
		lost = append(lost, id)
	}

	begun := s.start(t, map[string]any{"maxStrayShare": 1})
	id := begun["id"].(string)
	if begun["phase"] != "RECONCILE_PHASE_LISTING" || begun["outcome"] != nil || begun["shards"].(float64) < 1 || begun["startedAt"] == nil ||
		begun["workedAt"] != begun["startedAt"] || begun["finishedAt"] != nil {
		t.Errorf("begun: %v", begun)
	}
	again := s.call(t, operator, "AdminService/StartReconcile", map[string]any{"policy": "STRAY_POLICY_DELETE"})
	if again.code != "failed_precondition" || !strings.Contains(again.message, id) || len(again.infos) != 1 ||
		again.infos[0]["reason"] != "ERROR_REASON_RECONCILE_ACTIVE" || again.infos[0]["reconcileId"] != id {
		t.Errorf("begun twice: %s %s %v", again.code, again.message, again.infos)
	}
	if !strings.Contains(s.log.String(), "begun by an operator") || !strings.Contains(s.log.String(), "token=test") {
		t.Errorf("the log does not tell who: %s", s.log)
	}
	s.work(t, id)

	for _, request := range []map[string]any{{}, {"reconcileId": id}, {"reconcileId": strings.ToUpper(id)}} {
		done := s.must(t, operator, "AdminService/GetReconcile", request)["reconcile"].(map[string]any)
		if done["id"] != id || done["phase"] != "RECONCILE_PHASE_DONE" || done["outcome"] != "RECONCILE_OUTCOME_FINISHED" ||
			done["shards"] != done["shardsDone"] || done["finishedAt"] == nil || done["listedAt"] == nil || done["workedAt"] != nil {
			t.Errorf("done: %v", done)
		}
		counts := done["counts"].(map[string]any)
		for name, want := range map[string]any{"strays": "1", "foreign": "1", "missing": "2", "landed": "2", "stray_bytes": "5", "removed": nil} {
			if counts[name] != want {
				t.Errorf("it counted %v of %s, want %v", counts[name], name, want)
			}
		}
	}

	strays := s.pages(t, "ListStrays", "strays", map[string]any{"reconcileId": id})
	if len(strays) != 2 {
		t.Fatalf("strays: %v", strays)
	}
	for i, want := range []struct {
		key  string
		ours any
	}{{minted, true}, {foreign, nil}} {
		got := strays[i]
		if got["key"] != want.key || got["ours"] != want.ours || got["sizeBytes"] != "5" || got["etag"] == "" || got["lastModified"] == nil ||
			got["firstSeenAt"] == nil || got["firstReconcileId"] != id || got["lastReconcileId"] != id || got["removedAt"] != nil {
			t.Errorf("stray %d: %v", i, got)
		}
	}
	if removed := s.pages(t, "ListStrays", "strays", map[string]any{"removed": true}); len(removed) != 0 {
		t.Errorf("removed: %v", removed)
	}

	list := s.pages(t, "ListMissing", "missing", map[string]any{})
	if len(list) != 2 {
		t.Fatalf("missing: %v", list)
	}
	for i, id := range missing {
		m := list[i]["media"].(map[string]any)
		if m["id"] != id || m["state"] != "MEDIA_STATE_CONFIRMED" || m["owner"] != "alice" || list[i]["tenant"] != "acme" || list[i]["firstSeenAt"] == nil {
			t.Errorf("missing %d: %v", i, list[i])
		}
	}

	found := map[any]map[string]any{}
	for _, f := range s.pages(t, "ListFindings", "findings", map[string]any{"reconcileId": id}) {
		found[f["mediaId"]] = f
	}
	for _, id := range lost {
		if f := found[id]; f["kind"] != "FINDING_KIND_LANDED" || f["sizeBytes"] != "5" || f["detail"] == "" || f["foundAt"] == nil {
			t.Errorf("the finding of media %s: %v", id, f)
		}
	}
	if len(found) != 2 {
		t.Errorf("findings: %v", found)
	}

	next := s.start(t, map[string]any{"dryRun": true})["id"].(string)
	s.work(t, next)
	runs := s.must(t, operator, "AdminService/ListReconciles", map[string]any{})["reconciles"].([]any)
	if len(runs) != 2 || runs[0].(map[string]any)["id"] != next || runs[1].(map[string]any)["id"] != id {
		t.Errorf("the runs: %v", runs)
	}
	if runs := s.must(t, operator, "AdminService/ListReconciles", map[string]any{"limit": 1})["reconciles"].([]any); len(runs) != 1 {
		t.Errorf("one run: %v", runs)
	}
	if strays := s.pages(t, "ListStrays", "strays", map[string]any{"reconcileId": id}); len(strays) != 0 {
		t.Errorf("strays that the first was the last to see: %v", strays)
	}
	if strays := s.pages(t, "ListStrays", "strays", map[string]any{}); len(strays) != 2 {
		t.Errorf("strays: %v", strays)
	}
}

// TestReconcileRemoves by the policy that the operator names, once more than the grace period has gone by.
func TestReconcileRemoves(t *testing.T) {
	t.Parallel()
	s := newService(t)
	key := uuid.Must(uuid.NewV7()).String()
	key = s.stray(t, "media/"+key[len(key)-2:]+"/"+key)
	request := map[string]any{"policy": "STRAY_POLICY_DELETE", "grace": "0.000000001s", "maxStrayShare": 1}
	s.work(t, s.start(t, request)["id"].(string))
	time.Sleep(1100 * time.Millisecond) // S3 tells times in seconds
	last := s.start(t, request)["id"].(string)
	s.work(t, last)
	removed := s.pages(t, "ListStrays", "strays", map[string]any{"removed": true, "reconcileId": last})
	if len(removed) != 1 || removed[0]["key"] != key || removed[0]["removedAt"] == nil || removed[0]["attempts"] != 1.0 || removed[0]["removedTo"] != nil {
		t.Errorf("removed: %v", removed)
	}
	if left := s.pages(t, "ListStrays", "strays", map[string]any{}); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

// TestReconcileSettings: what the operator does not say is as the deployment says, and what is said counts, a zero too.
func TestReconcileSettings(t *testing.T) {
	t.Parallel()
	s := newService(t, func(c *rpc.Config) {
		c.ReconcileSettings.DryRun = true
		c.ReconcileSettings.Policy = reconcile.PolicyDelete
	})
	for _, c := range []struct{ request, want map[string]any }{
		{map[string]any{}, map[string]any{
			"dryRun": true, "policy": "STRAY_POLICY_DELETE", "grace": "259200s", "maxStrayShare": 0.05, "deleteBudget": "100000",
			"quarantinePrefix": "coatcheck-quarantine/", "abortUploadsAfter": "604800s", "source": "listing",
		}},
		{map[string]any{"dryRun": false, "policy": "STRAY_POLICY_QUARANTINE", "grace": "90.5s", "maxStrayShare": 0, "deleteBudget": 0}, map[string]any{
			"policy": "STRAY_POLICY_QUARANTINE", "grace": "90.500s",
			"quarantinePrefix": "coatcheck-quarantine/", "abortUploadsAfter": "604800s", "source": "listing",
		}},
		{map[string]any{"policy": "STRAY_POLICY_REPORT", "deleteBudget": 7}, map[string]any{
			"dryRun": true, "policy": "STRAY_POLICY_REPORT", "grace": "259200s", "maxStrayShare": 0.05, "deleteBudget": "7",
			"quarantinePrefix": "coatcheck-quarantine/", "abortUploadsAfter": "604800s", "source": "listing",
		}},
	} {
		begun := s.start(t, c.request)
		if fmt.Sprint(begun["settings"]) != fmt.Sprint(c.want) {
			t.Errorf("%v: %v, want %v", c.request, begun["settings"], c.want)
		}
		run, err := s.store.Active(t.Context())
		if err == nil {
			err = s.reconciler.Abandon(t.Context(), run)
		}
		if err != nil {
			t.Fatal(err)
		}
		if after := s.must(t, operator, "AdminService/GetReconcile", map[string]any{})["reconcile"].(map[string]any); after["outcome"] != "RECONCILE_OUTCOME_ABANDONED" || after["explanation"] == nil {
			t.Errorf("abandoned: %v", after)
		}
	}
}

func TestReconcileBadInput(t *testing.T) {
	t.Parallel()
	s := newService(t, func(c *rpc.Config) { c.ReconcileSettings.Quarantine = "" })
	unknown := uuid.NewString()
	for _, c := range []struct {
		name, method string
		request      map[string]any
		code         string
		field, rule  string
	}{
		{"policy", "StartReconcile", map[string]any{"policy": 9}, "invalid_argument", "policy", "enum.defined_only"},
		{"no quarantine", "StartReconcile", map[string]any{"policy": "STRAY_POLICY_QUARANTINE"}, "invalid_argument", "policy", "policy.quarantine"},
		{"no grace", "StartReconcile", map[string]any{"grace": "0s"}, "invalid_argument", "grace", "duration.gt_lte"},
		{"negative grace", "StartReconcile", map[string]any{"grace": "-1s"}, "invalid_argument", "grace", "duration.gt_lte"},
		{"endless grace", "StartReconcile", map[string]any{"grace": "315576000000s"}, "invalid_argument", "grace", "duration.gt_lte"},
		{"share", "StartReconcile", map[string]any{"maxStrayShare": 1.5}, "invalid_argument", "maxStrayShare", "double.gte_lte"},
		{"share that is none", "StartReconcile", map[string]any{"maxStrayShare": "NaN"}, "invalid_argument", "maxStrayShare", "double.gte_lte"},
		{"budget", "StartReconcile", map[string]any{"deleteBudget": -1}, "invalid_argument", "deleteBudget", "int64.gte"},
		{"id", "GetReconcile", map[string]any{"reconcileId": "42"}, "invalid_argument", "reconcileId", "string.uuid"},
		{"unknown id", "GetReconcile", map[string]any{"reconcileId": unknown}, "not_found", "", ""},
		{"limit", "ListReconciles", map[string]any{"limit": 101}, "invalid_argument", "limit", "int32.gte_lte"},
		{"strays of an id", "ListStrays", map[string]any{"reconcileId": "{" + unknown + "}"}, "invalid_argument", "reconcileId", "string.uuid"},
		{"strays of an unknown id", "ListStrays", map[string]any{"reconcileId": unknown}, "not_found", "", ""},
		{"page of strays", "ListStrays", map[string]any{"pageSize": 1001}, "invalid_argument", "pageSize", "int32.gte_lte"},
		{"token of strays", "ListStrays", map[string]any{"pageToken": "=="}, "invalid_argument", "pageToken", "page_token.form"},
		{"token with NUL", "ListStrays", map[string]any{"pageToken": "YQBi"}, "invalid_argument", "pageToken", "page_token.form"},
		{"token that is no text", "ListStrays", map[string]any{"pageToken": "_w"}, "invalid_argument", "pageToken", "page_token.form"},
		{"page of missing", "ListMissing", map[string]any{"pageSize": -1}, "invalid_argument", "pageSize", "int32.gte_lte"},
		{"token of missing", "ListMissing", map[string]any{"pageToken": "nonsense"}, "invalid_argument", "pageToken", "page_token.form"},
		{"findings of none", "ListFindings", map[string]any{}, "invalid_argument", "reconcileId", "string.uuid"},
		{"findings of an unknown id", "ListFindings", map[string]any{"reconcileId": unknown}, "not_found", "", ""},
		{"token of findings", "ListFindings", map[string]any{"reconcileId": unknown, "pageToken": "!"}, "invalid_argument", "pageToken", "page_token.form"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := s.call(t, operator, "AdminService/"+c.method, c.request)
			if got.code != c.code {
				t.Fatalf("code %q, want %q (%s)", got.code, c.code, got.message)
			}
			if c.field == "" {
				if !strings.Contains(got.message, unknown) || len(got.infos) != 1 || got.infos[0]["reconcileId"] != unknown {
					t.Errorf("it does not name the id: %s %v", got.message, got.infos)
				}
				return
			}
			if len(got.infos) != 1 || got.infos[0]["field"] != c.field || got.infos[0]["rule"] != c.rule || !strings.Contains(got.message, c.field+": ") {
				t.Errorf("%s: details %v, want field %s and rule %s", got.message, got.infos, c.field, c.rule)
			}
		})
	}
	if runs, err := s.store.Runs(t.Context(), 1); err != nil || len(runs) != 0 {
		t.Errorf("after the refusals there are runs: %v, %v", runs, err)
	}
}

// TestReconcileEndsMeanwhile: the one that was under way has ended when it is looked for.
func TestReconcileEndsMeanwhile(t *testing.T) {
	t.Parallel()
	var begin rpc.BeginReconcile
	var busy atomic.Int64 // how often one will be under way
	busy.Store(1)
	s := newService(t, func(c *rpc.Config) {
		begin = c.BeginReconcile
		c.BeginReconcile = func(ctx context.Context, s reconcile.Settings) (*reconcile.Run, error) {
			if busy.Add(-1) >= 0 {
				return nil, reconcile.ErrActive
			}
			return begin(ctx, s)
		}
	})
	s.start(t, map[string]any{})
	run, err := s.store.Active(t.Context())
	if err == nil {
		err = s.reconciler.Abandon(t.Context(), run)
	}
	if err != nil {
		t.Fatal(err)
	}
	busy.Store(1000)
	if got := s.call(t, operator, "AdminService/StartReconcile", map[string]any{}); got.code != "failed_precondition" || got.infos[0]["reconcileId"] != nil {
		t.Errorf("one is always under way: %s %s", got.code, got.message)
	}
}

// TestAdminIsOptional: without its parts the service is not there, and neither health nor reflection says so.
func TestAdminIsOptional(t *testing.T) {
	t.Parallel()
	health := func(s *service) int {
		res, err := http.Post(s.url+"/grpc.health.v1.Health/Check", "application/json", strings.NewReader(`{"service":"coatcheck.v1.AdminService"}`))
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.StatusCode
	}
	if got := health(newService(t)); got != http.StatusOK {
		t.Errorf("health of the service: %d", got)
	}
	s := newService(t, func(c *rpc.Config) { c.BeginReconcile = nil })
	if got := health(s); got != http.StatusNotFound {
		t.Errorf("health of a service that is not there: %d", got)
	}
	res, err := http.Post(s.url+"/coatcheck.v1.AdminService/GetReconcile", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusNotFound {
		t.Errorf("the service that is not there: %d", res.StatusCode)
	}
}

// TestFindingKinds: every kind that a run records has a name in the API.
func TestFindingKinds(t *testing.T) {
	t.Parallel()
	code, err := os.ReadFile("../reconcile/run.go")
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`Kind += +"([a-z_]+)"`).FindAllStringSubmatch(string(code), -1)
	if len(named) < 11 {
		t.Fatalf("found %d kinds only", len(named))
	}
	for _, m := range named {
		kind := reconcile.Kind(m[1])
		if kind == reconcile.KindStray || kind == reconcile.KindMissing {
			continue // have tables of their own
		}
		if !rpc.KnowsKind(kind) {
			t.Errorf("kind %s has no name in the API", kind)
		}
	}
}
