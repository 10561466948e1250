package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// fetch is a process that reads the same pages as list and understands nothing of them but where the next one begins:
// the ceiling of the server that makes them up. That one asks for no signature.
func fetch(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("fetch", flag.ContinueOnError)
	var l listing
	l.flags(flags)
	if err := flags.Parse(args); err != nil {
		return err
	}
	ranges, err := keyRanges(l.shards)
	if err != nil {
		return err
	}
	transport := &http.Transport{MaxIdleConnsPerHost: l.concurrency}
	var found atomic.Int64
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(l.concurrency)
	for _, r := range ranges {
		group.Go(func() error {
			f := fetcher{transport: transport, base: l.endpoint + "/" + rig.Bucket}
			n, err := f.read(ctx, r)
			found.Add(n)
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "keys=%d\n", found.Load())
	return err
}

type fetcher struct {
	transport *http.Transport
	base      string
	page      bytes.Buffer
}

func (f *fetcher) read(ctx context.Context, r keyRange) (keys int64, err error) {
	query := url.Values{"list-type": {"2"}, "prefix": {rig.Prefix}}
	if r.after != "" {
		query.Set("start-after", r.after)
	}
	for {
		if err := f.get(ctx, query); err != nil {
			return keys, err
		}
		n, ended := count(f.page.Bytes(), r.end)
		keys += n
		token, more := between(f.page.Bytes(), "<NextContinuationToken>", "</NextContinuationToken>")
		if ended || !more {
			return keys, nil
		}
		query.Set("continuation-token", token)
	}
}

func (f *fetcher) get(ctx context.Context, query url.Values) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, f.base+"?"+query.Encode(), nil)
	if err != nil {
		return err
	}
	response, err := f.transport.RoundTrip(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	f.page.Reset()
	if _, err := f.page.ReadFrom(response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("listing: %s: %s", response.Status, f.page.Bytes())
	}
	return nil
}

// count returns how many keys on the page are below the end, and whether there are others.
func count(page []byte, end string) (n int64, ended bool) {
	const tag = "<Key>"
	n = int64(bytes.Count(page, []byte(tag)))
	for end != "" && n > 0 {
		at := bytes.LastIndex(page, []byte(tag))
		key := page[at+len(tag):]
		if string(key[:min(len(key), len(end))]) < end {
			break
		}
		page, n, ended = page[:at], n-1, true
	}
	return n, ended
}

func between(text []byte, from, to string) (string, bool) {
	_, rest, found := bytes.Cut(text, []byte(from))
	if !found {
		return "", false
	}
	inner, _, found := bytes.Cut(rest, []byte(to))
	return string(inner), found
}
