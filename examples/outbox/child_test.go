package outbox_test

import (
	"bufio"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"testing"
	"time"

	"connectrpc.com/connect"

	"github.com/coatcheck/coatcheck/examples/outbox"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
	"github.com/coatcheck/coatcheck/proto/coatcheck/v1/coatcheckv1connect"
)

// childVariable makes the test binary a process of the product, which is there to be killed: it holds the job.
const childVariable = "OUTBOX_CHILD"

// job is what a child does, and where it stops and waits for its end.
type job struct {
	Database, API string
	Save          []string // media of a post to save
	Delete        int64    // a post to delete
	Relay         bool
	StopAt        point
	Hold          string // the table at which it waits inside a transaction
}

// point is between two effects outside the process.
type point string

const (
	committed point = "committed" // the post is saved or deleted, and nothing has been told
	leased    point = "leased"    // the relay has taken the row, and has not called
	called    point = "called"    // coatcheck has done it and answered, and nothing of that is written down
	settled   point = "settled"   // the answer is written down
	inside    point = "inside"    // a transaction: the parent holds a table so that it cannot end
)

// child does the job. It never returns from the point where it is to be killed, but ends when its parent does.
func child() int {
	var j job
	if err := json.Unmarshal([]byte(os.Getenv(childVariable)), &j); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() { // the parent's end closes it
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	if err := j.do(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (j job) do(ctx context.Context) error {
	db, err := sql.Open("pgx", j.Database)
	if err != nil {
		return err
	}
	defer db.Close()
	posts := outbox.Posts{DB: db}
	if len(j.Save) > 0 {
		if _, err := posts.Save(ctx, owner, "look", j.Save); err != nil {
			return err
		}
		j.reach(committed)
	}
	if j.Delete > 0 {
		if err := posts.Delete(ctx, j.Delete); err != nil {
			return err
		}
		j.reach(committed)
	}
	if !j.Relay {
		return nil
	}
	relay := outbox.Relay{
		DB: db, Log: slog.New(slog.DiscardHandler), Lease: lease,
		Coatcheck: outbox.Coatcheck{Media: stopping{coatcheckv1connect.NewMediaServiceClient(http.DefaultClient, j.API), j}},
	}
	for {
		n, err := relay.RunOnce(ctx)
		if err != nil {
			return err
		}
		if n > 0 {
			j.reach(settled)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// reach tells the parent, and waits to be killed, when this is the point.
func (j job) reach(p point) {
	if p == j.StopAt {
		fmt.Println(p)
		select {}
	}
}

// stopping is coatcheck's client, and stops before or after a call.
type stopping struct {
	outbox.MediaService
	job job
}

func (s stopping) ConfirmMedia(ctx context.Context, r *connect.Request[coatcheckv1.ConfirmMediaRequest]) (*connect.Response[coatcheckv1.ConfirmMediaResponse], error) {
	s.job.reach(leased)
	answer, err := s.MediaService.ConfirmMedia(ctx, r)
	s.job.reach(called)
	return answer, err
}

func (s stopping) ReleaseMedia(ctx context.Context, r *connect.Request[coatcheckv1.ReleaseMediaRequest]) (*connect.Response[coatcheckv1.ReleaseMediaResponse], error) {
	s.job.reach(leased)
	answer, err := s.MediaService.ReleaseMedia(ctx, r)
	s.job.reach(called)
	return answer, err
}

// kill starts a process of the product for the job, waits until it is at its point, and kills it there.
func (p *product) kill(t *testing.T, j job) {
	t.Helper()
	j.Database, j.API = p.database, p.api
	text, err := json.Marshal(j)
	if err != nil {
		t.Fatal(err)
	}
	if j.StopAt == inside {
		holder, err := p.DB.BeginTx(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer holder.Rollback() //nolint:errcheck // lets go of the table when the child is dead
		if _, err := holder.ExecContext(t.Context(), "LOCK TABLE "+j.Hold+" IN SHARE ROW EXCLUSIVE MODE"); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childVariable+"="+string(text))
	var printed buffer
	cmd.Stderr = &printed
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := cmd.StdinPipe(); err != nil { // it stays open until the child has ended
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	reached := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(out).ReadString('\n')
		reached <- line
	}()
	end := func() {
		_ = cmd.Process.Kill() // SIGKILL
		_ = cmd.Wait()
	}
	if j.StopAt == inside {
		eventually(t, "the child waits for "+j.Hold, func() bool {
			return p.query(t, `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`) != "0"
		})
		end()
		return
	}
	select {
	case line := <-reached:
		end()
		if line != string(j.StopAt)+"\n" {
			t.Fatalf("the child ended before %s: %s", j.StopAt, &printed)
		}
	case <-time.After(60 * time.Second):
		end()
		t.Fatalf("the child did not reach %s: %s", j.StopAt, &printed)
	}
}
