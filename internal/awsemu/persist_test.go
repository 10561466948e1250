package awsemu_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// childDir names the variable that makes the test binary serve an emulator in a folder, to be killed.
const childDir = "AWSEMU_TEST_CHILD_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		emu, err := awsemu.New(awsemu.Config{Dir: dir})
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println("http://" + l.Addr().String())
		panic(http.Serve(l, emu)) //nolint:gosec // lives for a second
	}
	os.Exit(m.Run())
}

// child starts an emulator in a process of its own and connects e to it.
func child(t *testing.T, dir string) (*env, *exec.Cmd) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	e := &env{t: t, bucket: "coats"}
	e.connect(strings.TrimSpace(line), client())
	return e, cmd
}

// TestKill kills the process under load, again and again: whatever was answered is there afterwards, and what was
// not is there whole or not at all.
func TestKill(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var mu sync.Mutex
	put, deleted := map[string]bool{}, map[string]bool{}
	sent, received, settled := map[string]bool{}, map[string]bool{}, map[string]bool{}
	body := func(key string) string { return strings.Repeat(key, 50) }
	for round := range 3 {
		e, cmd := child(t, dir)
		_, err := e.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &e.bucket})
		e.ok(err)
		url, _ := e.queue("q", map[string]string{"VisibilityTimeout": "3600"})
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		note := func(m map[string]bool, key string) {
			mu.Lock()
			defer mu.Unlock()
			m[key] = true
		}
		for w := range 4 {
			wg.Go(func() {
				for i := 0; ctx.Err() == nil; i++ {
					key := fmt.Sprintf("r%d/w%d/%d", round, w, i)
					if _, err := e.s3.PutObject(ctx, &s3.PutObjectInput{Bucket: &e.bucket, Key: &key, Body: strings.NewReader(body(key))}); err != nil {
						return
					}
					note(put, key)
					if i%3 == 0 {
						// Asked for: from here on it may be gone.
						mu.Lock()
						delete(put, key)
						mu.Unlock()
						if _, err := e.s3.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &e.bucket, Key: &key}); err != nil {
							return
						}
						note(deleted, key)
					}
					if _, err := e.sqs.SendMessage(ctx, &sqs.SendMessageInput{QueueUrl: &url, MessageBody: &key}); err != nil {
						return
					}
					note(sent, key)
					out, err := e.sqs.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{QueueUrl: &url})
					if err != nil || len(out.Messages) == 0 {
						return
					}
					m := out.Messages[0]
					note(received, *m.Body) // from here on it may be gone
					if _, err := e.sqs.DeleteMessage(ctx, &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
						return
					}
					note(settled, *m.Body)
				}
			})
		}
		time.Sleep(400 * time.Millisecond)
		if err := cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
		wg.Wait()
		cancel()
	}
	if len(put) < 20 || len(deleted) < 10 || len(settled) < 20 {
		t.Fatalf("only %d put, %d deleted, %d settled: that proves little", len(put), len(deleted), len(settled))
	}
	e := start(t, awsemu.Config{Dir: dir})
	stored := map[string]bool{}
	for _, key := range e.list("", "", "", 1000) {
		stored[key] = true
		if got := e.get(key); got != body(key) {
			t.Fatalf("%s is %q", key, got)
		}
	}
	for key := range put {
		if !stored[key] {
			t.Errorf("%s was answered and is lost", key)
		}
	}
	for key := range deleted {
		if stored[key] {
			t.Errorf("%s was deleted and is back", key)
		}
	}
	url, _ := e.queue("q", nil)
	left := map[string]bool{}
	for {
		got := e.drain(url, 10)
		for _, body := range got {
			left[body] = true
		}
		if len(got) == 0 {
			break
		}
	}
	for key := range sent {
		if !left[key] && !received[key] {
			t.Errorf("message %s was answered and is lost", key)
		}
	}
	for key := range settled {
		if left[key] {
			t.Errorf("message %s was deleted and is back", key)
		}
	}
	// Each object has its file, and there is no other.
	files := 0
	e.ok(filepath.WalkDir(filepath.Join(dir, "bodies"), func(_ string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files++
		}
		return err
	}))
	if files != len(stored) {
		t.Errorf("%d files for %d objects", files, len(stored))
	}
}

// TestRestart fills an emulator with a bit of everything and compares what it says before and after restarts.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	emu, err := awsemu.New(awsemu.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	e := serve(t, emu, newHTTP(emu))
	dead, deadARN := e.queue("dead", nil)
	url, arn := e.queue("q", map[string]string{"VisibilityTimeout": "3600", "RedrivePolicy": `{"deadLetterTargetArn":"` + deadARN + `","maxReceiveCount":"1"}`})
	e.notify(arn, nil)
	e.drain(url, 1)
	e.put("plain", "null version")
	e.versioning(types.BucketVersioningStatusEnabled)
	e.put("plain", "newer")
	e.put("marked", "x")
	_, err = e.s3.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &e.bucket, Key: aws.String("marked")})
	e.ok(err)
	_, err = e.s3.PutObjectTagging(t.Context(), &s3.PutObjectTaggingInput{Bucket: &e.bucket, Key: aws.String("plain"), Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("a"), Value: aws.String("b")}}}})
	e.ok(err)
	_, err = e.s3.CopyObject(t.Context(), &s3.CopyObjectInput{Bucket: &e.bucket, Key: aws.String("copy"), CopySource: aws.String("coats/plain")})
	e.ok(err)
	id := e.create("mp", "")
	done := e.parts("mp", id, strings.Repeat("1", partSize), "tail")
	_, err = e.s3.PutBucketTagging(t.Context(), &s3.PutBucketTaggingInput{Bucket: &e.bucket, Tagging: &types.Tagging{TagSet: []types.Tag{{Key: aws.String("team"), Value: aws.String("coats")}}}})
	e.ok(err)
	e.send(dead, "letter")
	inFlight := e.receive(url, 1)
	e.ok(e.delete(url, inFlight[0].ReceiptHandle))
	e.ok(e.visibility(url, inFlight[1].ReceiptHandle, 0)) // received once: the next receive buries it
	e.emu.Faults().HoldNotifications()
	e.put("held", "x")

	state := func() (out []string) {
		t.Helper()
		out = e.versions(1)
		for _, a := range []string{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "RedrivePolicy"} {
			out = append(out, e.attribute(url, a), e.attribute(dead, a))
		}
		tags, err := e.s3.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &e.bucket, Key: aws.String("plain")})
		e.ok(err)
		config, err := e.s3.GetBucketTagging(t.Context(), &s3.GetBucketTaggingInput{Bucket: &e.bucket})
		e.ok(err)
		uploads, err := e.s3.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: &e.bucket})
		e.ok(err)
		return append(out, fmt.Sprint(*tags.TagSet[0].Key, *config.TagSet[0].Value, *uploads.Uploads[0].UploadId), e.get("plain"), e.get("copy"), e.getVersion("plain", "null"))
	}
	before := state()
	before[len(before)-10] = "2" // the held notification arrives with the restart
	for range 2 {
		e.ok(e.emu.Close())
		e = start(t, awsemu.Config{Dir: dir})
		url, _ = e.queue("q", nil)
		dead, _ = e.queue("dead", nil)
		if after := state(); !slices.Equal(after, before) {
			t.Fatalf("after the restart\n%q, want\n%q", after, before)
		}
	}
	e.ok(e.delete(url, inFlight[2].ReceiptHandle)) // a handle from before
	_, err = e.complete("mp", id, done)
	e.ok(err)
	if got := e.get("mp"); got != strings.Repeat("1", partSize)+"tail" {
		t.Error("the upload's parts are not what they were")
	}
	e.receive(url, 0)
	if got := e.attribute(dead, "ApproximateNumberOfMessages"); got != "2" {
		t.Errorf("%s dead letters, want 2: receive counts are lost", got)
	}
}

// TestTornLine leaves half a record at the end of the journal, as a kill in the middle of a write does.
func TestTornLine(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e := start(t, awsemu.Config{Dir: dir})
	e.put("k", "hello")
	if _, err := awsemu.New(awsemu.Config{Dir: dir}); err == nil {
		t.Error("two emulators share a folder")
	}
	e.ok(e.emu.Close())
	f, err := os.OpenFile(filepath.Join(dir, "journal.jsonl"), os.O_APPEND|os.O_WRONLY, 0)
	e.ok(err)
	_, err = f.WriteString(`{"s3":{"kind":"put","buck`)
	e.ok(err)
	e.ok(f.Close())
	e = start(t, awsemu.Config{Dir: dir})
	if e.get("k") != "hello" {
		t.Error("the object is lost")
	}
	e.put("k2", "x")
	e.ok(e.emu.Close())
	e = start(t, awsemu.Config{Dir: dir})
	if e.get("k2") != "x" {
		t.Error("what came after the torn line is lost")
	}
}
