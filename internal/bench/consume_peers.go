package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// peer is a program that does the same job as its users write it, with one setting.
type peer struct {
	name    string
	skipped string // why it could not be run
	count   int    // notifications of one run
	loops   int    // that are written by hand, of batches: each has a receive under way
	naive   bool
	runs    []usage
}

func (p *peer) rate() float64 { return rig.Median(rig.Ordered(p.runs, usage.rate)) }

// peerTime is how long a run of a peer should take, about: a shorter one would tell how fast its code and its connections get
// warm.
const peerTime = 4 * time.Second

// peerRuns is how many turns each peer has at most: they are far from coatcheck, and what they do takes long.
const peerRuns = 2

// contest lets the peers take turns. Each gets as many notifications as it handles in peerTime with nothing else on a machine
// of two processors, or the same part of them as -count is of its default.
func (c *consumption) contest(ctx context.Context) ([]peer, error) {
	if c.config.peers == "" {
		return []peer{{name: "every peer", skipped: "-peers is empty"}}, nil
	}
	dir := c.config.peers
	program, noGo := buildPeers(ctx, dir)
	node, noNode := preparePeers(ctx, dir)
	handles := func(aSecond int) int {
		return max(aSecond*int(peerTime.Seconds())*c.config.count/defaultCount, 100)
	}
	type entry struct {
		peer
		contender
		err error
	}
	all := []entry{
		{peer{name: "by hand: one poller, one by one", count: handles(1600), naive: true}, contender{program: program, args: []string{"by-hand"}}, noGo},
		{peer{name: "gocloud, 1 handler", count: handles(2300)}, contender{program: program, args: []string{"gocloud", "-handlers", "1"}}, noGo},
		{peer{name: "gocloud, 32 handlers", count: handles(4000)}, contender{program: program, args: []string{"gocloud", "-handlers", "32"}}, noGo},
		{peer{name: "sqs-consumer, single, 1", count: handles(1000)}, contender{program: node, args: []string{"single", "1"}}, noNode},
		{peer{name: "sqs-consumer, single, 4", count: handles(1100)}, contender{program: node, args: []string{"single", "4"}}, noNode},
		{peer{name: "sqs-consumer, batch, 1", count: handles(2300)}, contender{program: node, args: []string{"batch", "1"}}, noNode},
		{peer{name: "sqs-consumer, batch, 4", count: handles(4700)}, contender{program: node, args: []string{"batch", "4"}}, noNode},
	}
	for _, loops := range []int{c.config.pollers, 4 * c.config.pollers} {
		all = append(all, entry{peer{name: batchLoops(loops), count: handles(15_000), loops: loops}, c.batches(program, loops), noGo})
	}
	for range min(c.config.runs, peerRuns) {
		for i := range all {
			p := &all[i]
			if p.err != nil {
				p.skipped = p.err.Error()
				continue
			}
			who := p.contender
			who.name, who.env = p.peer.name, c.peerEnvironment(c.aws.plain)
			if p.program == node && noNode == nil {
				who.args = append([]string{filepath.Join(dir, "sqs-consumer.mjs")}, who.args...)
			}
			if err := c.run(ctx, who.name, func(int) contender { return who }, p.count, false); err != nil {
				if ctx.Err() != nil {
					return nil, err
				}
				p.err, p.skipped = err, err.Error()
			}
			p.runs = c.results[who.name]
		}
	}
	var peers []peer
	for _, p := range all {
		peers = append(peers, p.peer)
	}
	return peers, nil
}

// batchLoops names the loops of those who know what Postgres and SQS are fast at.
func batchLoops(n int) string {
	return fmt.Sprintf("by hand: %d loops, an UPDATE and a DeleteMessageBatch each", n)
}

func (c *consumption) batches(program string, loops int) contender {
	return contender{name: batchLoops(loops), program: program, args: []string{"batches", "-loops", fmt.Sprint(loops)}}
}

// far lets the best of the loops of batches and coatcheck take a turn each with 10 ms in every call, as on a network, where
// what counts is how many receives are under way: each has as many. It returns a line, or none where no such loop was run.
func (c *consumption) far(ctx context.Context, peers []peer) ([]line, error) {
	var best *peer
	for i, p := range peers {
		if p.loops > 0 && len(p.runs) > 0 && (best == nil || p.rate() > best.rate()) {
			best = &peers[i]
		}
	}
	if best == nil {
		return nil, nil
	}
	program, err := filepath.Abs(peersProgram)
	if err != nil {
		return nil, err
	}
	byHand := c.batches(program, best.loops)
	byHand.env = c.peerEnvironment(c.aws.delayed)
	same := *c.site
	same.config.pollers = best.loops
	ours := same.consumerProcess(c.aws.delayed, c.queueURL)
	n := c.config.count
	names := []string{fmt.Sprintf("coatcheck, +10 ms, %d pollers", best.loops), best.name + ", +10 ms"}
	for i, who := range []contender{ours, byHand} {
		if err := c.run(ctx, names[i], func(int) contender { return who }, n, false); err != nil {
			return nil, err
		}
	}
	own, theirs := rate(n, c.median(names[0])), rate(n, c.median(names[1]))
	return []line{{
		what:      fmt.Sprintf("consume, each call 10 ms longer, %d receives at a time, one run", best.loops),
		coatcheck: fmt.Sprintf("%.0f/s", own),
		peers:     fmt.Sprintf("%s %.0f/s (×%.1f)", best.name, theirs, own/theirs),
	}}, nil
}

// peerEnvironment is what the peers are told. pg for Node knows no URL of a socket that pgx knows too, and libpq's
// variables.
func (c *consumption) peerEnvironment(endpoint string) []string {
	u := rig.Must(url.Parse(c.db.URL))
	q := u.Query()
	return []string{"QUEUE_URL=" + c.queueURL, "AWS_ENDPOINT_URL=" + endpoint, "DATABASE_URL=" + c.db.URL,
		"PGHOST=" + q.Get("host"), "PGPORT=" + q.Get("port"), "PGUSER=" + u.User.Username(), "PGDATABASE=" + strings.TrimPrefix(u.Path, "/")}
}

// peersProgram is the file of the peers in Go.
const peersProgram = "bin/bench-peers"

// buildPeers builds the peers in Go.
func buildPeers(ctx context.Context, dir string) (string, error) {
	program, err := filepath.Abs(peersProgram)
	if err != nil {
		return "", err
	}
	if err := needed(dir, "go.mod", "go"); err != nil {
		return "", err
	}
	return program, quietly(exec.CommandContext(ctx, "go", "build", "-C", dir, "-o", program, "."))
}

// preparePeers installs what the peers on Node need.
func preparePeers(ctx context.Context, dir string) (string, error) {
	if err := needed(dir, "package.json", "node", "npm"); err != nil {
		return "", err
	}
	node, err := exec.LookPath("node")
	if err != nil {
		return "", err
	}
	install := exec.CommandContext(ctx, "npm", "ci", "--no-audit", "--no-fund", "--prefer-offline")
	install.Dir = dir
	return node, quietly(install)
}

// needed tells what is not there of a file and programs.
func needed(dir, file string, programs ...string) error {
	if _, err := os.Stat(filepath.Join(dir, file)); err != nil {
		return fmt.Errorf("the folder of the peers, %s, has no %s", dir, file)
	}
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%s is not installed", program)
		}
	}
	return nil
}

func quietly(cmd *exec.Cmd) error {
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, said(string(out)))
	}
	return nil
}

// said is how the output of a program that failed begins, in one line: what comes after is usage and advice.
func said(output string) string {
	var lines []string
	for l := range strings.Lines(output) {
		if l = strings.TrimSpace(l); l != "" && l != "npm error" && len(lines) < 3 {
			lines = append(lines, l)
		}
	}
	return strings.Join(lines, " | ")
}

// skippedBy tells which peers were skipped for which reason, a line each.
func skippedBy(peers []peer) []string {
	var reasons, lines []string
	names := map[string][]string{}
	for _, p := range peers {
		if p.skipped == "" {
			continue
		}
		if names[p.skipped] == nil {
			reasons = append(reasons, p.skipped)
		}
		names[p.skipped] = append(names[p.skipped], p.name)
	}
	for _, reason := range reasons {
		lines = append(lines, fmt.Sprintf("skipped: %s: %s", strings.Join(names[reason], "; "), reason))
	}
	return lines
}

// compared returns the fastest peer of each kind that was run: a library, loops of batches, and the loop as most write it.
func compared(peers []peer) (best []*peer) {
	for _, kind := range []func(*peer) bool{
		func(p *peer) bool { return p.loops == 0 && !p.naive },
		func(p *peer) bool { return p.loops > 0 },
		func(p *peer) bool { return p.naive },
	} {
		var fastest *peer
		for i := range peers {
			if p := &peers[i]; len(p.runs) > 0 && kind(p) && (fastest == nil || p.rate() > fastest.rate()) {
				fastest = p
			}
		}
		if fastest != nil {
			best = append(best, fastest)
		}
	}
	return best
}
