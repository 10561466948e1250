// Package checksum knows the additional checksums of S3: how they are named, computed, compared and, for the
// CRCs, joined when parts become one object.
package checksum

import (
	"crypto/sha1" //nolint:gosec // one of S3's checksum algorithms, not used for security
	"crypto/sha256"
	"encoding/base64"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"strings"
)

// Algorithm is the name of a checksum as the S3 API spells it in x-amz-checksum-algorithm.
type Algorithm string

// The algorithms that S3 offers.
const (
	CRC32     Algorithm = "CRC32"
	CRC32C    Algorithm = "CRC32C"
	CRC64NVME Algorithm = "CRC64NVME"
	SHA1      Algorithm = "SHA1"
	SHA256    Algorithm = "SHA256"
)

// All lists every algorithm.
var All = []Algorithm{CRC32, CRC32C, CRC64NVME, SHA1, SHA256}

var (
	castagnoli = crc32.MakeTable(crc32.Castagnoli)
	nvme       = crc64.MakeTable(nvmePoly)
)

// nvmePoly is the polynomial of CRC-64/NVME (NVM Express NVM Command Set Specification), bits reversed.
const nvmePoly = 0x9a6c9329ac4bc9b5

// Parse returns the algorithm called name, in any case, and whether there is one.
func Parse(name string) (Algorithm, bool) {
	for _, a := range All {
		if strings.EqualFold(string(a), name) {
			return a, true
		}
	}
	return "", false
}

// Header is the header that carries the checksum, such as x-amz-checksum-sha256.
func (a Algorithm) Header() string { return "x-amz-checksum-" + strings.ToLower(string(a)) }

// Element is the XML element that carries the checksum, such as ChecksumSHA256.
func (a Algorithm) Element() string { return "Checksum" + string(a) }

// IsCRC reports whether parts' checksums can be joined into the whole object's.
func (a Algorithm) IsCRC() bool { return a == CRC32 || a == CRC32C || a == CRC64NVME }

// New returns a running checksum.
func (a Algorithm) New() hash.Hash {
	switch a {
	case CRC32:
		return crc32.NewIEEE()
	case CRC32C:
		return crc32.New(castagnoli)
	case CRC64NVME:
		return crc64.New(nvme)
	case SHA1:
		return sha1.New() //nolint:gosec // see the import
	default:
		return sha256.New()
	}
}

// Valid reports whether value is the base64 of as many bytes as the algorithm yields.
func (a Algorithm) Valid(value string) bool {
	raw, err := base64.StdEncoding.DecodeString(value)
	return err == nil && len(raw) == a.New().Size()
}

// Encode returns the base64 of a checksum's bytes, as headers carry it.
func Encode(sum []byte) string { return base64.StdEncoding.EncodeToString(sum) }

// Part is one part's checksum and length.
type Part struct {
	Value string
	Size  int64
}

// Composite is the checksum of the parts' checksums; S3 shows it followed by a dash and the number of parts.
func (a Algorithm) Composite(parts []Part) string {
	h := a.New()
	for _, p := range parts {
		raw, _ := base64.StdEncoding.DecodeString(p.Value) // stored by us, so valid
		h.Write(raw)
	}
	return Encode(h.Sum(nil))
}

// FullObject joins the parts' CRCs into the CRC of their concatenation.
func (a Algorithm) FullObject(parts []Part) string {
	width, poly := 32, uint64(crc32.IEEE)
	switch a {
	case CRC32C:
		poly = crc32.Castagnoli
	case CRC64NVME:
		width, poly = 64, nvmePoly
	}
	var crc uint64
	for i, p := range parts {
		raw, _ := base64.StdEncoding.DecodeString(p.Value)
		var next uint64
		for _, b := range raw {
			next = next<<8 | uint64(b)
		}
		if i == 0 {
			crc = next
			continue
		}
		crc = combine(width, poly, crc, next, p.Size)
	}
	out := make([]byte, width/8)
	for i := range out {
		out[i] = byte(crc >> (width - 8*(i+1)))
	}
	return Encode(out)
}
