package rpc

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"connectrpc.com/connect"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/watch"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

var (
	errInternal       = errors.New("internal error; the server's log tells more")
	errUnknownService = errors.New("no such service here")
)

// refusals maps the domain's errors to Connect's codes: the only place that does.
var refusals = map[media.Code]struct {
	code   connect.Code
	reason coatcheckv1.ErrorReason
}{
	media.CodeInvalid:             {connect.CodeInvalidArgument, coatcheckv1.ErrorReason_ERROR_REASON_INVALID_FIELD},
	media.CodeNotFound:            {connect.CodeNotFound, coatcheckv1.ErrorReason_ERROR_REASON_NOT_FOUND},
	media.CodeNotLanded:           {connect.CodeFailedPrecondition, coatcheckv1.ErrorReason_ERROR_REASON_NOT_LANDED},
	media.CodeGone:                {connect.CodeFailedPrecondition, coatcheckv1.ErrorReason_ERROR_REASON_GONE},
	media.CodeClaimConflict:       {connect.CodeAlreadyExists, coatcheckv1.ErrorReason_ERROR_REASON_CLAIM_CONFLICT},
	media.CodeConfirmed:           {connect.CodeFailedPrecondition, coatcheckv1.ErrorReason_ERROR_REASON_CONFIRMED},
	media.CodeNotConfirmed:        {connect.CodeFailedPrecondition, coatcheckv1.ErrorReason_ERROR_REASON_NOT_CONFIRMED},
	media.CodeIdempotencyMismatch: {connect.CodeAlreadyExists, coatcheckv1.ErrorReason_ERROR_REASON_IDEMPOTENCY_MISMATCH},
}

// refuse makes a Connect error of the domain's refusals of a batch, nil where an item was not refused. The code is the
// first refusal's; each has a detail.
func refuse(message string, items []*media.Error) *connect.Error {
	var answer *connect.Error
	for i, item := range items {
		if item == nil {
			continue
		}
		known := refusals[item.Code]
		if answer == nil {
			answer = connect.NewError(known.code, errors.New(message))
		}
		info := &coatcheckv1.ErrorInfo{
			Reason: known.reason, State: states[item.State], DeleteReason: deleteReasons[item.Reason], Field: item.Field,
			Rule: item.Rule, Message: item.Message, Index: int32(i),
		}
		if item.MediaID != (uuid.UUID{}) {
			info.MediaId = item.MediaID.String()
		}
		if detail, err := connect.NewErrorDetail(info); err == nil {
			answer.AddDetail(detail)
		}
	}
	return answer
}

// refuseReconcile makes a Connect error that is about a reconciliation, or about none when it is zero.
func refuseReconcile(code connect.Code, reason coatcheckv1.ErrorReason, id uuid.UUID, message string) *connect.Error {
	answer := connect.NewError(code, errors.New(message))
	info := &coatcheckv1.ErrorInfo{Reason: reason, Message: message}
	if id != (uuid.UUID{}) {
		info.ReconcileId = id.String()
	}
	if detail, err := connect.NewErrorDetail(info); err == nil {
		answer.AddDetail(detail)
	}
	return answer
}

// reconcileNotFound refuses an id that no reconciliation has, or the newest one when there is none.
func reconcileNotFound(id uuid.UUID) *connect.Error {
	message := "there has been no reconciliation yet"
	if id != (uuid.UUID{}) {
		message = fmt.Sprintf("reconciliation %s: there is none with this id; the last 100 are kept", id)
	}
	return refuseReconcile(connect.CodeNotFound, coatcheckv1.ErrorReason_ERROR_REASON_NOT_FOUND, id, message)
}

// reconcileActive refuses to begin a reconciliation while another is under way, which is zero when it cannot be told.
func reconcileActive(id uuid.UUID) *connect.Error {
	which := "another reconciliation"
	if id != (uuid.UUID{}) {
		which = fmt.Sprintf("reconciliation %s", id)
	}
	return refuseReconcile(connect.CodeFailedPrecondition, coatcheckv1.ErrorReason_ERROR_REASON_RECONCILE_ACTIVE, id,
		which+" is under way, and there is one at a time: wait until it is done")
}

// errorMapper is the interceptor through which every answer goes: a refusal of the domain becomes its Connect error;
// what nobody foresaw is logged and answered with its text hidden.
type errorMapper struct {
	logger *slog.Logger
	// transient tells faults of a server behind us that will pass: the caller may simply try again.
	transient func(error) bool
}

// WrapUnary implements [connect.Interceptor].
func (e errorMapper) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, req connect.AnyRequest) (connect.AnyResponse, error) {
		answer, err := next(ctx, req)
		if err == nil {
			return answer, nil
		}
		return nil, e.answer(ctx, req.Spec().Procedure, err)
	}
}

// WrapStreamingHandler implements [connect.Interceptor].
func (e errorMapper) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		if err := next(ctx, conn); err != nil {
			return e.answer(ctx, conn.Spec().Procedure, err)
		}
		return nil
	}
}

// WrapStreamingClient implements [connect.Interceptor].
func (e errorMapper) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

func (e errorMapper) answer(ctx context.Context, procedure string, err error) error {
	if _, ok := errors.AsType[*connect.Error](err); ok {
		return err
	}
	if refusal, ok := errors.AsType[*media.Error](err); ok {
		return refuse(refusal.Message, []*media.Error{refusal})
	}
	if batch, ok := errors.AsType[*media.BatchError](err); ok {
		return refuse(batch.Error(), batch.Items)
	}
	switch {
	case errors.Is(err, watch.ErrFull):
		e.logger.WarnContext(ctx, "watch refused", "procedure", procedure, "watches", watch.MaxWatches)
		return connect.NewError(connect.CodeResourceExhausted, fmt.Errorf("%w (%d): try again, or ask GetUpload now and then", err, watch.MaxWatches))
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		return connect.NewError(connect.CodeCanceled, errors.New("the caller went away"))
	case errors.Is(err, context.DeadlineExceeded):
		e.logger.WarnContext(ctx, "call ran out of time", "procedure", procedure, "error", err)
		return connect.NewError(connect.CodeDeadlineExceeded, errors.New("it took too long; try again"))
	case e.transient(err):
		e.logger.ErrorContext(ctx, "call failed for now", "procedure", procedure, "error", err)
		return connect.NewError(connect.CodeUnavailable, errors.New("a server behind coatcheck does not answer; try again"))
	}
	e.logger.ErrorContext(ctx, "call failed", "procedure", procedure, "error", err)
	return connect.NewError(connect.CodeInternal, errInternal)
}
