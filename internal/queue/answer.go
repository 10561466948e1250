package queue

import (
	"bytes"
	"context"
	"io"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"github.com/coatcheck/coatcheck/internal/plainjson"
)

// quickProtocol is the SDK's, but for the answers of which there is one for every ten messages: it reads those here, in a
// fraction of the time, and gives whatever it does not understand to the SDK with the same bytes.
type quickProtocol struct{ smithyhttp.ClientProtocol }

// quick is an option for a call.
func quick(o *sqs.Options) { o.Protocol = quickProtocol{o.Protocol} }

// DeserializeResponse implements [smithyhttp.ClientProtocol].
func (p quickProtocol) DeserializeResponse(
	ctx context.Context, schema *smithy.OperationSchema, errors *smithy.TypeRegistry, response *smithyhttp.Response, out smithy.Deserializable,
) error {
	read := reader(out)
	if read == nil || response.StatusCode < 200 || response.StatusCode > 299 {
		return p.ClientProtocol.DeserializeResponse(ctx, schema, errors, response, out)
	}
	buffer := answers.Get().(*bytes.Buffer)
	defer func() {
		if buffer.Cap() <= keptAnswer {
			answers.Put(buffer)
		}
	}()
	buffer.Reset()
	if _, err := buffer.ReadFrom(response.Body); err != nil {
		return &smithy.DeserializationError{Err: err}
	}
	body := buffer.String()
	if read(body) {
		return nil
	}
	response.Body = struct {
		io.Reader
		io.Closer
	}{strings.NewReader(body), response.Body}
	return p.ClientProtocol.DeserializeResponse(ctx, schema, errors, response, out)
}

// keptAnswer is up to which size in bytes a buffer is kept: ten notifications take some 12 KiB, and may take mebibytes.
const keptAnswer = 256 << 10

var answers = sync.Pool{New: func() any { return new(bytes.Buffer) }}

// reader returns what reads an answer into out, and leaves that as it is when it reports false; nil for what is left to the SDK.
func reader(out smithy.Deserializable) func(body string) bool {
	switch out := out.(type) {
	case *sqs.ReceiveMessageOutput:
		return func(body string) bool { return received(body, out) }
	case *sqs.DeleteMessageBatchOutput:
		return func(body string) bool { return deleted(body, out) }
	}
	return nil
}

// received reads the answer to a ReceiveMessage that asks for no attributes.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html
func received(body string, out *sqs.ReceiveMessageOutput) bool {
	// message is one, with room for its texts.
	type message struct{ id, receipt, sum, body string }
	texts := make([]message, 0, batchSize)
	var bodies strings.Builder
	bodies.Grow(len(body))
	r := plainjson.New(body)
	var seen plainjson.Fields
	ok := r.Object(func(key string) bool {
		return key == "Messages" && seen.Once(1) && r.Array(func() bool {
			texts = append(texts, message{})
			m := &texts[len(texts)-1]
			var seen plainjson.Fields
			return r.Object(func(key string) bool {
				switch key {
				case "MessageId":
					return seen.Once(1) && r.String(&m.id)
				case "ReceiptHandle":
					return seen.Once(2) && r.String(&m.receipt)
				case "MD5OfBody":
					return seen.Once(4) && r.String(&m.sum)
				case "Body":
					from := bodies.Len()
					ok := seen.Once(8) && r.Escaped(&bodies)
					m.body = bodies.String()[from:]
					return ok
				}
				return false
			}) && seen == 1|2|4|8
		})
	})
	if !ok || !r.End() {
		return false
	}
	if seen == 0 {
		return true
	}
	out.Messages = make([]types.Message, len(texts))
	for i := range texts {
		m := &texts[i]
		out.Messages[i] = types.Message{MessageId: &m.id, ReceiptHandle: &m.receipt, MD5OfBody: &m.sum, Body: &m.body}
	}
	return true
}

// deleted reads the answer to a DeleteMessageBatch of which nothing failed.
// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_DeleteMessageBatch.html
func deleted(body string, out *sqs.DeleteMessageBatchOutput) bool {
	ids := make([]string, 0, batchSize)
	r := plainjson.New(body)
	var seen plainjson.Fields
	ok := r.Object(func(key string) bool {
		switch key {
		case "Successful":
			return seen.Once(1) && r.Array(func() bool {
				ids = append(ids, "")
				var seen plainjson.Fields
				return r.Object(func(key string) bool { return key == "Id" && seen.Once(1) && r.String(&ids[len(ids)-1]) }) && seen == 1
			})
		case "Failed":
			return seen.Once(2) && r.Array(func() bool { return false })
		}
		return false
	})
	if !ok || seen&1 == 0 || !r.End() {
		return false
	}
	out.Successful = make([]types.DeleteMessageBatchResultEntry, len(ids))
	for i := range ids {
		out.Successful[i].Id = &ids[i]
	}
	if seen&2 != 0 {
		out.Failed = []types.BatchResultErrorEntry{}
	}
	return true
}
