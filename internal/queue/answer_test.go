package queue

import (
	"fmt"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/schemas"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// quickAnswers are answers to a receive, or to a deletion, and whether they are read in the quick way.
var quickAnswers = map[string]bool{
	`{}`:              true,
	`{"Messages":[]}`: true,
	`{"Messages":[{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"5","Body":"{\"Records\":[{\"s3\":\"a\\\/b\"}]}"}]}`:                               true,
	" { \"Messages\" : [ { \"Body\" : \"\\b\\f\\n\\r\\t\\/\\\\\" , \"MessageId\" : \"\" , \"MD5OfBody\" : \"5\" , \"ReceiptHandle\" : \"r\" } ] } \n": true,
	`{"Messages":[` + strings.Repeat(`{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"5","Body":"b"},`, 11) +
		`{"MessageId":"n","ReceiptHandle":"s","MD5OfBody":"6","Body":"c"}]}`: true,
	`{"Successful":[{"Id":"0"},{"Id":"1"}],"Failed":[]}`: true,
	`{"Failed":[],"Successful":[]}`:                      true,
	`{"Successful":[{"Id":"0"}]}`:                        true,

	``:                    false,
	`null`:                false,
	`{"Messages":null}`:   false,
	`{"Messages":[null]}`: false,
	`{"Messages":[{}]}`:   false,
	`{"Messages":[{"MessageId":"m","ReceiptHandle":"r","Body":"b"}]}`:                                                    false,
	`{"Messages":[{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"5","Body":null}]}`:                                   false,
	`{"Messages":[{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"5","Body":"\u0041"}]}`:                               false,
	`{"Messages":[{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"5","Body":"ä"}]}`:                                    false,
	`{"Messages":[{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"5","Body":"\x"}]}`:                                   false,
	`{"Messages":[{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"5","Body":"b\`:                                       false,
	`{"Messages":[{"MessageId":"m","ReceiptHandle":"r\\","MD5OfBody":"5","Body":"b"}]}`:                                  false,
	`{"Messages":[{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"5","Body":"b","Body":"c"}]}`:                         false,
	`{"Messages":[{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"5","Body":"b","Attributes":{"SentTimestamp":"1"}}]}`: false,
	`{"Messages":[{"messageId":"m","ReceiptHandle":"r","MD5OfBody":"5","Body":"b"}]}`:                                    false,
	`{"Messages":[],"Messages":[{"MessageId":"m","ReceiptHandle":"r","MD5OfBody":"5","Body":"b"}]}`:                      false,
	`{"Messages":[]}x`: false,
	`{"Successful":[{"Id":"0"}],"Failed":[{"Id":"1","Code":"InternalError","SenderFault":false}]}`: false,
	`{"Successful":[{"Id":"0"}],"Failed":[{"Id":"1","Code":"InternalError"}]}`:                     false,
	`{"Failed":[{"Id":"1","Code":"InternalError","SenderFault":true,"Message":"m"}]}`:              false,
	`{"Failed":[]}`:                        false,
	`{"Successful":[{}]}`:                  false,
	`{"Successful":[{"Id":0}]}`:            false,
	`{"Successful":[{"Id":"0","Id":"1"}]}`: false,
}

// answered is what SQS answers to a call.
type answered struct {
	operation *smithy.OperationSchema
	output    func() smithy.Deserializable
}

var answeredCalls = []answered{
	{smithy.NewOperationSchema(schemas.ReceiveMessage, schemas.ReceiveMessageRequest, schemas.ReceiveMessageResult),
		func() smithy.Deserializable { return &sqs.ReceiveMessageOutput{} }},
	{smithy.NewOperationSchema(schemas.DeleteMessageBatch, schemas.DeleteMessageBatchRequest, schemas.DeleteMessageBatchResult),
		func() smithy.Deserializable { return &sqs.DeleteMessageBatchOutput{} }},
}

// read reads an answer by a protocol, and tells what it says, or the error.
func (a answered) read(t testing.TB, p smithyhttp.ClientProtocol, status int, body io.Reader) (smithy.Deserializable, string) {
	t.Helper()
	out := a.output()
	response := &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: http.Header{}, Body: io.NopCloser(body)}}
	if err := p.DeserializeResponse(t.Context(), a.operation, sqs.TypeRegistry, response, out); err != nil {
		return nil, err.Error()
	}
	return out, ""
}

// compareAnswer expects that the SDK reads the same, and reports whether the answer was read in the quick way.
func compareAnswer(t *testing.T, body string) (quickly bool) {
	t.Helper()
	sdk := sqs.New(sqs.Options{}).Options().Protocol
	for _, call := range answeredCalls {
		want, wantErr := call.read(t, sdk, 200, strings.NewReader(body))
		got, err := call.read(t, quickProtocol{sdk}, 200, strings.NewReader(body))
		if err != wantErr || !reflect.DeepEqual(got, want) {
			t.Errorf("read as %#v, %s; the SDK reads %#v, %s", got, err, want, wantErr)
		}
		// What is left to the SDK must not have been written to.
		out := call.output()
		if reader(out)(body) {
			quickly = true
		} else if !reflect.DeepEqual(out, call.output()) {
			t.Errorf("it is left to the SDK with %#v", out)
		}
	}
	return quickly
}

// FuzzAnswer: what is read in the quick way is read as the SDK reads it.
func FuzzAnswer(f *testing.F) {
	for body := range quickAnswers {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body string) { compareAnswer(t, body) })
}

func TestQuickAnswers(t *testing.T) {
	t.Parallel()
	for body, want := range quickAnswers {
		if quickly := compareAnswer(t, body); quickly != want {
			t.Errorf("%s: read in the quick way: %v", body, quickly)
		}
	}
}

// broken is a body that ends before its time.
type broken struct{ text io.Reader }

func (b broken) Read(p []byte) (int, error) {
	n, err := b.text.Read(p)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

// TestOtherAnswers: an answer that tells of an error is the SDK's, and one that breaks off is none.
func TestOtherAnswers(t *testing.T) {
	t.Parallel()
	sdk := sqs.New(sqs.Options{}).Options().Protocol
	for _, call := range answeredCalls {
		const refused = `{"__type":"com.amazonaws.sqs#QueueDoesNotExist","message":"there is none"}`
		_, want := call.read(t, sdk, 400, strings.NewReader(refused))
		if _, err := call.read(t, quickProtocol{sdk}, 400, strings.NewReader(refused)); err != want || !strings.Contains(err, "QueueDoesNotExist") {
			t.Errorf("refused: %q, and by the SDK %q", err, want)
		}
		if out, err := call.read(t, quickProtocol{sdk}, 200, broken{strings.NewReader(`{}`)}); !strings.Contains(err, "unexpected EOF") {
			t.Errorf("one that breaks off is read as %#v, %q", out, err)
		}
	}
}

// BenchmarkAnswer reads the answer to a receive of ten, as SQS writes it.
func BenchmarkAnswer(b *testing.B) {
	event := `{\"Records\":[{\"eventVersion\":\"2.1\",\"eventSource\":\"aws:s3\",\"awsRegion\":\"us-east-1\",` +
		`\"eventTime\":\"2026-03-01T12:00:00.000Z\",\"eventName\":\"ObjectCreated:Put\",\"userIdentity\":{\"principalId\":\"AWS:EXAMPLE\"},` +
		`\"requestParameters\":{\"sourceIPAddress\":\"192.0.2.1\"},\"responseElements\":{\"x-amz-request-id\":\"EXAMPLE\",\"x-amz-id-2\":\"EXAMPLE\"},` +
		`\"s3\":{\"s3SchemaVersion\":\"1.0\",\"configurationId\":\"coatcheck\",\"bucket\":{\"name\":\"media\",\"ownerIdentity\":{\"principalId\":\"EXAMPLE\"},` +
		`\"arn\":\"arn:aws:s3:::media\"},\"object\":{\"key\":\"m/01/0192f0c4-7d1e-7a52-9a3c-0c6b7f2b1a10\",\"size\":1024,\"eTag\":\"0123456789abcdef0123456789abcdef\",` +
		`\"sequencer\":\"0062E99A88DC407460\"}}]}`
	var messages []string
	for i := range batchSize {
		messages = append(messages, fmt.Sprintf(`{"MessageId":"0192f0c4-7d1e-7a52-9a3c-%012d","ReceiptHandle":%q,"MD5OfBody":"0123456789abcdef0123456789abcdef","Body":"%s"}`,
			i, strings.Repeat("AQEB", 60), event))
	}
	body := `{"Messages":[` + strings.Join(messages, ",") + `]}`
	sdk := sqs.New(sqs.Options{}).Options().Protocol
	for name, p := range map[string]smithyhttp.ClientProtocol{"quick": quickProtocol{sdk}, "sdk": sdk} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(int64(len(body)))
			for b.Loop() {
				if _, err := answeredCalls[0].read(b, p, 200, strings.NewReader(body)); err != "" {
					b.Fatal(err)
				}
			}
		})
	}
}
