package inventory_test

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/internal/inventory"
)

// BenchmarkSort sorts a report of many objects in 64 MiB, and tells of the process's peak of memory, where the system
// knows it: that includes the report itself, which the test keeps.
func BenchmarkSort(b *testing.B) {
	n := 100_000
	if s := os.Getenv("COATCHECK_BENCH_OBJECTS"); s != "" {
		n, _ = strconv.Atoi(s)
	}
	for _, format := range []string{inventory.FormatCSV, inventory.FormatParquet} {
		b.Run(format, func(b *testing.B) {
			var all files
			if objects := many(n)[:n]; format == inventory.FormatCSV {
				_, all = report(b, format, csvVersions, csvFile(b, true, objects))
			} else {
				_, all = report(b, format, parquetVersions, parquetFile(b, true, objects))
			}
			b.ReportAllocs()
			for b.Loop() {
				_, s := sorted(b, &fakeS3{files: all}, inventory.SortConfig{})
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "objects/s")
			if status, err := os.ReadFile("/proc/self/status"); err == nil {
				_, peak, _ := strings.Cut(string(status), "VmHWM:")
				kib, _ := strconv.Atoi(strings.Fields(peak)[0])
				b.ReportMetric(float64(kib)/1024, "MiB-peak")
			}
		})
	}
}
