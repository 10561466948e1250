// Package notify makes the messages that S3 sends to a queue about its objects, decides which configuration
// wants which event, and delivers them.
//
// Source: "Event message structure" and "Configuring event notifications using object key name filtering" in the
// Amazon S3 user guide.
package notify

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"
)

// TimeFormat is how S3 writes times: UTC with three digits of milliseconds.
const TimeFormat = "2006-01-02T15:04:05.000Z"

// Event is one thing that happened to one object.
type Event struct {
	Name      string // such as ObjectCreated:Put, without the s3: that configurations have
	Time      time.Time
	Region    string
	AccountID string
	SourceIP  string
	RequestID string
	HostID    string
	Bucket    string
	Owner     string // the bucket owner's canonical id
	Key       string
	Size      int64
	ETag      string // without quotes
	VersionID string // empty if the bucket was never versioned
	Sequencer uint64
}

// Message is the body of the message about e for the configuration called id.
func (e *Event) Message(id string) string {
	b := make([]byte, 0, 1024)
	b = append(b, `{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":`...)
	b = appendJSON(b, e.Region)
	b = append(b, `,"eventTime":"`...)
	b = e.Time.UTC().AppendFormat(b, TimeFormat)
	b = append(b, `","eventName":`...)
	b = appendJSON(b, e.Name)
	b = append(b, `,"userIdentity":{"principalId":`...)
	b = appendJSON(b, "AWS:"+e.AccountID)
	b = append(b, `},"requestParameters":{"sourceIPAddress":`...)
	b = appendJSON(b, e.SourceIP)
	b = append(b, `},"responseElements":{"x-amz-request-id":`...)
	b = appendJSON(b, e.RequestID)
	b = append(b, `,"x-amz-id-2":`...)
	b = appendJSON(b, e.HostID)
	b = append(b, `},"s3":{"s3SchemaVersion":"1.0","configurationId":`...)
	b = appendJSON(b, id)
	b = append(b, `,"bucket":{"name":`...)
	b = appendJSON(b, e.Bucket)
	b = append(b, `,"ownerIdentity":{"principalId":`...)
	b = appendJSON(b, e.Owner)
	b = append(b, `},"arn":`...)
	b = appendJSON(b, "arn:aws:s3:::"+e.Bucket)
	b = append(b, `},"object":{"key":`...)
	b = appendJSON(b, FormEncode(e.Key))
	if strings.HasPrefix(e.Name, "ObjectCreated:") {
		b = append(b, `,"size":`...)
		b = strconv.AppendInt(b, e.Size, 10)
		b = append(b, `,"eTag":`...)
		b = appendJSON(b, e.ETag)
	}
	if e.VersionID != "" {
		b = append(b, `,"versionId":`...)
		b = appendJSON(b, e.VersionID)
	}
	b = append(b, `,"sequencer":"`...)
	b = append(b, Sequencer(e.Sequencer)...)
	return string(append(b, `"}}}]}`...))
}

// Sequencer writes a sequence number as S3 does, in uppercase hex. S3 says that lengths may differ and that the
// greater value is the later; the emulator adds leading zeros to some, so that whoever compares them as text
// gets it wrong soon.
func Sequencer(n uint64) string {
	return strings.Repeat("0", int(n%3)) + fmt.Sprintf("%X", n)
}

// TestMessage is the body that S3 sends when a configuration is put.
func TestMessage(bucket, requestID, hostID string, at time.Time) string {
	b, _ := json.Marshal(struct{ Service, Event, Time, Bucket, RequestId, HostId string }{ //nolint:revive // AWS's spelling
		"Amazon S3", "s3:TestEvent", at.UTC().Format(TimeFormat), bucket, requestID, hostID,
	})
	return string(b)
}

func appendJSON(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c == '"' || c == '\\' || c >= 0x7f {
			q, _ := json.Marshal(s)
			return append(b, q...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

// FormEncode encodes a key as S3 does in events and in listings with encoding-type=url: a space is a plus, the
// slash stays, and so do letters, digits and the signs - _ . and *.
func FormEncode(s string) string {
	const hexDigits = "0123456789ABCDEF"
	b := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		switch c := s[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9',
			c == '-', c == '_', c == '.', c == '*', c == '/':
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		}
	}
	return string(b)
}

// idPool spares a system call for each message id.
var idPool = sync.Pool{New: func() any { return new([]byte) }}

// NewID returns a random UUID.
func NewID() string {
	pool := idPool.Get().(*[]byte)
	defer idPool.Put(pool)
	if len(*pool) < 16 {
		*pool = make([]byte, 4096)
		_, _ = rand.Read(*pool) // never fails
	}
	u := (*pool)[:16]
	*pool = (*pool)[16:]
	u[6], u[8] = u[6]&0x0f|0x40, u[8]&0x3f|0x80 // version 4, RFC 9562's variant
	return fmt.Sprintf("%x-%x-%x-%x-%x", u[:4], u[4:6], u[6:8], u[8:10], u[10:16])
}
