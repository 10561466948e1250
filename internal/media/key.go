package media

import (
	"encoding/hex"
	"fmt"
	"regexp"
	"strings"

	"github.com/google/uuid"
)

// Keys mints and recognises object keys: a prefix, a shard of two hexadecimal digits, and the media's id, as in
// "media/7f/01936b2e-….". The shard is the id's last byte, which is random in a UUIDv7, so a key follows from its
// id, 256 prefixes share the load (S3 scales by prefix), and listings can run side by side. Only characters from
// [A-Za-z0-9/_.-] occur, so that the form-encoding of keys in notifications is the identity.
type Keys struct {
	prefix string
}

var prefixPattern = regexp.MustCompile(`^([A-Za-z0-9_.-]+/)*$`)

// NewKeys returns the keys below a prefix, which is empty or ends with "/". It is an error when the prefix has a
// character outside [A-Za-z0-9/_.-], an empty or relative segment, or more than 512 bytes.
func NewKeys(prefix string) (Keys, error) {
	if len(prefix) > 512 || !prefixPattern.MatchString(prefix) ||
		strings.HasPrefix(prefix, "./") || strings.HasPrefix(prefix, "../") ||
		strings.Contains(prefix, "/./") || strings.Contains(prefix, "/../") {
		return Keys{}, fmt.Errorf("key prefix %q: must be empty or end with \"/\", and have only letters, digits and _ . - in its segments", prefix)
	}
	return Keys{prefix: prefix}, nil
}

// Prefix returns the prefix that every key begins with.
func (k Keys) Prefix() string { return k.prefix }

// Key returns the object key of the media with this id.
func (k Keys) Key(id uuid.UUID) string {
	return k.prefix + hex.EncodeToString(id[15:]) + "/" + id.String()
}

// Reusable reports whether the media's key is not one that was minted for it: its object was there before, and others may
// store another one under the same key. What is found there after a deletion is no late upload, then.
func (m *Media) Reusable() bool { return !strings.HasSuffix(m.Key, "/"+m.ID.String()) }

// ID returns the id of the media whose object has this key, and false when the key is not one that Key makes.
func (k Keys) ID(key string) (uuid.UUID, bool) {
	rest, ok := strings.CutPrefix(key, k.prefix)
	if !ok || len(rest) != 3+36 {
		return uuid.UUID{}, false
	}
	// Key writes the id in lower case, and its last byte is the shard.
	shard, text := rest[:2], rest[3:]
	id, err := uuid.Parse(text)
	if err != nil || rest[2] != '/' || !strings.HasSuffix(text, shard) || strings.ToLower(text) != text {
		return uuid.UUID{}, false
	}
	return id, true
}
