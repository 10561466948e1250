package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

// output is what a command has printed so far.
type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}

// dev runs `coatcheck dev` with its data in a folder until stop is called, which returns its exit status.
func dev(t *testing.T, data string, args ...string) (api string, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	var out, log output
	status := make(chan int, 1)
	go func() {
		status <- run(ctx, append([]string{"dev", "--listen", "127.0.0.1:0", "--data", data}, args...), &out, &log)
	}()
	ended := false
	stop = func() int {
		cancel()
		s := <-status
		ended = true
		return s
	}
	t.Cleanup(func() {
		if !ended {
			stop()
		}
		if t.Failed() {
			t.Logf("dev printed:\n%s\n%s", &out, &log)
		}
	})
	ready := regexp.MustCompile(`ready at (http://[0-9.:]+)`)
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		if m := ready.FindStringSubmatch(out.String()); m != nil {
			if answer, err := http.Get(m[1] + "/readyz"); err == nil {
				answer.Body.Close()
				if answer.StatusCode == http.StatusOK {
					return m[1], stop
				}
			}
		}
		select {
		case s := <-status:
			ended = true
			t.Fatalf("dev ended with status %d:\n%s\n%s", s, &out, &log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("dev is not ready after 60 s")
		}
	}
}

// call makes one API call in JSON, which has to succeed.
func call(t *testing.T, api, procedure string, request any) map[string]any {
	t.Helper()
	body, err := json.Marshal(request)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Post(api+"/coatcheck.v1."+procedure, "application/json", bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s: status %d: %s (%v)", procedure, answer.StatusCode, text, err)
	}
	var decoded map[string]any
	if err := json.Unmarshal(text, &decoded); err != nil {
		t.Fatal(err)
	}
	return decoded
}

func state(t *testing.T, api, id string) string {
	t.Helper()
	return call(t, api, "MediaService/GetMedia", map[string]any{"mediaId": id})["media"].(map[string]any)["state"].(string)
}

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within 30 s: %s", what)
		}
	}
}

// TestDev is the main job, from the command line: upload and claim, upload and walk away, take a URL and walk away; the
// sweep takes the last two; and after a restart everything is as it was.
func TestDev(t *testing.T) {
	t.Parallel()
	data := filepath.Join(t.TempDir(), "data")
	windows := []string{"--upload-window", "2s", "--claim-window", "2s", "--sweep-interval", "200ms", "--url-ttl", "1s"}
	api, stop := dev(t, data, windows...)

	file := filepath.Join(t.TempDir(), "coat.txt")
	if err := os.WriteFile(file, bytes.Repeat([]byte("a coat "), 100_000), 0o600); err != nil {
		t.Fatal(err)
	}
	upload := func(args ...string) (id string) {
		t.Helper()
		var out, log output
		if status := run(t.Context(), append([]string{"upload", "--server", api, file}, args...), &out, &log); status != 0 {
			t.Fatalf("upload ended with status %d: %s", status, &log)
		}
		id, _, _ = strings.Cut(out.String(), " ")
		return id
	}
	claimed, unclaimed := upload("--claim", "post/1"), upload()
	never := call(t, api, "UploadService/CreateUpload", map[string]any{"contentType": "text/plain", "sizeBytes": 5})["media"].(map[string]any)["id"].(string)

	if got := state(t, api, claimed); got != "MEDIA_STATE_CONFIRMED" {
		t.Errorf("uploaded with --claim: %s", got)
	}
	for _, id := range []string{unclaimed, never} {
		eventually(t, id+" is swept", func() bool { return state(t, api, id) == "MEDIA_STATE_DELETED" })
	}
	for id, want := range map[string]string{unclaimed: "DELETE_REASON_UNCLAIMED", never: "DELETE_REASON_NEVER_UPLOADED"} {
		m := call(t, api, "MediaService/GetMedia", map[string]any{"mediaId": id})["media"].(map[string]any)
		if m["deleteReason"] != want {
			t.Errorf("%s is %v, want %s", id, m["deleteReason"], want)
		}
	}
	if page := get(t, api+"/"); !strings.Contains(page, "<title>Try coatcheck</title>") {
		t.Errorf("the page is:\n%s", page)
	}
	metrics := get(t, api+"/metrics")
	for _, want := range []string{
		`coatcheck_media_entered_total{reason="",state="confirmed"} 1`,
		`coatcheck_media_entered_total{reason="unclaimed",state="deleting"} 1`,
		`coatcheck_media_entered_total{reason="never_uploaded",state="deleting"} 1`,
		`coatcheck_landings_total{source="notification",verdict="landed"} 2`,
		`coatcheck_queue_messages{queue="dead_letters"} 0`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics do not say %s", want)
		}
	}
	if status := stop(); status != 0 {
		t.Errorf("dev ended with status %d", status)
	}

	api, stop = dev(t, data, windows...)
	if got := state(t, api, claimed); got != "MEDIA_STATE_CONFIRMED" {
		t.Errorf("after a restart it is %s", got)
	}
	download := call(t, api, "MediaService/CreateDownload", map[string]any{"mediaId": claimed})["request"].(map[string]any)
	if got := get(t, download["url"].(string)); len(got) != 700_000 {
		t.Errorf("after a restart its object has %d bytes", len(got))
	}
	if status := stop(); status != 0 {
		t.Errorf("dev ended with status %d", status)
	}
}

func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d: %.500s (%v)", answer.StatusCode, text, err)
	}
	return string(text)
}

// TestUploadSaysWhatIsWrong runs uploads that cannot succeed.
func TestUploadSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	api, _ := dev(t, filepath.Join(t.TempDir(), "data"))
	empty := filepath.Join(t.TempDir(), "empty.txt")
	page := filepath.Join(t.TempDir(), "page.html")
	for path, content := range map[string]string{empty: "", page: "<html>"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cases := []struct {
		args   []string
		status int
		says   string
	}{
		{[]string{empty}, 1, "sizeBytes: must be at least 1"},
		{[]string{page}, 1, `contentType: "text/html" is not allowed here`},
		{[]string{page, "--content-type", "text/plain", "--claim", strings.Repeat("x", 201)}, 1, "claim: must name what holds the media"},
		{[]string{empty, page}, 1, "2 of 2 files were not uploaded"},
		{[]string{filepath.Join(t.TempDir(), "nothing")}, 2, "no such file"},
	}
	for _, c := range cases {
		var out, log output
		if status := run(t.Context(), append([]string{"upload", "--server", api}, c.args...), &out, &log); status != c.status {
			t.Errorf("upload %v: status %d, want %d", c.args, status, c.status)
		}
		if !strings.Contains(log.String(), c.says) {
			t.Errorf("upload %v says %q, want %q in it", c.args, &log, c.says)
		}
	}
}
