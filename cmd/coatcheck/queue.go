package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"text/tabwriter"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/consumer"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/queue"
)

type queueCommand struct {
	Peek    queuePeek    `cmd:"" help:"Show dead letters, and why each died. They stay where they are."`
	Redrive queueRedrive `cmd:"" help:"Move the dead letters back to the queue."`
}

// queueSettings say which queue, and how to reach it.
type queueSettings struct {
	QueueURL    string `name:"queue-url" env:"COATCHECK_QUEUE_URL" required:"" placeholder:"URL" help:"SQS queue with the bucket's notifications; its redrive policy names the dead-letter queue."`
	AWSRegion   string `name:"aws-region" env:"AWS_REGION,AWS_DEFAULT_REGION" help:"Region of the queue."`
	AWSEndpoint string `name:"aws-endpoint" env:"COATCHECK_AWS_ENDPOINT" placeholder:"URL" help:"Base URL of SQS, when it is not AWS's."`
}

func (q queueSettings) open(ctx context.Context) (*queue.Queue, error) {
	cfg, err := awsclient.Load(ctx, awsclient.Config{Region: q.AWSRegion, Endpoint: q.AWSEndpoint})
	if err != nil {
		return nil, err
	}
	return queue.New(awsclient.SQS(cfg), q.QueueURL, queue.DefaultRetry), nil
}

type queuePeek struct {
	Limit     int    `default:"20" help:"Most messages to show, up to 1000."`
	Body      bool   `help:"Show the bodies too. They come from outside, and may be anything."`
	Bucket    string `env:"COATCHECK_BUCKET" required:"" help:"Bucket whose notifications are understood."`
	KeyPrefix string `name:"key-prefix" env:"COATCHECK_KEY_PREFIX" default:"media/" help:"Prefix of the keys that coatcheck manages."`

	queueSettings `embed:""`
}

func (c *queuePeek) Run(ctx context.Context, s streams) error {
	if c.Limit < 1 || c.Limit > 1000 {
		return fmt.Errorf("--limit is %d: must be from 1 to 1000", c.Limit)
	}
	keys, err := media.NewKeys(c.KeyPrefix)
	if err != nil {
		return fmt.Errorf("--key-prefix: %w", err)
	}
	q, err := c.open(ctx)
	if err != nil {
		return err
	}
	dead, err := q.DeadLetters(ctx)
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(s.out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "MESSAGE\tSENT\tRECEIVES\tBYTES\tWHY")
	shown := 0
	err = dead.Peek(ctx, c.Limit, func(m queue.Seen) {
		shown++
		fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%.300q\n", m.ID, m.SentAt.Format(time.RFC3339), m.Receives, len(m.Body), why(c.Bucket, keys, m.Body))
		if c.Body {
			fmt.Fprintf(table, "\t%q\n", m.Body) // quoted: a terminal must not act on it
		}
	})
	if shown == 0 && err == nil {
		fmt.Fprintln(s.out, "no dead letters")
		return nil
	}
	return errors.Join(table.Flush(), err)
}

// why a message is a dead letter, as far as it can be told from the message.
func why(bucket string, keys media.Keys, body string) string {
	if err := consumer.Explain(bucket, keys, body); err != nil {
		return err.Error()
	}
	return "it is understood now: it was refused or not recorded in time; redrive it"
}

type queueRedrive struct {
	queueSettings `embed:""`
}

func (c *queueRedrive) Run(ctx context.Context, s streams) error {
	q, err := c.open(ctx)
	if err != nil {
		return err
	}
	f, isFile := s.err.(*os.File)
	bar := progressbar.NewOptions64(-1,
		progressbar.OptionSetWriter(s.err), progressbar.OptionSetDescription("moving dead letters back"),
		progressbar.OptionShowCount(), progressbar.OptionClearOnFinish(),
		progressbar.OptionSetVisibility(isFile && term.IsTerminal(int(f.Fd()))),
	)
	var moved int64
	err = q.Redrive(ctx, func(done, of int64) {
		moved = done
		if of > 0 {
			bar.ChangeMax64(of)
		}
		_ = bar.Set64(done)
	})
	_ = bar.Exit()
	if errors.Is(err, context.Canceled) {
		fmt.Fprintln(s.err, "stopped watching; SQS goes on moving them. Run it again to watch on.")
		return nil
	}
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, "moved %d dead letters back to the queue\n", moved)
	return err
}
