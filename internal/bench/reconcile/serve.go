package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"time"

	"github.com/coatcheck/coatcheck/internal/bench/pages"
	"github.com/coatcheck/coatcheck/internal/bench/rig"
)

// serve is the process that S3 is. It prints its URL when it is filled, and ends when its input does: then whoever
// started it has ended, however that came.
func serve(ctx context.Context, args []string, out io.Writer) error {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	kind := flags.String("kind", "emulator", "emulator or pages")
	objects := flags.Int("objects", 0, "objects in the bucket")
	latency := flags.Duration("latency", 0, "wait before each answer")
	if err := flags.Parse(args); err != nil {
		return err
	}
	ctx, cancel := rig.UntilOrphaned(ctx)
	defer cancel()

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	endpoint := "http://" + listener.Addr().String()
	var handler http.Handler
	fill := func() error { return nil }
	if n := population(*objects); *kind == "pages" {
		handler = pages.New(int(n))
	} else {
		emulator, err := newEmulator()
		if err != nil {
			return err
		}
		defer emulator.Close()
		handler = emulator
		fill = func() error { return emulator.fill(ctx, endpoint, n) }
	}
	slow := &rig.Slow{Handler: handler}
	server := &http.Server{Handler: slow, ReadHeaderTimeout: time.Minute}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer server.Close()
	if err := fill(); err != nil {
		return err
	}
	slow.By = *latency // nobody knows of this server yet
	runtime.GC()
	if _, err := fmt.Fprintln(out, endpoint); err != nil {
		return err
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
		return nil
	}
}
