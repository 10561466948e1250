package torture

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/auth"
	"github.com/coatcheck/coatcheck/internal/pgserver"
	"github.com/coatcheck/coatcheck/internal/pgtest"
)

const (
	// faultReceives is the default of the Terraform module.
	faultReceives = 5
	// faultPatience is how long the process may take to come back by itself. Its longest back-off is 15 s.
	faultPatience = 60 * time.Second
)

// faultSite is the whole service in one process, behind proxies, with a Postgres of its own.
type faultSite struct {
	t      testing.TB
	w      *crashWorld
	watch  *faultWatch
	server *pgserver.Server
	child  *crashChild
	api    string
	token  string

	// direct is held by the test's own statements, and wholly while Postgres restarts.
	direct sync.RWMutex
}

func newFaultSite(t testing.TB) *faultSite {
	t.Helper()
	server, databaseURL := pgtest.Private(t)
	s := &faultSite{t: t, server: server, watch: newFaultWatch()}
	s.w = newCrashServers(t, databaseURL, s.watch, false, faultReceives)
	// Whatever is stored is old enough at once for a reconciliation to land it, or to remove it when it has seen it twice.
	s.w.ahead.Store(-int64(crashAge))
	// Servers of tests forget the last commits when they crash, which those of products do not.
	_, err := s.w.db.Exec("ALTER DATABASE postgres SET synchronous_commit = on")
	s.w.must(err)
	s.reconnect()
	var line string
	s.token, line, err = auth.NewToken("test", crashTenant)
	s.w.must(err)
	// The windows are longer than the test, so that whatever is refused or deleted for its age is a fault of the service.
	s.child = s.w.start(false, "serve", "--tokens", line, "--upload-window", "1h", "--claim-window", "1h", "--tombstone-window", "1h",
		"--sweep-interval", "200ms", "--visibility-timeout", "3s", "--pollers", "2", "--url-ttl", "5m",
		"--reconcile-interval", "1s", "--stray-policy", "delete", "--stray-grace", crashGrace.String(), "--max-stray-share", "1")
	select {
	case address, ok := <-s.child.address:
		if !ok {
			t.Fatal("the service ended")
		}
		s.api = "http://" + address
	case <-time.After(crashLimit):
		t.Fatalf("the service does not serve after %s", crashLimit)
	}
	return s
}

// restart restarts Postgres, while the test itself asks nothing of it.
func (s *faultSite) restart(how func(context.Context) error) {
	s.direct.Lock()
	defer s.direct.Unlock()
	if err := how(context.Background()); err != nil {
		s.t.Errorf("restarting Postgres: %v", err)
	}
	s.reconnect()
}

// reconnect closes the test's own connections, which are made anew when they are needed.
func (s *faultSite) reconnect() {
	s.w.db.SetMaxIdleConns(0)
	s.w.db.SetMaxIdleConns(4)
}

// due makes the window of a media end, as if it had gone by.
func (s *faultSite) due(id string) {
	s.direct.RLock()
	defer s.direct.RUnlock()
	if _, err := s.w.db.Exec("UPDATE coatcheck.media SET due_at = now() WHERE id = ? AND state IN ('pending', 'uploaded')", id); err != nil {
		s.t.Errorf("ending a window: %v", err)
	}
}

// get asks the service for one of its pages.
func (s *faultSite) get(path string) (status int, text string, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, s.api+path, nil)
	if err != nil {
		return 0, "", err
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, "", err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	return res.StatusCode, string(body), err
}

// metric is the sum of a counter's series.
func (s *faultSite) metric(name string) float64 {
	// Unless the database answers the page says less, and 500; what it says is right.
	_, text, err := s.get("/metrics")
	if err != nil {
		return 0
	}
	sum := 0.0
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		rest, ok := strings.CutPrefix(lines.Text(), name)
		if !ok || !(strings.HasPrefix(rest, " ") || strings.HasPrefix(rest, "{")) {
			continue
		}
		if v, err := strconv.ParseFloat(rest[strings.LastIndexByte(rest, ' ')+1:], 64); err == nil {
			sum += v
		}
	}
	return sum
}

// within waits until a condition holds, and reports a violation when it does not within faultPatience.
func (s *faultSite) within(what string, ok func() error) bool {
	s.t.Helper()
	began := time.Now()
	for {
		err := ok()
		if err == nil {
			return true
		}
		if s.child.done(0) {
			violated(s.t, "R10: the service ended by itself: %v", s.child.err)
			return false
		}
		if time.Since(began) > faultPatience {
			violated(s.t, "not within %s: %s: %v", faultPatience, what, err)
			return false
		}
		time.Sleep(50 * time.Millisecond)
	}
}

// ready is an error unless the service says that it is ready.
func (s *faultSite) ready() error {
	status, text, err := s.get("/readyz")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("readyz: %d: %s", status, strings.TrimSpace(text))
	}
	return err
}
