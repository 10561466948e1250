package plot_test

import (
	"encoding/xml"
	"io"
	"strings"
	"testing"

	"github.com/coatcheck/coatcheck/internal/bench/plot"
)

// TestWriteSVG: what is written is XML, with every name in it, and every point within the picture.
func TestWriteSVG(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	chart := plot.Chart{Title: "a < b & c", XLabel: "x", YLabel: "y", Lines: []plot.Line{
		{Name: "one", Points: []plot.Point{{1, 0.3}, {1000, 30}}},
		{Name: "two", Points: []plot.Point{{5, 5}}, Dashed: true},
	}}
	if err := chart.WriteSVG(&b); err != nil {
		t.Fatal(err)
	}
	decoder := xml.NewDecoder(strings.NewReader(b.String()))
	var text strings.Builder
	for {
		token, err := decoder.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("%v in\n%s", err, &b)
		}
		if c, ok := token.(xml.CharData); ok {
			text.Write(c)
		}
	}
	for _, want := range []string{"a < b & c", "one", "two", "1,000", "0.2", "50"} {
		if !strings.Contains(text.String(), want) {
			t.Errorf("%q is not written", want)
		}
	}
}

// TestWriteSVGRefuses: a logarithmic axis has no zero.
func TestWriteSVGRefuses(t *testing.T) {
	t.Parallel()
	for _, points := range [][]plot.Point{nil, {{0, 1}}, {{1, -1}}} {
		if err := (plot.Chart{Lines: []plot.Line{{Name: "l", Points: points}}}).WriteSVG(io.Discard); err == nil {
			t.Errorf("%v is drawn", points)
		}
	}
}
