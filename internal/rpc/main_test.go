package rpc_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/claim"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/objectstore"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/reconcile"
	"github.com/coatcheck/coatcheck/internal/rpc"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

const bucket = "uploads"

// service is the API with everything behind it real, but for the queue.
type service struct {
	url     string
	store   *postgres.Store
	objects *objectstore.Store
	s3      *s3.Client
	aws     *awsemu.Server
	db      io.Closer
	dbURL   string
	log     *syncBuffer
	tokens  map[string]string // by tenant; an operator's by "*"

	reconciler *reconcile.Reconciler
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func newService(t testing.TB, change ...func(*rpc.Config)) *service {
	t.Helper()
	emulator, err := awsemu.New(awsemu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	awsServer := httptest.NewServer(emulator)
	t.Cleanup(func() { awsServer.Close(); emulator.Close() })
	cfg, err := awsclient.Load(t.Context(), awsclient.Config{
		Region: "us-east-1", Endpoint: awsServer.URL, AccessKeyID: "test", SecretAccessKey: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	s := &service{s3: awsclient.S3(cfg), aws: emulator, log: new(syncBuffer), tokens: map[string]string{}}
	if _, err := s.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	s.dbURL = pgtest.New(t)
	db, err := postgres.Open(s.dbURL, 8)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	s.db = db
	windows := media.Windows{Upload: time.Hour, Claim: time.Hour, Tombstone: time.Hour}
	s.store = postgres.NewStore(db, windows, time.Now, postgres.NewMetrics(prometheus.NewRegistry()))
	keys, err := media.NewKeys("media/")
	if err != nil {
		t.Fatal(err)
	}
	s.objects = objectstore.New(s.s3, bucket, keys.Prefix(), time.Now)

	tokens := auth.Tokens{}
	for _, tenant := range []string{"acme", "globex", "*"} {
		token, line, err := auth.NewOperatorToken("test")
		if tenant != "*" {
			token, line, err = auth.NewToken("test", tenant)
		}
		if err != nil {
			t.Fatal(err)
		}
		parsed, err := auth.ParseTokens(bytes.NewReader([]byte(line)))
		if err != nil {
			t.Fatal(err)
		}
		for hash, identity := range parsed {
			tokens[hash] = identity
		}
		s.tokens[tenant] = token
	}
	config := reconcile.DefaultConfig()
	config.InFlight = 0
	s.reconciler, err = reconcile.New(s.store, s.objects, keys, config, time.Now, slog.New(slog.DiscardHandler), reconcile.NewMetrics(prometheus.NewRegistry()))
	if err != nil {
		t.Fatal(err)
	}
	c := rpc.Config{
		Store: s.store, Objects: s.objects, Claimer: claim.New(s.store, s.objects), Authenticate: tokens.Authenticate,
		Keys: keys, Limits: rpc.Limits{MaxSizeBytes: 1000, ContentTypes: rpc.ContentTypes{"image/*", "text/plain"}},
		URLTTL: time.Minute, DownloadTTL: time.Minute, AllowedOrigins: []string{"https://app.example.com"},
		Transient: postgres.Transient, Ready: func(context.Context) error { return nil }, Now: time.Now,
		Logger: slog.New(slog.NewTextHandler(s.log, nil)), Metrics: rpc.NewMetrics(prometheus.NewRegistry()),
		Reconciles: s.store, BeginReconcile: s.reconciler.Begin, ReconcileSettings: config.Settings,
		Overviews: s.overviews(t), Passes: s.store, Sweeper: s.sweeper(t), MaySweep: true, Finder: s.store,
	}
	for _, f := range change {
		f(&c)
	}
	mux := http.NewServeMux()
	rpc.Register(mux, c)
	server := httptest.NewUnstartedServer(mux)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// answer is what a call got: an API answer or a refusal.
type answer struct {
	status  int
	code    string // Connect's, of a refusal
	message string
	infos   []map[string]any // the ErrorInfos of a refusal
	body    map[string]any
}

// caller is who makes a call: a tenant's token, and an owner or none.
type caller struct{ tenant, owner string }

var (
	alice   = caller{"acme", "alice"}
	bob     = caller{"acme", "bob"}
	backend = caller{"acme", ""}
	globex  = caller{"globex", "alice"}

	operator = caller{"*", ""}
)

func (s *service) call(t *testing.T, who caller, procedure string, request any) answer {
	t.Helper()
	body, ok := request.(string)
	if !ok {
		encoded, err := json.Marshal(request)
		if err != nil {
			t.Fatal(err)
		}
		body = string(encoded)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.url+"/coatcheck.v1."+procedure, bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	if who.tenant != "" {
		req.Header.Set("Authorization", "Bearer "+s.tokens[who.tenant])
	}
	if who.owner != "" {
		req.Header.Set(auth.OwnerHeader, who.owner)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	a := answer{status: res.StatusCode}
	if err := json.NewDecoder(res.Body).Decode(&a.body); err != nil {
		t.Fatalf("%s: status %d, and not JSON: %v", procedure, res.StatusCode, err)
	}
	if a.status != http.StatusOK {
		a.code, _ = a.body["code"].(string)
		a.message, _ = a.body["message"].(string)
		details, _ := a.body["details"].([]any)
		for _, d := range details {
			if info, ok := d.(map[string]any)["debug"].(map[string]any); ok {
				a.infos = append(a.infos, info)
			}
		}
	}
	return a
}

// must is call for what has to succeed.
func (s *service) must(t *testing.T, who caller, procedure string, request any) map[string]any {
	t.Helper()
	a := s.call(t, who, procedure, request)
	if a.status != http.StatusOK {
		t.Fatalf("%s: %d %s: %s", procedure, a.status, a.code, a.message)
	}
	return a.body
}

func (s *service) state(t *testing.T, id string) string {
	t.Helper()
	return s.must(t, backend, "MediaService/GetMedia", map[string]any{"mediaId": id})["media"].(map[string]any)["state"].(string)
}

// create makes an upload of "hello" for alice.
func (s *service) create(t *testing.T) (id string, request map[string]any) {
	t.Helper()
	body := s.must(t, alice, "UploadService/CreateUpload", map[string]any{"contentType": "text/plain", "sizeBytes": 5})
	return body["media"].(map[string]any)["id"].(string), body["request"].(map[string]any)
}

func put(t *testing.T, request map[string]any, body string) int {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), request["method"].(string), request["url"].(string), bytes.NewReader([]byte(body)))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range request["headers"].(map[string]any) {
		req.Header.Set(name, value.(string))
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	return res.StatusCode
}

// uploaded is an upload of "hello" that has landed, and is known to.
func (s *service) uploaded(t *testing.T) string {
	t.Helper()
	id, request := s.create(t)
	if status := put(t, request, "hello"); status != http.StatusOK {
		t.Fatalf("PUT: %d", status)
	}
	_, err := s.store.Land(t.Context(), media.SourceNotification, []media.Landing{{MediaID: uuid.MustParse(id), SizeBytes: 5, ETag: "e"}})
	if err != nil {
		t.Fatal(err)
	}
	return id
}
