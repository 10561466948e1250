//go:build e2e

package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/pgserver"
)

// world is everything around the binary.
type world struct {
	dir      string
	binary   string
	database string
	env      []string // of the binary
	settings map[string]string
	token    string
	api      string
}

// newWorld builds the binary, starts Postgres and the AWS that COATCHECK_E2E_AWS names, applies the Terraform example,
// and migrates the database.
func newWorld(t *testing.T) *world {
	w := &world{dir: t.TempDir()}
	w.binary = filepath.Join(w.dir, "coatcheck")
	w.run(t, nil, "go", "build", "-o", w.binary, "../cmd/coatcheck")

	pg, err := pgserver.Start(t.Context(), pgserver.Config{Dir: filepath.Join(w.dir, "postgres")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pg.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w.database = pg.URL("postgres")

	endpoint := w.startAWS(t)
	began := time.Now()
	work := filepath.Join(w.dir, "terraform")
	if err := os.Mkdir(work, 0o700); err != nil {
		t.Fatal(err)
	}
	applied := w.run(t, nil, "./apply.sh", work, endpoint)
	t.Logf("terraform apply: %.1f s", time.Since(began).Seconds())

	w.env = append(os.Environ(), "AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "COATCHECK_AWS_ENDPOINT="+endpoint,
		"COATCHECK_DATABASE_URL="+w.database)
	w.settings = map[string]string{"endpoint": endpoint}
	for line := range strings.Lines(applied) {
		name, value, ok := strings.Cut(strings.TrimSpace(line), "=")
		if !ok {
			t.Fatalf("terraform printed %q, want NAME=value", line)
		}
		w.settings[name] = value
		w.env = append(w.env, name+"="+value)
	}
	w.coatcheck(t, "migrate", "up")
	w.makeToken(t)
	return w
}

// startAWS returns the endpoint of LocalStack, of moto, or of whatever runs at a given URL.
func (w *world) startAWS(t *testing.T) string {
	choice := os.Getenv("COATCHECK_E2E_AWS")
	began := time.Now()
	switch {
	case choice == "" || choice == "localstack":
		dir := filepath.Join(w.dir, "localstack")
		printed := w.run(t, nil, "./localstack/start.sh", "--dir", dir)
		t.Cleanup(func() {
			if out, err := exec.Command("./localstack/stop.sh", dir).CombinedOutput(); err != nil {
				t.Errorf("stopping LocalStack: %v\n%s", err, out)
			}
		})
		for line := range strings.Lines(printed) {
			if endpoint, ok := strings.CutPrefix(strings.TrimSpace(line), "ENDPOINT="); ok {
				t.Logf("LocalStack: %.1f s", time.Since(began).Seconds())
				return endpoint
			}
		}
		t.Fatalf("start.sh printed no endpoint:\n%s", printed)
	case choice == "moto":
		port := freePort(t)
		moto := exec.Command("moto_server", "-H", "127.0.0.1", "-p", port)
		w.background(t, moto, "moto.log")
		endpoint := "http://127.0.0.1:" + port
		waitFor(t, 60*time.Second, "moto", func() bool {
			answer, err := http.Get(endpoint + "/moto-api/data.json")
			if err != nil {
				return false
			}
			answer.Body.Close()
			return true
		})
		return endpoint
	case strings.HasPrefix(choice, "http://"):
		return choice
	}
	t.Fatalf("COATCHECK_E2E_AWS is %q: must be localstack, moto or a URL", choice)
	return ""
}

// run carries a command out and returns its standard output.
func (w *world) run(t *testing.T, env []string, name string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), name, args...)
	cmd.Env = env
	var out, log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &log
	// What the command leaves running (LocalStack) keeps its pipes: do not wait for their end.
	cmd.WaitDelay = time.Second
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(args, " "), err, &out, &log)
	}
	return out.String()
}

func (w *world) coatcheck(t *testing.T, args ...string) string {
	t.Helper()
	return w.run(t, w.env, w.binary, args...)
}

func (w *world) makeToken(t *testing.T) {
	cmd := exec.CommandContext(t.Context(), w.binary, "token", "--tenant", "acme")
	var out, shown bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &shown
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	for scanner := bufio.NewScanner(&shown); scanner.Scan(); {
		if word := strings.TrimSpace(scanner.Text()); strings.HasPrefix(word, "coat_") {
			w.token = word
		}
	}
	w.env = append(w.env, "COATCHECK_TOKENS="+strings.TrimSpace(out.String()))
}

// serve starts the service and waits until it is ready. The returned function stops it as a supervisor would, and
// fails the test unless it ends well.
func (w *world) serve(t *testing.T, args ...string) (stop func()) {
	port := freePort(t)
	w.api = "http://127.0.0.1:" + port
	cmd := exec.Command(w.binary, append([]string{"serve", "--listen", "127.0.0.1:" + port, "--log-format", "text"}, args...)...)
	cmd.Env = w.env
	wait := w.background(t, cmd, "serve.log")
	waitFor(t, 30*time.Second, "readyz", func() bool {
		answer, err := http.Get(w.api + "/readyz")
		if err != nil {
			return false
		}
		answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
	return func() {
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			t.Error(err)
		}
		if err := wait(); err != nil {
			t.Errorf("the service ended with %v after SIGTERM", err)
		}
	}
}

// background starts a process that is killed when the test ends, and whose log is shown when the test has failed.
func (w *world) background(t *testing.T, cmd *exec.Cmd, logName string) (wait func() error) {
	log, err := os.Create(filepath.Join(w.dir, logName))
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var ended error
	go func() {
		defer close(done)
		ended = cmd.Wait()
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		<-done
		log.Close()
		if t.Failed() {
			text, _ := os.ReadFile(log.Name())
			t.Logf("%s:\n%s", logName, text)
		}
	})
	return func() error {
		select {
		case <-done:
			return ended
		case <-time.After(40 * time.Second):
			return errors.New("nothing within 40 s")
		}
	}
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

func waitFor(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waiting for %s: not within %s", what, limit)
		}
	}
}

// call makes one API call in JSON and returns status and answer.
func (w *world) call(t *testing.T, procedure string, request any) (int, map[string]any) {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.api+"/coatcheck.v1."+procedure, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+w.token)
	req.Header.Set("Coatcheck-Owner", "alice")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	var decoded map[string]any
	if err := json.NewDecoder(answer.Body).Decode(&decoded); err != nil {
		t.Fatalf("%s: status %d, and not JSON: %v", procedure, answer.StatusCode, err)
	}
	return answer.StatusCode, decoded
}

// must is call for an answer that has to be good.
func (w *world) must(t *testing.T, procedure string, request any) map[string]any {
	t.Helper()
	status, answer := w.call(t, procedure, request)
	if status != http.StatusOK {
		t.Fatalf("%s: status %d: %v", procedure, status, answer)
	}
	return answer
}

// put sends a presigned request with a body, its headers changed as told, and returns the status and S3's code.
func put(t *testing.T, request map[string]any, body string, change func(http.Header)) string {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), request["method"].(string), request["url"].(string), strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range request["headers"].(map[string]any) {
		req.Header.Set(name, value.(string))
	}
	if change != nil {
		change(req.Header)
	}
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	_, code, _ := strings.Cut(string(text), "<Code>")
	code, _, _ = strings.Cut(code, "</Code>")
	return strings.TrimSpace(fmt.Sprintf("%d %s", answer.StatusCode, code))
}
