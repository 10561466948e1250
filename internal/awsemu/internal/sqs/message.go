package sqs

import (
	"container/heap"
	"crypto/md5" //nolint:gosec // SQS answers with MD5 sums
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
	"time"
)

// message is one message in one queue. Its fields are what the journal keeps.
type message struct {
	ID     string                      `json:"id"`
	Body   string                      `json:"body"`
	Attrs  map[string]messageAttribute `json:"attrs,omitempty"`
	Sent   time.Time                   `json:"sent"`
	Count  int                         `json:"count,omitempty"` // of receives
	First  time.Time                   `json:"first,omitzero"`  // receive
	Hidden time.Time                   `json:"hidden,omitzero"` // until then nobody receives it
	Source string                      `json:"source,omitempty"`
	Sender string                      `json:"sender,omitempty"`

	md5  string
	slot int  // in the heap of hidden messages, or one of the states below
	late bool // hidden by a delay, not by a receive
}

// The states of a message that is not hidden.
const (
	ready  = -1 // to be received
	gone   = -2 // deleted; the ready list still holds it
	picked = -3 // taken off the ready list by somebody who has not settled it yet
)

type messageAttribute struct {
	DataType    string `json:"DataType"`
	StringValue string `json:"StringValue,omitempty"`
	BinaryValue []byte `json:"BinaryValue,omitempty"`
}

func bodyMD5(body string) string {
	sum := md5.Sum([]byte(body)) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

// attributesMD5 follows "Calculating the MD5 message digest for message attributes" in the SQS developer guide.
func attributesMD5(attrs map[string]messageAttribute) string {
	if len(attrs) == 0 {
		return ""
	}
	var b []byte
	field := func(s string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s))) //nolint:gosec // a message is at most 1 MiB
		b = append(b, s...)
	}
	for _, name := range slices.Sorted(maps.Keys(attrs)) {
		a := attrs[name]
		field(name)
		field(a.DataType)
		if strings.HasPrefix(a.DataType, "Binary") {
			b = append(b, 2)
			field(string(a.BinaryValue))
		} else {
			b = append(b, 1)
			field(a.StringValue)
		}
	}
	sum := md5.Sum(b) //nolint:gosec // see the import
	return hex.EncodeToString(sum[:])
}

func (m *message) size() int {
	n := len(m.Body)
	for name, a := range m.Attrs {
		n += len(name) + len(a.DataType) + len(a.StringValue) + len(a.BinaryValue)
	}
	return n
}

// validText reports whether SQS takes the body: tab, line ends and what XML 1.0 allows beyond them.
func validText(s string) bool {
	for _, r := range s {
		if r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xfffe || r == 0xffff {
			return false
		}
	}
	return true
}

// hiddenHeap orders hidden messages by when they come back.
type hiddenHeap []*message

func (h hiddenHeap) Len() int           { return len(h) }
func (h hiddenHeap) Less(i, j int) bool { return h[i].Hidden.Before(h[j].Hidden) }
func (h hiddenHeap) Swap(i, j int) {
	h[i], h[j] = h[j], h[i]
	h[i].slot, h[j].slot = i, j
}
func (h *hiddenHeap) Push(x any) {
	m := x.(*message)
	m.slot = len(*h)
	*h = append(*h, m)
}
func (h *hiddenHeap) Pop() any {
	last := len(*h) - 1
	m := (*h)[last]
	(*h)[last] = nil
	*h = (*h)[:last]
	return m
}

var _ heap.Interface = (*hiddenHeap)(nil)

// receipt names one receive of one message, so that a later receive makes it stale.
type receipt struct {
	id    string
	count int
}

func (q *queue) handle(m *message) string {
	b := make([]byte, 0, 96)
	b = append(b, q.incarnation...)
	b = append(b, m.ID...)
	b = binary.AppendUvarint(b, uint64(m.Count)) //nolint:gosec // a count is not negative
	return base64.StdEncoding.EncodeToString(b)
}

func (q *queue) parseHandle(handle string) (receipt, bool) {
	const uuidLen = 36
	b, err := base64.StdEncoding.DecodeString(handle)
	rest, ok := strings.CutPrefix(string(b), q.incarnation)
	if err != nil || !ok || len(rest) <= uuidLen {
		return receipt{}, false
	}
	count, n := binary.Uvarint([]byte(rest[uuidLen:]))
	return receipt{rest[:uuidLen], int(count)}, n > 0 //nolint:gosec // compared only
}
