package rpc

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"buf.build/gen/go/bufbuild/protovalidate/protocolbuffers/go/buf/validate"
	"buf.build/go/protovalidate"
	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	"github.com/coatcheck/coatcheck/internal/media"
)

// validateRequests enforces the rules that the protos declare. Its refusals carry the same detail as those of the
// handlers, so a client has one way to tell which field is wrong.
func validateRequests(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		message, ok := req.Any().(proto.Message)
		if !ok {
			return nil, fmt.Errorf("validating %s: %T is not a message", req.Spec().Procedure, req.Any())
		}
		err := protovalidate.Validate(message)
		invalid, ok := errors.AsType[*protovalidate.ValidationError](err)
		if !ok {
			if err != nil {
				return nil, fmt.Errorf("validating %s: %w", req.Spec().Procedure, err)
			}
			return next(ctx, req)
		}
		items := make([]*media.Error, len(invalid.Violations))
		messages := make([]string, len(invalid.Violations))
		for i, v := range invalid.Violations {
			items[i] = media.Invalid(fieldPath(v.Proto.GetField()), v.Proto.GetRuleId(), "%s", v.Proto.GetMessage())
			messages[i] = items[i].Message
		}
		return nil, refuse(strings.Join(messages, "; "), items)
	}
}

// fieldPath writes a violation's path with the names that JSON has, such as "uploads[2].sizeBytes".
func fieldPath(path *validate.FieldPath) string {
	var b strings.Builder
	for _, element := range path.GetElements() {
		if b.Len() > 0 {
			b.WriteByte('.')
		}
		b.WriteString(jsonName(element.GetFieldName()))
		switch s := element.GetSubscript().(type) {
		case *validate.FieldPathElement_Index:
			fmt.Fprintf(&b, "[%d]", s.Index)
		case *validate.FieldPathElement_StringKey:
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
