package outbox_test

import (
	"bytes"
	"context"
	"database/sql"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"
	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx"

	"github.com/coatcheck/coatcheck/examples/outbox"
	"github.com/coatcheck/coatcheck/internal/pgtest"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
	"github.com/coatcheck/coatcheck/proto/coatcheck/v1/coatcheckv1connect"
)

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(child())
	}
	pgtest.Main(m)
}

// product is the example's product with a database of its own, beside a coatcheck that runs as it does in production:
// another program, with another database.
type product struct {
	outbox.Posts
	database string
	api      string
	media    coatcheckv1connect.MediaServiceClient
	uploads  coatcheckv1connect.UploadServiceClient
}

const owner = "you" // whoever calls `coatcheck dev`

func newProduct(t *testing.T, api string) *product {
	t.Helper()
	p := &product{database: pgtest.Empty(t), api: api}
	p.DB = openDB(t, p.database)
	if _, err := p.DB.ExecContext(t.Context(), outbox.Schema); err != nil {
		t.Fatal(err)
	}
	p.media = coatcheckv1connect.NewMediaServiceClient(http.DefaultClient, api)
	p.uploads = coatcheckv1connect.NewUploadServiceClient(http.DefaultClient, api)
	return p
}

func openDB(t *testing.T, url string) *sql.DB {
	t.Helper()
	db, err := sql.Open("pgx", url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return db
}

// lease is short: whoever comes after a killed relay waits for it.
const lease = 500 * time.Millisecond

func (p *product) relay() *outbox.Relay {
	return &outbox.Relay{
		DB: p.DB, Coatcheck: outbox.Coatcheck{Media: p.media}, Log: slog.New(slog.DiscardHandler),
		Interval: 20 * time.Millisecond, Lease: lease,
	}
}

// run runs a relay until ok.
func (p *product) run(t *testing.T, what string, ok func() bool) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	wg.Go(func() { p.relay().Run(ctx) })
	defer wg.Wait()
	defer cancel()
	eventually(t, what, ok)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 60 s: %s", what)
		}
	}
}

// query returns the one value that the product's database answers, as text; "" for NULL and for no row.
func (p *product) query(t *testing.T, query string, args ...any) string {
	t.Helper()
	var value sql.NullString
	err := p.DB.QueryRowContext(t.Context(), query, args...).Scan(&value)
	if err != nil && err != sql.ErrNoRows {
		t.Fatalf("%s: %v", query, err)
	}
	return value.String
}

// idle reports whether the outbox holds nothing that is still to be told.
func (p *product) idle(t *testing.T) bool {
	return p.query(t, `SELECT count(*) FROM media_outbox WHERE done_at IS NULL`) == "0"
}

func (p *product) get(t *testing.T, id string) *coatcheckv1.Media {
	t.Helper()
	answer, err := p.media.GetMedia(t.Context(), connect.NewRequest(&coatcheckv1.GetMediaRequest{MediaId: id}))
	if err != nil {
		t.Fatal(err)
	}
	return answer.Msg.GetMedia()
}

// declare takes a URL for an upload, and returns what sends it.
func (p *product) declare(t *testing.T) (id string, send func()) {
	t.Helper()
	const body = "a picture"
	answer, err := p.uploads.CreateUpload(t.Context(), connect.NewRequest(&coatcheckv1.CreateUploadRequest{
		ContentType: "image/png", SizeBytes: int64(len(body)),
	}))
	if err != nil {
		t.Fatal(err)
	}
	return answer.Msg.GetMedia().GetId(), func() {
		t.Helper()
		presigned := answer.Msg.GetRequest()
		put, err := http.NewRequestWithContext(t.Context(), presigned.GetMethod(), presigned.GetUrl(), strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for name, value := range presigned.GetHeaders() {
			put.Header.Set(name, value)
		}
		res, err := http.DefaultClient.Do(put)
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != http.StatusOK {
			t.Fatalf("PUT: %s", res.Status)
		}
	}
}

func (p *product) upload(t *testing.T) string {
	t.Helper()
	id, send := p.declare(t)
	send()
	return id
}

func (p *product) save(t *testing.T, mediaIDs ...string) int64 {
	t.Helper()
	id, err := p.Save(t.Context(), owner, "look", mediaIDs)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// build builds the coatcheck binary.
func build(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "coatcheck")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", binary, "github.com/coatcheck/coatcheck/cmd/coatcheck").CombinedOutput(); err != nil {
		t.Fatalf("building coatcheck: %v\n%s", err, out)
	}
	return binary
}

// coatcheck runs `coatcheck dev` with a database of its own until the test ends, and returns the API's address.
func coatcheck(t *testing.T, binary string, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary, append([]string{"dev", "--listen", "127.0.0.1:0", "--data", t.TempDir(), "--database-url", pgtest.Empty(t)}, args...)...)
	var printed buffer
	cmd.Stdout, cmd.Stderr = &printed, &printed
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			_ = cmd.Process.Kill()
			<-ended
		}
		if t.Failed() {
			t.Logf("coatcheck printed:\n%s", &printed)
		}
	})
	ready := regexp.MustCompile(`ready at (http://[0-9.:]+)`)
	var api string
	eventually(t, "coatcheck is ready", func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("coatcheck ended: %v\n%s", err, &printed)
		default:
		}
		if m := ready.FindStringSubmatch(printed.String()); m != nil {
			api = m[1]
		}
		return api != ""
	})
	return api
}

// buffer is what a program has printed so far.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}
