// Command coatcheck is the service, the development environment and the tools for operators, in one binary.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/alecthomas/kong"
)

// commands is the command line.
type commands struct {
	Serve     serveCommand     `cmd:"" help:"Run the service."`
	Dev       devCommand       `cmd:"" help:"Run everything on this machine: Postgres, S3, SQS and the service."`
	Upload    uploadCommand    `cmd:"" help:"Upload files through a running service, and claim them if told to."`
	Sweep     sweepCommand     `cmd:"" help:"Sweep once, now, or print what a sweep would do."`
	Reconcile reconcileCommand `cmd:"" help:"Hold the bucket against the database, both ways; print what differs, and mend it if told to."`
	Queue     queueCommand     `cmd:"" help:"Look at dead letters, and move them back."`
	Migrate   migrateCommand   `cmd:"" help:"Create, update or inspect the database schema."`
	Token     tokenCommand     `cmd:"" help:"Make a service token."`
	Version   versionCommand   `cmd:"" help:"Print the version."`
}

// heapFloor is what the garbage collector is made to take for live memory. What lives in a process that consumes or sweeps
// is some megabytes, and it makes a hundred times as much garbage a second: without a floor a fifth of its processor time goes
// into collecting that, over and over. The floor itself is never touched, and so takes no memory; but as much garbage
// may now lie about before it is collected.
const heapFloor = 32 << 20

func main() {
	floor := make([]byte, heapFloor)
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// The second signal ends the process at once: whoever sends it does not want to wait for the drain.
	context.AfterFunc(ctx, stop)
	status := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	runtime.KeepAlive(floor)
	os.Exit(status)
}

// run carries out one command line and returns the exit status: 0, 1 when it failed, 2 when it could not be
// understood.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var cli commands
	exit := -1
	parser, err := kong.New(&cli,
		kong.Name("coatcheck"),
		kong.Description("Uploads straight to S3, with every object accounted for: claimed, on its way to being claimed, or on its way out."),
		kong.Writers(stdout, stderr),
		kong.Exit(func(status int) { exit = status }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true, WrapUpperBound: 110}),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(streams{out: stdout, err: stderr}),
		kong.Vars{"version": version()},
	)
	if err != nil {
		fmt.Fprintln(stderr, "coatcheck:", err)
		return 1
	}
	call, err := parser.Parse(args)
	if exit >= 0 { // --help has been printed
		return exit
	}
	if err != nil {
		fmt.Fprintf(stderr, "coatcheck: %v\nTry `coatcheck --help`, or `coatcheck COMMAND --help`.\n", err)
		return 2
	}
	if err := call.Run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(stderr, "coatcheck:", err)
		return 1
	}
	return 0
}

// streams are where a command writes: results to out, everything else to err.
type streams struct{ out, err io.Writer }
