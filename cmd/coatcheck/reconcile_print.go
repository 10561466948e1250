package main

import (
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/coatcheck/coatcheck/internal/postgres"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

const (
	watchEvery = 500 * time.Millisecond
	// tellEvery is how often progress is told where there is no terminal.
	tellEvery = 10 * time.Second
)

// watchRun shows how far a run is, whoever works on it, until the context ends.
func watchRun(ctx context.Context, s streams, store *postgres.Store, id uuid.UUID) {
	f, isFile := s.err.(*os.File)
	terminal := isFile && term.IsTerminal(int(f.Fd()))
	bar := progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(s.err), progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionSetItsString("objects"),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetPredictTime(true), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionSetVisibility(terminal),
	)
	defer func() { _ = bar.Exit() }()
	for told := time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-time.After(watchEvery):
		}
		run, err := store.GetRun(ctx, id)
		if err != nil || run == nil { // the work itself says what is wrong
			continue
		}
		seen := max(run.Counts[reconcile.CountObjects], run.Counts[reconcile.CountRows])
		doing := fmt.Sprintf("%s, shard %d of %d", run.Phase, run.ShardsDone, run.Shards)
		bar.Describe(doing)
		if bar.GetMax64() != max(run.Estimate, seen) {
			bar.ChangeMax64(max(run.Estimate, seen, 1))
		}
		_ = bar.Set64(seen)
		if !terminal && time.Since(told) >= tellEvery {
			told = time.Now()
			fmt.Fprintf(s.err, "%s: %d objects so far, of about %d\n", doing, seen, run.Estimate)
		}
	}
}

// reported is one line of a report.
type reported struct {
	Kind      reconcile.Kind `json:"kind"`
	Key       string         `json:"key"`
	MediaID   string         `json:"mediaId,omitempty"`
	SizeBytes *int64         `json:"sizeBytes,omitempty"`
	Detail    string         `json:"detail"`
	FirstSeen *time.Time     `json:"firstSeenAt,omitempty"`
	ETag      string         `json:"etag,omitempty"`
	VersionID string         `json:"versionId,omitempty"`
}

const reportPage = 1000

// report returns every finding of a run: what it found missing, strays, and what else it found.
func report(ctx context.Context, store *postgres.Store, run uuid.UUID) iter.Seq2[reported, error] {
	return func(yield func(reported, error) bool) {
		for after := (uuid.UUID{}); ; {
			page, err := store.Missing(ctx, run, after, reportPage)
			if err != nil {
				yield(reported{}, err)
				return
			}
			for _, m := range page {
				after = m.Media.ID
				if !yield(reported{
					Kind: reconcile.KindMissing, Key: m.Media.Key, MediaID: m.Media.ID.String(), SizeBytes: &m.Media.SizeBytes, FirstSeen: &m.FirstSeenAt,
					ETag: m.Media.ETag, VersionID: m.Media.VersionID, Detail: fmt.Sprintf("it is %s, and S3 does not have its object", m.Media.State),
				}, nil) {
					return
				}
			}
			if len(page) < reportPage {
				break
			}
		}
		for _, removed := range []bool{false, true} {
			for after := ""; ; {
				page, err := store.Strays(ctx, reconcile.StrayPage{After: after, Removed: removed, Run: run, Limit: reportPage})
				if err != nil {
					yield(reported{}, err)
					return
				}
				for _, o := range page {
					after = o.Key
					if !yield(reported{
						Kind: reconcile.KindStray, Key: o.Key, SizeBytes: &o.SizeBytes, FirstSeen: &o.FirstSeenAt, ETag: o.ETag, VersionID: o.VersionID,
						Detail: strayDetail(o),
					}, nil) {
						return
					}
				}
				if len(page) < reportPage {
					break
				}
			}
		}
		for after := int64(0); ; {
			page, last, err := store.Findings(ctx, run, after, reportPage)
			if err != nil {
				yield(reported{}, err)
				return
			}
			for _, f := range page {
				line := reported{Kind: f.Kind, Key: f.Key, Detail: f.Detail}
				if f.MediaID != (uuid.UUID{}) {
					line.MediaID = f.MediaID.String()
				}
				if f.SizeBytes >= 0 {
					line.SizeBytes = &f.SizeBytes
				}
				if !yield(line, nil) {
					return
				}
			}
			if after = last; len(page) < reportPage {
				return
			}
		}
	}
}

func strayDetail(o reconcile.Stray) string {
	switch {
	case o.RemovedTo != "":
		return "no row explained it: it was moved to " + o.RemovedTo
	case !o.RemovedAt.IsZero():
		return "no row explained it: it was deleted"
	case o.LastError != "":
		return "no row explains it, and it could not be removed: " + o.LastError
	case !o.Ours:
		return "no row explains it, and its key is none that coatcheck makes: it stays"
	}
	return "no row explains it"
}

// printRun prints what came of a run.
func printRun(ctx context.Context, s streams, store *postgres.Store, run *reconcile.Run, output string) error {
	switch output {
	case "json":
		encoder := json.NewEncoder(s.out)
		encoder.SetEscapeHTML(false)
		for line, err := range report(ctx, store, run.ID) {
			if err == nil {
				err = encoder.Encode(line)
			}
			if err != nil {
				return err
			}
		}
		return printSummary(s.err, run)
	case "csv":
		if err := printCSV(ctx, s.out, store, run.ID); err != nil {
			return err
		}
		return printSummary(s.err, run)
	}
	if err := printFindings(ctx, s.out, store, run.ID); err != nil {
		return err
	}
	return printSummary(s.out, run)
}

func printCSV(ctx context.Context, out io.Writer, store *postgres.Store, run uuid.UUID) error {
	w := csv.NewWriter(out)
	_ = w.Write([]string{"kind", "key", "media_id", "size_bytes", "detail", "first_seen_at", "etag", "version_id"})
	for line, err := range report(ctx, store, run) {
		if err != nil {
			return err
		}
		size, seen := "", ""
		if line.SizeBytes != nil {
			size = strconv.FormatInt(*line.SizeBytes, 10)
		}
		if line.FirstSeen != nil {
			seen = line.FirstSeen.UTC().Format(time.RFC3339)
		}
		_ = w.Write([]string{string(line.Kind), line.Key, line.MediaID, size, line.Detail, seen, line.ETag, line.VersionID})
	}
	w.Flush() // which keeps the first error of all
	return w.Error()
}

// shownFindings is how many findings of a kind the table shows.
const shownFindings = 20

func printFindings(ctx context.Context, out io.Writer, store *postgres.Store, run uuid.UUID) error {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	shown := map[reconcile.Kind]int{}
	more := 0
	for line, err := range report(ctx, store, run) {
		if err != nil {
			return err
		}
		if len(shown) == 0 {
			fmt.Fprintln(table, "FOUND\tKEY\tBYTES\tBECAUSE")
		}
		if shown[line.Kind]++; shown[line.Kind] > shownFindings {
			more++
			continue
		}
		size := ""
		if line.SizeBytes != nil {
			size = strconv.FormatInt(*line.SizeBytes, 10)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", line.Kind, printable(line.Key), size, printable(line.Detail))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if more > 0 {
		fmt.Fprintf(out, "… and %d more: --output json or csv shows all\n", more)
	}
	if len(shown) > 0 {
		fmt.Fprintln(out)
	}
	return nil
}

// printable quotes what a terminal would act on.
func printable(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

// printSummary prints the run's counts that are not zero.
func printSummary(out io.Writer, run *reconcile.Run) error {
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	for _, name := range reconcile.CountNames {
		n := run.Counts[name]
		if n == 0 && name != reconcile.CountObjects && name != reconcile.CountStrays && name != reconcile.CountMissing {
			continue
		}
		shown := strconv.FormatInt(n, 10)
		if name.IsBytes() {
			shown = bytesIn(n)
		}
		fmt.Fprintf(table, "%s\t%s\t\n", strings.ReplaceAll(string(name), "_", " "), shown)
	}
	if err := table.Flush(); err != nil {
		return err
	}
	kind := "reconciliation"
	if run.DryRun {
		kind = "dry run of reconciliation"
	}
	_, err := fmt.Fprintf(out, "\n%s %s %s in %s\n", kind, run.ID, run.Outcome, run.FinishedAt.Sub(run.StartedAt).Round(10*time.Millisecond))
	if run.Explanation != "" && run.Outcome != reconcile.OutcomeTripped { // which ends as an error that says it
		fmt.Fprintln(out, run.Explanation)
	}
	return err
}

// bytesIn writes a number of bytes for people.
func bytesIn(n int64) string {
	const units = "KMGTPE"
	if n < 1024 {
		return fmt.Sprintf("%d B", n)
	}
	v, unit := float64(n)/1024, 0
	for v >= 1024 && unit < len(units)-1 {
		v, unit = v/1024, unit+1
	}
	return fmt.Sprintf("%.1f %ciB", v, units[unit])
}
