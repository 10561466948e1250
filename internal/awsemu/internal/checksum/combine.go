package checksum

// matrix is a linear map over bits: column i is where bit i goes.
type matrix [64]uint64

func (m *matrix) times(v uint64) uint64 {
	var sum uint64
	for i := 0; v != 0; i, v = i+1, v>>1 {
		if v&1 != 0 {
			sum ^= m[i]
		}
	}
	return sum
}

func (m *matrix) squared() *matrix {
	var out matrix
	for i := range m {
		out[i] = m.times(m[i])
	}
	return &out
}

// combine returns the CRC of A followed by B from their CRCs and B's length in bytes. A CRC is linear, so
// appending n zero bytes to A is a matrix to the power of n, and what B adds is then an exclusive or.
func combine(width int, poly, a, b uint64, sizeB int64) uint64 {
	var step matrix // appends one zero bit
	step[0] = poly
	for i := 1; i < width; i++ {
		step[i] = 1 << (i - 1)
	}
	op := step.squared().squared().squared() // one zero byte
	for n := sizeB; n > 0; n >>= 1 {
		if n&1 != 0 {
			a = op.times(a)
		}
		op = op.squared()
	}
	return a ^ b
}
