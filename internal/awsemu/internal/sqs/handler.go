package sqs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
)

// Caller is what an operation has to know about the request.
type Caller struct {
	Operation string
	BaseURL   string // scheme and host that the request was sent to; queue URLs begin with it
}

func (c *Caller) url(s *Service, q *queue) string { return c.BaseURL + "/" + s.account + "/" + q.name }

type operation func(s *Service, ctx context.Context, c *Caller, body []byte) (any, error)

// op makes an operation of a method with a typed input.
func op[I any](f func(*Service, context.Context, *Caller, *I) (any, error)) operation {
	return func(s *Service, ctx context.Context, c *Caller, body []byte) (any, error) {
		in := new(I)
		if err := json.Unmarshal(body, in); err != nil {
			return nil, awserr.New(http.StatusBadRequest, "SerializationException", "The request body is not what the operation takes: "+err.Error())
		}
		return f(s, ctx, c, in)
	}
}

var operations = map[string]operation{
	"CreateQueue":                  op((*Service).createQueue),
	"GetQueueUrl":                  op((*Service).getQueueURL),
	"DeleteQueue":                  op((*Service).deleteQueue),
	"PurgeQueue":                   op((*Service).purgeQueue),
	"ListQueues":                   op((*Service).listQueues),
	"GetQueueAttributes":           op((*Service).getQueueAttributes),
	"SetQueueAttributes":           op((*Service).setQueueAttributes),
	"TagQueue":                     op((*Service).tagQueue),
	"UntagQueue":                   op((*Service).tagQueue),
	"ListQueueTags":                op((*Service).listQueueTags),
	"ListDeadLetterSourceQueues":   op((*Service).listDeadLetterSourceQueues),
	"SendMessage":                  op((*Service).sendMessage),
	"SendMessageBatch":             op((*Service).sendMessageBatch),
	"ReceiveMessage":               op((*Service).receiveMessage),
	"DeleteMessage":                op((*Service).deleteMessage),
	"DeleteMessageBatch":           op((*Service).deleteMessageBatch),
	"ChangeMessageVisibility":      op((*Service).changeVisibility),
	"ChangeMessageVisibilityBatch": op((*Service).changeVisibilityBatch),
	"StartMessageMoveTask":         op((*Service).startMove),
	"ListMessageMoveTasks":         op((*Service).listMoves),
	"CancelMessageMoveTask":        op((*Service).cancelMove),
}

// QueueOf is the name of the queue that a request's body is about, for matching faults.
func QueueOf(body []byte) string {
	var in struct{ QueueUrl, QueueName string } //nolint:revive // AWS's spelling
	_ = json.Unmarshal(body, &in)               // a body that is not JSON is about no queue
	if in.QueueName != "" {
		return in.QueueName
	}
	_, name, _ := cutLast(in.QueueUrl, "/")
	return name
}

// Serve answers one verified request. Only the error of writing the answer is not answered.
func (s *Service) Serve(ctx context.Context, w http.ResponseWriter, c *Caller, body []byte) error {
	f, ok := operations[c.Operation]
	if !ok {
		return awserr.New(http.StatusBadRequest, "UnknownOperationException", "The operation "+c.Operation+" is not known.")
	}
	out, err := f(s, ctx, c, body)
	if err != nil {
		return err
	}
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(out); err != nil {
		return err
	}
	answer(w, http.StatusOK, b.Bytes())
	return nil
}

// WriteError answers with err; what is not AWS's error is an internal one.
func WriteError(w http.ResponseWriter, err error) {
	var e *awserr.Error
	if !errors.As(err, &e) {
		e = awserr.New(http.StatusInternalServerError, "InternalError", err.Error())
	}
	code, fault := e.Code, ";Sender"
	if q, ok := queryCodes[code]; ok {
		code = q
	}
	if e.Status >= http.StatusInternalServerError {
		fault = ";Receiver"
	}
	w.Header().Set("X-Amzn-Query-Error", code+fault)
	b, _ := json.Marshal(struct {
		Type    string `json:"__type"`
		Message string `json:"message"`
	}{"com.amazonaws.sqs#" + e.Code, e.Message})
	answer(w, e.Status, b)
}

func answer(w http.ResponseWriter, status int, body []byte) {
	w.Header().Set("Content-Type", "application/x-amz-json-1.0")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // the client may be gone
}
