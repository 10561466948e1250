package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// class is how AWS bills a request.
type class struct {
	name  string
	price float64 // USD for a million
}

// The prices are those of us-east-1, S3 Standard and standard queues. Deletions are free. DeleteObjects is taken for one:
// were it billed as the POST that it is, a million swept media would cost one cent more.
// https://aws.amazon.com/s3/pricing/ https://aws.amazon.com/sqs/pricing/
var (
	writes    = class{"PUT, COPY, POST, LIST", 5}
	reads     = class{"GET, HEAD and others", 0.4}
	deletions = class{"DELETE", 0}
	messages  = class{"SQS", 0.4}
	classes   = []class{writes, reads, deletions, messages}
)

// classOf tells the class of an operation by its name.
func classOf(operation string) class {
	switch {
	case strings.Contains(operation, "Message") || strings.Contains(operation, "Queue"):
		return messages
	case strings.HasPrefix(operation, "Delete"):
		return deletions
	case strings.HasPrefix(operation, "Put") || strings.HasPrefix(operation, "Copy") || strings.HasPrefix(operation, "List") || strings.HasPrefix(operation, "Create"):
		return writes
	}
	return reads
}

const (
	// perNotification is the least that a notification takes of SQS: a tenth of a receive, and a tenth of a deletion.
	perNotification = 0.2
	// perUpload is how many SendMessages S3 itself makes of an upload. It is an assumption that they are billed: AWS says that
	// a notification costs what SQS takes, and not who pays for S3's own request.
	perUpload = 1.0
	// idleFor is how long an idle deployment is looked at. It is six long polls of the default wait time, and just as long as
	// the depths of queues are kept for those who scrape: with a part of either the requests of an hour would be too many or too
	// few.
	idleFor = time.Minute
)

// costs is the benchmark of what a deployment asks of AWS, as AWS counts it.
type costs struct {
	*site
	queueURL string
	n        int // of uploads
	phases   []phase
}

// phase is something for which requests are made.
type phase struct {
	name  string
	of    float64 // what the requests are told by: how many uploads, notifications or hours
	asked map[string]int64
}

// each is how many requests of a class there were for one.
func (p phase) each(c class) (n float64) {
	for operation, count := range p.asked {
		if classOf(operation) == c {
			n += float64(count) / p.of
		}
	}
	return n
}

// measureCost counts the requests of uploads that are confirmed, of uploads that are not and are swept, of notifications
// when the queue is full, and of a deployment for which there is nothing to do.
func measureCost(ctx context.Context, s *site, out io.Writer) ([]line, error) {
	consumed, err := s.consumption(ctx)
	if err != nil {
		return nil, err
	}
	c := &costs{site: s, n: max(s.config.count/10, 100)}
	if err := c.phase("notification of a full queue", float64(s.config.count), func() error {
		return consumed.run(ctx, oursPlain, consumed.ours(s.aws.plain), s.config.count, false)
	}); err != nil {
		return nil, err
	}
	if c.queueURL, err = s.aws.queueWithDeadLetters(ctx, "cost"); err != nil {
		return nil, err
	}
	if err := s.aws.notify(ctx, c.queueURL); err != nil {
		return nil, err
	}
	from := firstSince(time.Now())
	if err := c.phase("confirmed upload", float64(c.n), func() error { return c.confirmed(ctx) }); err != nil {
		return nil, err
	}
	if err := s.removeSince(ctx, from); err != nil {
		return nil, err
	}
	if err := c.phase("unclaimed upload", float64(c.n), func() error { return c.unclaimed(ctx, from) }); err != nil {
		return nil, err
	}
	if err := c.idle(ctx); err != nil {
		return nil, err
	}
	return c.report(out)
}

func (c *costs) phase(name string, of float64, do func() error) error {
	before, err := c.aws.counts()
	if err != nil {
		return err
	}
	if err := do(); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	after, err := c.aws.counts()
	if err != nil {
		return err
	}
	c.phases = append(c.phases, phase{name, of, since(before, after)})
	return nil
}

// uploaded uploads as clients do, waits until all has landed, and lends the API for what comes then.
func (c *costs) uploaded(ctx context.Context, then func(*api, []uuid.UUID) error) (err error) {
	api, stop, err := c.serve("api,consumer", nil, []string{"COATCHECK_QUEUE_URL=" + c.queueURL})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	ids := make([]uuid.UUID, c.n)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: mainClients}}
	if _, err := drive(ctx, mainClients, c.n, func(ctx context.Context, i int) (err error) {
		ids[i], err = api.upload(ctx, client)
		return err
	}); err != nil {
		return err
	}
	waiting, cancel := context.WithTimeout(ctx, c.config.limit)
	defer cancel()
	slices.SortFunc(ids, func(a, b uuid.UUID) int { return strings.Compare(a.String(), b.String()) })
	if err := c.db.With(ctx, func(db *pgx.Conn) error { return untilUploaded(waiting, db, ids) }); err != nil {
		return err
	}
	return then(api, ids)
}

// upload asks for a URL and PUTs an object there.
func (a *api) upload(ctx context.Context, client *http.Client) (uuid.UUID, error) {
	created, err := a.createUpload(ctx)
	if err != nil {
		return uuid.UUID{}, err
	}
	request, err := http.NewRequestWithContext(ctx, created.GetRequest().GetMethod(), created.GetRequest().GetUrl(), strings.NewReader(rig.Body))
	if err != nil {
		return uuid.UUID{}, err
	}
	for name, value := range created.GetRequest().GetHeaders() {
		request.Header.Set(name, value)
	}
	answer, err := client.Do(request)
	if err != nil {
		return uuid.UUID{}, err
	}
	defer answer.Body.Close()
	if body, err := io.ReadAll(answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		return uuid.UUID{}, errors.Join(fmt.Errorf("PUT: %s %s", answer.Status, body), err)
	}
	return uuid.Parse(created.GetMedia().GetId())
}

func (c *costs) confirmed(ctx context.Context) error {
	return c.uploaded(ctx, func(api *api, ids []uuid.UUID) error {
		_, err := drive(ctx, mainClients, len(ids), func(ctx context.Context, i int) error { return api.confirm(ctx, ids[i:i+1]) })
		return err
	})
}

// unclaimed lets the claim window end, and then the tombstones', with a sweep after each.
func (c *costs) unclaimed(ctx context.Context, from uuid.UUID) error {
	if err := c.uploaded(ctx, func(*api, []uuid.UUID) error { return nil }); err != nil {
		return err
	}
	for range 2 {
		if err := c.db.With(ctx, func(db *pgx.Conn) error {
			tag, err := db.Exec(ctx, `UPDATE coatcheck.media SET due_at = now() - interval '1 minute' WHERE id >= $1 AND due_at IS NOT NULL`, from)
			if err == nil && tag.RowsAffected() != int64(c.n) {
				err = fmt.Errorf("%d media can become due instead of %d", tag.RowsAffected(), c.n)
			}
			return err
		}); err != nil {
			return err
		}
		if _, err := c.sweep(ctx, c.aws.plain); err != nil {
			return err
		}
	}
	return c.db.With(ctx, func(db *pgx.Conn) error {
		left := 0
		err := db.QueryRow(ctx, `SELECT count(*) FROM coatcheck.media WHERE id >= $1`, from).Scan(&left)
		if err == nil && left > 0 {
			err = fmt.Errorf("%d media are left", left)
		}
		return err
	})
}

// removeSince removes the media that were created from a time on.
func (s *site) removeSince(ctx context.Context, from uuid.UUID) error {
	return s.db.With(ctx, func(db *pgx.Conn) error {
		_, err := db.Exec(ctx, `DELETE FROM coatcheck.media WHERE id >= $1`, from)
		return err
	})
}

// idle lets a process with the settings that it has by default wait for something to do, and scrapes it once: it asks SQS for
// the depths no oftener than once in that time, however often it is scraped. It has every role but the reconciler, whose
// listings are a matter of how many objects there are and how often it is told to look at them.
func (c *costs) idle(ctx context.Context) (err error) {
	api, stop, err := c.serve("api,consumer,sweeper", nil, []string{"COATCHECK_QUEUE_URL=" + c.queueURL})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, stop()) }()
	wait := func(d time.Duration) error {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(d):
			return nil
		}
	}
	if err := wait(2 * time.Second); err != nil { // what it asks when it begins is not asked again
		return err
	}
	return c.phase("hour with nothing to do", idleFor.Hours(), func() error {
		return errors.Join(wait(idleFor/2), api.scrape(ctx), wait(idleFor/2))
	})
}

// scrape asks for the metrics, as Prometheus does.
func (a *api) scrape(ctx context.Context) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+a.address+"/metrics", nil)
	if err != nil {
		return err
	}
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if text, err := io.ReadAll(answer.Body); err != nil || !strings.Contains(string(text), "coatcheck_queue_messages") {
		return errors.Join(fmt.Errorf("metrics: %s, without the queue's depth", answer.Status), err)
	}
	return nil
}

func (c *costs) report(out io.Writer) ([]line, error) {
	fmt.Fprintf(out, "\nrequests as S3 and SQS have counted them; the idle deployment was looked at for %s, and scraped once\n", idleFor)
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', tabwriter.AlignRight)
	fmt.Fprint(table, "for each\tof\t")
	for _, c := range classes {
		fmt.Fprintf(table, "%s\t", c.name)
	}
	fmt.Fprintln(table, "operations\t")
	for _, p := range c.phases {
		fmt.Fprintf(table, "%s\t%.3g\t", p.name, p.of)
		for _, c := range classes {
			fmt.Fprintf(table, "%.4g\t", p.each(c))
		}
		fmt.Fprintf(table, "%v\t\n", strings.TrimPrefix(fmt.Sprint(p.asked), "map"))
	}
	if err := table.Flush(); err != nil {
		return nil, err
	}
	full, idle := c.phases[0], c.phases[3]
	perMessage := full.each(messages)
	lines := []line{{
		what: "cost: SQS requests for a notification of a full queue", coatcheck: fmt.Sprintf("%.3f", perMessage),
		limit: fmt.Sprintf("%.1f: ten by each call", perNotification), ratio: perNotification / perMessage, aim: "1.00",
	}}
	for _, p := range c.phases[1:3] {
		price := func(put, reading, sqs float64) float64 { // of a million
			return put*writes.price + reading*reads.price + (sqs+perUpload)*messages.price
		}
		ours, least := price(p.each(writes), p.each(reads), p.each(messages)), price(1, 0, perNotification)
		lines = append(lines, line{
			what:      "cost: a million of " + p.name + "s",
			coatcheck: fmt.Sprintf("$%.2f; $%.2f with SQS as of a full queue", ours, price(p.each(writes), p.each(reads), perMessage)),
			limit:     fmt.Sprintf("$%.2f: the PUTs and the least of SQS", least), ratio: least / ours,
			peers: fmt.Sprintf("%.3f writes, %.3f reads, %.4f deletions, %.3f requests of SQS each; of every price $%.2f are S3's own SendMessages, if AWS bills those",
				p.each(writes), p.each(reads), p.each(deletions), p.each(messages), perUpload*messages.price),
		})
	}
	hourly := 0.0
	for _, c := range classes {
		hourly += idle.each(c) * c.price / 1e6
	}
	return append(lines, line{
		what:      "cost: requests an hour of an idle process that is scraped, without reconciliations",
		coatcheck: fmt.Sprintf("%.0f of SQS, %.0f of S3, $%.2f a month", idle.each(messages), idle.each(writes)+idle.each(reads), hourly*730),
	}), nil
}
