package torture

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// modelSpec is what a media is declared to be.
type modelSpec struct {
	Size     int
	Type     string
	Checksum bool // declared, so that only the first content fits
	Key      string
}

// modelMedia is what the model knows of one media: what was done, what was answered, and what the audit has shown.
type modelMedia struct {
	n    int
	id   uuid.UUID
	key  string
	spec modelSpec

	request   media.Presigned
	windowEnd time.Time // of the upload window, as last extended

	puts     []modelPut
	held     *modelHold          // by the confirmation that succeeded
	attempts map[string]int      // steps of the last confirmation by claim
	wishes   map[media.Event]int // steps of the last accepted cancel, delete and release
	freed    bool                // a delete or a release was accepted

	// By the audit.
	state    media.State
	claim    string
	landed   time.Time // the earliest that it can have been
	deleted  time.Time // likewise, of the last deletion
	deleting int       // step at which it first became DELETING, or 0
	purged   int       // step at which it was forgotten, or 0
	flagged  bool      // as overwritten
}

// modelPut is one upload that S3 accepted.
type modelPut struct {
	body          []byte
	etag, version string
	step          int  // in which it ended
	right         bool // it is as declared
}

// modelHold is what a confirmation has promised.
type modelHold struct{ claim, etag, version string }

func newModelMedia(n int, keys media.Keys, spec modelSpec) *modelMedia {
	id := modelID(n)
	return &modelMedia{n: n, id: id, key: keys.Key(id), spec: spec, attempts: map[string]int{}, wishes: map[media.Event]int{}}
}

// again reports whether its creation can be repeated.
func (m *modelMedia) again() bool { return m.spec.Key != "" && m.state.Live() }

// content is one of the contents of the declared size; 0 is the one whose checksum may have been declared.
func (m *modelMedia) content(variant int) []byte {
	return bytes.Repeat([]byte{'a' + byte(variant)}, m.spec.Size)
}

// draft is the media as CreateUpload would make it.
func (m *modelMedia) draft(expires time.Time) *media.Media {
	d := &media.Media{
		ID: m.id, Tenant: modelScope.Tenant, Owner: modelScope.Owner, Key: m.key, ContentType: m.spec.Type,
		SizeBytes: int64(m.spec.Size), FileName: "a file", IdempotencyKey: m.spec.Key, URLExpiresAt: expires,
	}
	if m.spec.Checksum {
		sum := sha256.Sum256(m.content(0))
		d.ChecksumSHA256 = sum[:]
	}
	return d
}

// live returns the object that a GET without a version would find.
func (h *history) live(m *modelMedia) *stored {
	for i, o := range h.there[m.key] {
		if o.Latest && !o.Marker {
			return &h.there[m.key][i]
		}
	}
	return nil
}

// put returns the upload that made the object, the latest if several could have.
func (m *modelMedia) put(version, etag string) *modelPut {
	for i := len(m.puts) - 1; i >= 0; i-- {
		if p := &m.puts[i]; p.etag == etag && (p.version == version || p.version == "" && version == "null") {
			return p
		}
	}
	return nil
}

func (m *modelMedia) String() string {
	return fmt.Sprintf("media %d (%s, %s, %d puts)", m.n, m.spec.Type, m.state, len(m.puts))
}

// modelID is a UUIDv7 that is the same in every run, so that a history is.
func modelID(n int) uuid.UUID {
	sum := sha256.Sum256([]byte{byte(n >> 8), byte(n)})
	var id uuid.UUID
	copy(id[:], sum[:])
	copy(id[:6], []byte{1, 0x93, 0x6b, 0x2e, byte(n >> 8), byte(n)}) // older first, as its time would have it
	id[6], id[8] = 0x70|id[6]&0x0f, 0x80|id[8]&0x3f
	return id
}
