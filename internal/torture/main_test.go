package torture

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/pgtest"
)

var (
	seconds = flag.Int("seconds", 20, "how long to go on with what can go on: each kind of test gets its share")
	seed    = flag.Uint64("seed", 1, "seed of everything that is drawn")
)

// share is the time that one of the kinds of test may take.
func share(kinds int) time.Duration {
	return time.Duration(*seconds) * time.Second / time.Duration(kinds)
}

// tally counts what was done, by name, for the line that a run closes with.
type tally struct {
	mu sync.Mutex
	n  map[string]int64
}

var total = tally{n: map[string]int64{}}

// add counts n more of a kind: "histories", "transitions", "kills", "faults", "violations", or a detail such as
// "faults: S3 503" or "objects created".
func (t *tally) add(kind string, n int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.n[kind] += int64(n)
}

// String lists the details, and closes with the line that programs read.
func (t *tally) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	headline := []string{"histories", "transitions", "kills", "faults", "violations"}
	var kinds []string
	for kind := range t.n {
		if !slices.Contains(headline, kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	var b strings.Builder
	for _, kind := range kinds {
		fmt.Fprintf(&b, "%-40s %d\n", kind, t.n[kind])
	}
	for i, kind := range headline {
		if i > 0 {
			b.WriteByte(' ')
		}
		fmt.Fprintf(&b, "%s=%d", kind, t.n[kind])
	}
	return b.String()
}

// violated fails the test for a broken rule, and counts it.
func violated(t testing.TB, format string, args ...any) {
	t.Helper()
	total.add("violations", 1)
	t.Errorf(format, args...)
}

func TestMain(m *testing.M) {
	flag.Parse()
	pgtest.Main(reporting{m})
}

// reporting prints the tally after the tests.
type reporting struct{ m *testing.M }

func (r reporting) Run() int {
	status := r.m.Run()
	fmt.Fprintln(os.Stdout, &total)
	return status
}
