package outbox

import (
	"context"
	"errors"
	"strings"

	"connectrpc.com/connect"

	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

// MediaService is the part of coatcheck's client that the relay calls. coatcheckv1connect.NewMediaServiceClient returns
// one.
type MediaService interface {
	ConfirmMedia(context.Context, *connect.Request[coatcheckv1.ConfirmMediaRequest]) (*connect.Response[coatcheckv1.ConfirmMediaResponse], error)
	ReleaseMedia(context.Context, *connect.Request[coatcheckv1.ReleaseMediaRequest]) (*connect.Response[coatcheckv1.ReleaseMediaResponse], error)
}

// Coatcheck is how to reach coatcheck.
type Coatcheck struct {
	Media MediaService
	Token string // service token
}

// ok is the outcome of what coatcheck did as it was told, now or before.
const ok = "ok"

// tell makes one call. An outcome is final: trying again would not change it. An error is not.
func (c Coatcheck) tell(ctx context.Context, w wish) (outcome string, err error) {
	if w.action == "confirm" {
		_, err = c.Media.ConfirmMedia(ctx, as(c, w.owner, &coatcheckv1.ConfirmMediaRequest{MediaId: w.mediaID, Claim: w.claim()}))
	} else {
		_, err = c.Media.ReleaseMedia(ctx, as(c, w.owner, &coatcheckv1.ReleaseMediaRequest{MediaId: w.mediaID, Claim: w.claim()}))
	}
	if err == nil {
		return ok, nil
	}
	switch reason := refusal(err); reason {
	case coatcheckv1.ErrorReason_ERROR_REASON_GONE, // it was swept, cancelled or not what was declared
		coatcheckv1.ErrorReason_ERROR_REASON_NOT_FOUND,      // and so long ago that it is forgotten; or it is not the owner's
		coatcheckv1.ErrorReason_ERROR_REASON_CLAIM_CONFLICT, // another post has it
		coatcheckv1.ErrorReason_ERROR_REASON_NOT_CONFIRMED,  // a release of what was never claimed
		coatcheckv1.ErrorReason_ERROR_REASON_INVALID_FIELD:  // a mistake in this program
		return strings.ToLower(strings.TrimPrefix(reason.String(), "ERROR_REASON_")), nil
	}
	// NOT_LANDED: the client saved before its upload had ended. It lands, or it is gone when its upload window is over.
	// The rest passes: coatcheck, or the way to it, is down, or the token is being changed.
	return "", err
}

// as makes a request for the owner, so that a user cannot claim what another uploaded.
func as[T any](c Coatcheck, owner string, message *T) *connect.Request[T] {
	request := connect.NewRequest(message)
	if c.Token != "" {
		request.Header().Set("Authorization", "Bearer "+c.Token)
	}
	request.Header().Set("Coatcheck-Owner", owner)
	return request
}

// refusal returns why coatcheck refused, and "unspecified" when it was not coatcheck that did.
func refusal(err error) coatcheckv1.ErrorReason {
	refused, isConnect := errors.AsType[*connect.Error](err)
	if !isConnect {
		return coatcheckv1.ErrorReason_ERROR_REASON_UNSPECIFIED
	}
	for _, detail := range refused.Details() {
		if message, err := detail.Value(); err == nil {
			if info, isInfo := message.(*coatcheckv1.ErrorInfo); isInfo {
				return info.GetReason()
			}
		}
	}
	return coatcheckv1.ErrorReason_ERROR_REASON_UNSPECIFIED
}
