package inventory

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"time"
)

// A record is an object in bytes that sort as the objects do: by key, the latest version first within a key, and then
// by time, the newest first. It begins with the key, in which NUL is NUL 0xFF, and which ends with NUL 0x01.
//
// The latest version does not always have the newest time, as that of a multipart upload is when it began.

// maxRecord is more than any record's length.
const maxRecord = 2*maxKey + 2*maxText + 64

// appendRecord appends the record of an object.
func appendRecord(b []byte, o *Object) []byte {
	b = append(appendKey(b, o.Key), 0, 1)
	b = append(b, flag(!o.Latest))
	b = binary.BigEndian.AppendUint64(b, ^(uint64(o.LastModified.UnixMicro()) ^ 1<<63))
	b = append(b, flag(o.DeleteMarker))
	b = binary.AppendUvarint(b, uint64(o.SizeBytes))
	b = binary.AppendUvarint(b, uint64(len(o.VersionID)))
	b = append(b, o.VersionID...)
	return append(b, o.ETag...)
}

func flag(set bool) byte {
	if set {
		return 1
	}
	return 0
}

func appendKey(b []byte, key string) []byte {
	for {
		before, after, found := strings.Cut(key, "\x00")
		b = append(b, before...)
		if !found {
			return b
		}
		b = append(b, 0, 0xff)
		key = after
	}
}

// above returns what is less than every record of a greater key, and greater than every other record.
func above(key string) []byte {
	return append(appendKey(nil, key), 0, 2)
}

var errRecord = errors.New("a temporary file is damaged")

// keyPart returns the beginning of a record, with the end of its key.
func keyPart(record []byte) ([]byte, error) {
	for i := 0; ; i += 2 {
		nul := bytes.IndexByte(record[i:], 0)
		if nul < 0 || i+nul+1 == len(record) {
			return nil, errRecord
		}
		if i += nul; record[i+1] == 1 {
			return record[:i+2], nil
		}
	}
}

// decodeRecord returns the object of a record.
func decodeRecord(b []byte) (Object, error) {
	key, err := keyPart(b)
	if err != nil {
		return Object{}, err
	}
	b = b[len(key):]
	o := Object{Key: string(key[:len(key)-2])}
	if strings.IndexByte(o.Key, 0) >= 0 {
		o.Key = strings.ReplaceAll(o.Key, "\x00\xff", "\x00")
	}
	if len(b) < 10 {
		return Object{}, errRecord
	}
	o.Latest = b[0] == 0
	o.LastModified = time.UnixMicro(int64(^binary.BigEndian.Uint64(b[1:]) ^ 1<<63)).UTC()
	o.DeleteMarker = b[9] == 1
	b = b[10:]
	size, n := binary.Uvarint(b)
	if n <= 0 {
		return Object{}, errRecord
	}
	b = b[n:]
	version, n := binary.Uvarint(b)
	if n <= 0 || version > uint64(len(b)-n) {
		return Object{}, errRecord
	}
	b = b[n:]
	o.SizeBytes = int64(size)
	o.VersionID, o.ETag = string(b[:version]), string(b[version:])
	return o, nil
}
