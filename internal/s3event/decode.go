package s3event

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// envelope has the fields by which the shapes of a body are told apart, and what is inside.
type envelope struct {
	raw     json.RawMessage // S3: the Records
	records []*s3Record     // the same, where all of them could be decoded at once

	Event  string `json:"Event"` // s3:TestEvent
	Bucket string `json:"Bucket"`

	Type    string  `json:"Type"` // SNS
	Message *string `json:"Message"`

	Version    string          `json:"version"` // EventBridge
	DetailType string          `json:"detail-type"`
	Source     string          `json:"source"`
	Time       string          `json:"time"`
	Detail     json.RawMessage `json:"detail"`
}

// Decode returns what a message's body says.
//
// An error means that some of it was not understood, and tells what in at most a few hundred characters that do not
// repeat the body. When only some records are at fault, the others are returned beside the error: they may be acted
// on, but the message must not be taken for handled.
func Decode(body string) (Message, error) {
	m, err := decode(body, false)
	if err != nil {
		return m, fmt.Errorf("decoding a notification: %w", err)
	}
	return m, nil
}

func decode(body string, inSNS bool) (Message, error) {
	switch {
	case len(body) == 0:
		return Message{}, errors.New("the body is empty")
	case len(body) > MaxBody:
		return Message{}, fmt.Errorf("the body has %d bytes, more than %d", len(body), MaxBody)
	}
	e, err := parse(body)
	if err != nil {
		return Message{}, err
	}
	shape, err := e.shape()
	if err != nil {
		return Message{}, err
	}
	if shape == shapeSNS {
		return e.sns(inSNS)
	}
	m := Message{Envelope: EnvelopeS3}
	if inSNS {
		m.Envelope = EnvelopeSNS
	}
	switch shape {
	case shapeTest:
		m.Test, m.TestBucket = true, clip(e.Bucket, 255)
		return m, nil
	case shapeEventBridge:
		m.Envelope = EnvelopeEventBridge
		if inSNS {
			m.Envelope = EnvelopeSNSEventBridge
		}
		r, err := e.eventBridge()
		if err != nil {
			return Message{}, err
		}
		m.Records = []Record{r}
		return m, nil
	default:
		m.Records, err = e.decodeRecords()
		if len(m.Records) == 0 {
			return Message{}, err
		}
		return m, err
	}
}

// quickBody is the size in bytes up to which a body's records are decoded together with it. Real messages are smaller;
// in a larger one a crowd of empty records would take up many times its size in memory.
const quickBody = 32 << 10

// parse decodes a body as far as its shape. One pass is enough where nothing is wrong with the type of any value in
// any record; the second keeps each record apart, so that a bad one does not spoil the others.
func parse(body string) (envelope, error) {
	if len(body) <= quickBody {
		if records, ok := quickRecords(body); ok {
			return envelope{records: records}, nil
		}
	}
	switch {
	case !utf8.ValidString(body):
		// encoding/json would replace what is not UTF-8, so that two keys could become one.
		return envelope{}, errors.New("the body is not UTF-8")
	case tooDeep(body):
		return envelope{}, fmt.Errorf("the body nests deeper than %d levels", MaxDepth)
	}
	if len(body) <= quickBody {
		if e, err := parseAtOnce(body); err == nil {
			return e, nil
		}
	}
	e, err := parseApart(body)
	if err != nil {
		return e, jsonError("the body", err)
	}
	return e, nil
}

func parseAtOnce(body string) (e envelope, err error) {
	e, e.records, err = parseAs[[]*s3Record](body)
	return e, err
}

func parseApart(body string) (e envelope, err error) {
	e, e.raw, err = parseAs[json.RawMessage](body)
	return e, err
}

// parseAs decodes a body whose Records are of the type T.
func parseAs[T any](body string) (envelope, T, error) {
	var e struct {
		envelope
		Records once[T] `json:"Records"`
	}
	err := json.Unmarshal([]byte(body), &e)
	return e.envelope, e.Records.value, err
}

// once is a value that a body has once. encoding/json decodes a second one into what the first has left, which makes
// records that are in neither.
type once[T any] struct {
	value T
	seen  bool
}

var errTwice = errors.New("the value is there twice")

// UnmarshalJSON implements [json.Unmarshaler]. A null is a value that is not set.
func (o *once[T]) UnmarshalJSON(b []byte) error {
	if o.seen {
		return errTwice
	}
	o.seen = true
	if string(b) == "null" {
		return nil
	}
	return json.Unmarshal(b, &o.value)
}

type shape int

const (
	shapeS3 shape = iota + 1
	shapeTest
	shapeSNS
	shapeEventBridge
)

// shape returns the one shape that the body has. A body that looks like two is refused: whichever was taken, the
// other would be lost.
func (e *envelope) shape() (shape, error) {
	shapes, names := make([]shape, 0, 4), make([]string, 0, 4) // which stay on the stack
	if e.raw != nil || e.records != nil {
		shapes, names = append(shapes, shapeS3), append(names, "Records")
	}
	if e.Event != "" {
		if e.Event != "s3:TestEvent" {
			return 0, fmt.Errorf("the body has an Event %s, not s3:TestEvent", quote(e.Event))
		}
		shapes, names = append(shapes, shapeTest), append(names, "Event")
	}
	if e.Type != "" {
		shapes, names = append(shapes, shapeSNS), append(names, "Type")
	}
	if e.DetailType != "" || e.Detail != nil {
		shapes, names = append(shapes, shapeEventBridge), append(names, "detail")
	}
	switch len(shapes) {
	case 0:
		return 0, errors.New("the body is no S3 event: it has none of Records, Event, Type (SNS) and detail-type (EventBridge)")
	case 1:
		return shapes[0], nil
	default:
		return 0, fmt.Errorf("the body has more than one shape at once: %s", strings.Join(names, ", "))
	}
}

// sns decodes what an SNS notification carries.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-and-json-formats.html
func (e *envelope) sns(inSNS bool) (Message, error) {
	switch {
	case inSNS:
		return Message{}, errors.New("the body is an SNS notification within another")
	case e.Type != "Notification":
		return Message{}, fmt.Errorf("the body is an SNS message of type %s, not Notification", quote(e.Type))
	case e.Message == nil:
		return Message{}, errors.New("the SNS notification has no Message")
	}
	m, err := decode(*e.Message, true)
	if err != nil {
		return m, fmt.Errorf("within an SNS notification: %w", err)
	}
	return m, nil
}

// tooDeep reports whether arrays and objects nest deeper than [MaxDepth]. It need not be right about what is not JSON:
// that is refused anyway.
func tooDeep(body string) bool {
	depth, inString := 0, false
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case inString:
			if c == '\\' {
				i++
			} else if c == '"' {
				inString = false
			}
		case c == '"':
			inString = true
		case c == '{' || c == '[':
			if depth++; depth > MaxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}
