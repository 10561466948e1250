package media_test

import (
	"math/big"
	"strings"
	"testing"
	"testing/quick"

	"github.com/coatcheck/coatcheck/internal/media"
)

func sequencer(t testing.TB, s string) media.Sequencer {
	t.Helper()
	parsed, err := media.ParseSequencer(s)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestSequencerOrder(t *testing.T) {
	t.Parallel()
	// In the order of their values, whatever their lengths and letters.
	ordered := []string{
		"", "0", "1", "9", "a", "F", "10", "0055AED6DCD90281E5", "55AED6DCD90281E6", "0065F1A2B3C4D5E6F7", "1" + strings.Repeat("0", 39),
		strings.Repeat("f", 40),
	}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := sequencer(t, a) < sequencer(t, b), i < j; got != want {
				t.Errorf("%q before %q: %t, want %t", a, b, got, want)
			}
		}
	}
	for _, same := range [][2]string{{"0055aed6", "55AED6"}, {"aB", "Ab"}, {"0", "0000"}, {strings.Repeat("0", 100) + "7", "7"}} {
		if sequencer(t, same[0]) != sequencer(t, same[1]) {
			t.Errorf("%q and %q differ", same[0], same[1])
		}
	}
}

// TestSequencerOrderIsNumeric compares the order with that of the numbers, and the form with what the table accepts.
func TestSequencerOrderIsNumeric(t *testing.T) {
	t.Parallel()
	number := func(b []byte) *big.Int { return new(big.Int).SetBytes(b[:min(len(b), 20)]) }
	err := quick.Check(func(a, b []byte, pad uint8) bool {
		x, y := number(a), number(b)
		// The number 0 is written "0", never as nothing, which means that the sequencer is not known.
		sx, sy := sequencer(t, strings.Repeat("0", int(pad))+x.Text(16)), sequencer(t, strings.ToUpper(y.Text(16)))
		return strings.Compare(string(sx), string(sy)) == x.Cmp(y) && len(sx) == 40
	}, &quick.Config{MaxCount: 5000})
	if err != nil {
		t.Error(err)
	}
}

func TestSequencerRefused(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"g", "0x12", "-1", "+1", " 1", "1 ", "12\x00", "1.0", "é", "１", strings.Repeat("1", 41), strings.Repeat("z", 1<<20),
	} {
		got, err := media.ParseSequencer(s)
		if err == nil {
			t.Errorf("%.60q is taken for sequencer %q", s, got)
		} else if len(err.Error()) > 500 {
			t.Errorf("%.20q…: the error is %d bytes long", s, len(err.Error()))
		}
	}
}

func FuzzParseSequencer(f *testing.F) {
	f.Add("0055AED6DCD90281E5")
	f.Add("")
	f.Add("not hex")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := media.ParseSequencer(s)
		if err != nil {
			return
		}
		if again, err := media.ParseSequencer(string(got)); err != nil || again != got {
			t.Errorf("%q became %q, and that %q, %v", s, got, again, err)
		}
		if s != "" && (len(got) != 40 || strings.Trim(string(got), "0123456789ABCDEF") != "") {
			t.Errorf("%q became %q", s, got)
		}
	})
}
