package pgtest

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/pgserver"
)

// URLVariable names the environment variable that makes tests use a server which runs already.
const URLVariable = "COATCHECK_TEST_DATABASE_URL"

const (
	startLimit = 5 * time.Minute // with a download in it
	stepLimit  = time.Minute

	// maxConnections leaves room for a pool in each of many parallel tests.
	maxConnections = 300
)

// shared is the server of this test process. It exists because tests reach it only through their testing.TB.
var shared struct {
	inMain bool
	once   sync.Once
	server *pgserver.Server
	admin  *admin
	err    error
}

// Main runs a package's tests (m is its *testing.M, or something around it), stops the server that they started, if they did, and exits. On an interrupt the
// server is stopped as well.
func Main(m interface{ Run() int }) {
	os.Exit(run(m))
}

func run(m interface{ Run() int }) (code int) {
	shared.inMain = true
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(interrupted)
	done := make(chan int, 1)
	go func() { done <- m.Run() }()
	select {
	case code = <-done:
	case s := <-interrupted: // the tests are not waited for: the process ends below
		fmt.Fprintf(os.Stderr, "pgtest: %s\n", s)
		code = 1
	}
	// Should a test just be starting the server, this waits for it; if none ever did, none will.
	shared.once.Do(func() { shared.err = fmt.Errorf("the tests are over") })
	if shared.server == nil {
		return code
	}
	ctx, cancel := context.WithTimeout(context.Background(), stepLimit)
	defer cancel()
	if shared.admin != nil {
		_ = shared.admin.db.Close()
	}
	if err := shared.server.Stop(ctx); err != nil {
		fmt.Fprintf(os.Stderr, "pgtest: %v\n", err)
		code = max(code, 1)
	}
	return code
}

// Server returns the server of this test process, starting it if need be. Other tests use it at the same time: one
// that stops, restarts or crashes a server wants [Private].
func Server(t testing.TB) *pgserver.Server {
	t.Helper()
	if !shared.inMain {
		t.Fatal("this package has no func TestMain(m *testing.M) { pgtest.Main(m) }")
	}
	shared.once.Do(func() {
		ctx, cancel := context.WithTimeout(context.Background(), startLimit)
		defer cancel()
		url := os.Getenv(URLVariable)
		shared.server, shared.err = startServer(ctx, url)
		if shared.err == nil {
			shared.admin, shared.err = newAdmin(ctx, shared.server, url == "")
		}
	})
	if shared.err != nil {
		t.Fatalf("starting a Postgres for the tests: %v", shared.err)
	}
	return shared.server
}

func startServer(ctx context.Context, url string) (*pgserver.Server, error) {
	return pgserver.Start(ctx, pgserver.Config{
		DatabaseURL:    url,
		MaxConnections: maxConnections,
		Progress: func(format string, args ...any) {
			fmt.Fprintf(os.Stderr, "pgtest: "+format+"\n", args...)
		},
	})
}

// New returns the connection string of a fresh database that has every migration applied. It is dropped when the test
// ends, whatever is still connected to it.
func New(t testing.TB) string {
	t.Helper()
	Server(t)
	return shared.admin.create(t, true)
}

// Empty returns the connection string of a fresh database that has nothing in it, dropped when the test ends.
func Empty(t testing.TB) string {
	t.Helper()
	Server(t)
	return shared.admin.create(t, false)
}

// Private starts a server that only this test uses and may restart or crash, and returns it with the connection
// string of a database that has every migration applied. It takes a second or two, and is stopped when the test ends.
func Private(t testing.TB) (*pgserver.Server, string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), startLimit)
	defer cancel()
	server, err := startServer(ctx, "")
	if err != nil {
		t.Fatalf("starting a Postgres for the test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), stepLimit)
		defer cancel()
		if err := server.Stop(ctx); err != nil {
			t.Errorf("stopping the test's Postgres: %v", err)
		}
	})
	url := server.URL("postgres")
	if err := migrate(ctx, url); err != nil {
		t.Fatalf("migrating the test's database: %v", err)
	}
	return server, url
}
