package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	validatepb "buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/coatcheck/coatcheck/internal/media"
)

// idRule is protovalidate's for an id. Its own message does not say where an id comes from.
const idRule = "string.uuid"

// validator enforces the rules that the protos declare. Its refusals carry the same detail as those of the handlers, so a
// client has one way to tell which field is wrong.
type validator struct{}

// WrapUnary implements [connect.Interceptor].
func (validator) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		if err := validate(req.Spec().Procedure, req.Any()); err != nil {
			return nil, err
		}
		return next(ctx, req)
	}
}

// WrapStreamingHandler implements [connect.Interceptor].
func (validator) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		return next(ctx, validated{conn})
	}
}

// WrapStreamingClient implements [connect.Interceptor].
func (validator) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// validated is a stream whose requests are held against the rules as they are received.
type validated struct{ connect.StreamingHandlerConn }

// Receive implements [connect.StreamingHandlerConn].
func (v validated) Receive(message any) error {
	if err := v.StreamingHandlerConn.Receive(message); err != nil {
		return err
	}
	return validate(v.Spec().Procedure, message)
}

func validate(procedure string, received any) error {
	message, ok := received.(proto.Message)
	if !ok {
		return fmt.Errorf("validating %s: %T is not a message", procedure, received)
	}
	if plain(message) {
		return nil
	}
	err := protovalidate.Validate(message)
	invalid, ok := errors.AsType[*protovalidate.ValidationError](err)
	if !ok {
		if err != nil {
			return fmt.Errorf("validating %s: %w", procedure, err)
		}
		return nil
	}
	items := make([]*media.Error, len(invalid.Violations))
	messages := make([]string, len(invalid.Violations))
	for i, v := range invalid.Violations {
		rule, message := v.Proto.GetRuleId(), v.Proto.GetMessage()
		if strings.HasPrefix(rule, idRule) { // the empty text has a rule of its own
			rule, message = idRule, "must be a UUID such as 01936b2e-7a40-7c3e-9d0f-1f2e3d4c5b6a, as coatcheck returned it"
		}
		items[i] = media.Invalid(fieldPath(v.Proto.GetField()), rule, "%s", message)
		messages[i] = items[i].Message
	}
	return refuse(strings.Join(messages, "; "), items)
}

// fieldPath writes a violation's path with the names that JSON has, such as "uploads[2].sizeBytes".
func fieldPath(path *validatepb.FieldPath) string {
	var b strings.Builder
	for _, element := range path.GetElements() {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(jsonName(element.GetFieldName()))
		switch s := element.GetSubscript().(type) {
		case *validatepb.FieldPathElement_Index:
			fmt.Fprintf(&b, "[%d]", s.Index)
		case *validatepb.FieldPathElement_StringKey:
			fmt.Fprintf(&b, "[%.70q]", s.StringKey)
		}
	}
	return b.String()
}

// jsonName is protobuf's rule for the JSON name of a field.
func jsonName(field string) string {
	var b strings.Builder
	upper := false
	for _, c := range field {
		if c == '_' {
			upper = true
			continue
		}
		if upper && 'a' <= c && c <= 'z' {
			c -= 'a' - 'A'
		}
		upper = false
		b.WriteRune(c)
	}
	return b.String()
}
