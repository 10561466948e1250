package main

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

const (
	bucket = "bench"
	prefix = "media/"
	// body is that of every object.
	body = "sixteen bytes ok"

	// An object's number is the tenth of a second after the beginning at which it was created. All of that is long ago,
	// so that nothing is spared for being recent.
	beginning = 1_748_736_000_000 // 2025-06-01T00:00:00Z in Unix milliseconds
	interval  = 100               // milliseconds

	// Of so many objects one has no row, and another one's notification was lost; and there is one row without object.
	every   = 10_000
	strayAt = 1
	lostAt  = 3
)

var keys = must(media.NewKeys(prefix))

// must is for what cannot fail.
func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// population is what is planted: so many objects, with the numbers from 0.
type population int

// lost tells that the row is PENDING though its object has landed.
func lost(i int) bool { return i%every == lostAt }

// strays is how many objects have no row.
func (n population) strays() int { return n.at(strayAt) }

func (n population) lost() int { return n.at(lostAt) }

// missing is how many rows have no object; they have the numbers from n.
func (n population) missing() int { return (int(n) + every - 1) / every }

func (n population) rows() int { return int(n) - n.strays() + n.missing() }

func (n population) at(offset int) int { return (int(n) + every - 1 - offset) / every }

// id returns the id of the media with that number: as the product's, a UUIDv7, so that Postgres and the bucket are
// filled in the order in which they would be. What is random in it is of the number's MD5, which Postgres can tell too: see confirmedSQL.
func id(i int) uuid.UUID {
	sum := md5.Sum([]byte(strconv.Itoa(i)))
	var id uuid.UUID
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(beginning+i*interval))
	copy(id[:6], ms[2:])
	id[6], id[7] = 0x70|sum[0]>>4, sum[0]<<4|sum[1]>>4
	id[8] = 0x80 | sum[1]&0xf
	copy(id[9:], sum[2:])
	return id
}

// created returns when the media with this id was created, which its id tells.
func created(id uuid.UUID) time.Time {
	var ms [8]byte
	copy(ms[2:], id[:6])
	return time.UnixMilli(int64(binary.BigEndian.Uint64(ms[:]))).UTC()
}

// etag is what S3 says of body, without quotes.
func etag() string {
	sum := md5.Sum([]byte(body))
	return hex.EncodeToString(sum[:])
}

func checksum() []byte {
	sum := sha256.Sum256([]byte(body))
	return sum[:]
}
