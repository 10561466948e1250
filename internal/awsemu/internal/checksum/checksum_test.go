package checksum

import (
	"bytes"
	"encoding/hex"
	"testing"
)

// TestKnownValues checks each algorithm against the published check value of "123456789".
func TestKnownValues(t *testing.T) {
	t.Parallel()
	for a, want := range map[Algorithm]string{
		CRC32:     "cbf43926",
		CRC32C:    "e3069283",
		CRC64NVME: "ae8b14860a799888",
		SHA1:      "f7c3bc1d808e04732adf679965ccc34ca7ae3441",
		SHA256:    "15e2b0d3c33891ebb0f1ef609ec419420c20e320ce94c65fbc8c3312448eb225",
	} {
		h := a.New()
		h.Write([]byte("123456789"))
		if got := hex.EncodeToString(h.Sum(nil)); got != want {
			t.Errorf("%s = %s, want %s", a, got, want)
		}
	}
}

// TestFullObject splits a text every which way: joining the parts' CRCs must give the whole's.
func TestFullObject(t *testing.T) {
	t.Parallel()
	text := bytes.Repeat([]byte("the quick brown fox "), 40)
	for _, a := range []Algorithm{CRC32, CRC32C, CRC64NVME} {
		sum := func(p []byte) Part {
			h := a.New()
			h.Write(p)
			return Part{Encode(h.Sum(nil)), int64(len(p))}
		}
		whole := sum(text).Value
		for cut := range len(text) {
			mid := cut + (len(text)-cut)/3
			if got := a.FullObject([]Part{sum(text[:cut]), sum(text[cut:mid]), sum(text[mid:])}); got != whole {
				t.Fatalf("%s joined at %d and %d is %s, want %s", a, cut, mid, got, whole)
			}
		}
	}
}

func TestValid(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]bool{"y/Q5Jg==": true, "y/Q5": false, "": false, "!": false} {
		if got := CRC32.Valid(value); got != want {
			t.Errorf("CRC32.Valid(%q) = %v, want %v", value, got, want)
		}
	}
}
