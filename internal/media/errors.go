package media

import (
	"fmt"
	"strings"

	"github.com/google/uuid"
)

// Code is the kind of an [Error].
type Code string

const (
	// CodeInvalid means that a field is wrong; Field and Rule say which and how.
	CodeInvalid Code = "invalid"
	// CodeNotFound means that there is no such media within the caller's scope (R9).
	CodeNotFound Code = "not_found"
	// CodeNotLanded means that no object has arrived yet: upload it, then ask again.
	CodeNotLanded Code = "not_landed"
	// CodeGone means that the media is DELETING or DELETED; Reason says why.
	CodeGone Code = "gone"
	// CodeClaimConflict means that another claim holds the media.
	CodeClaimConflict Code = "claim_conflict"
	// CodeConfirmed means that the media is claimed, so its client can no longer cancel it.
	CodeConfirmed Code = "confirmed"
	// CodeNotConfirmed means that there is no claim to release.
	CodeNotConfirmed Code = "not_confirmed"
	// CodeIdempotencyMismatch means that the idempotency key was used for another upload.
	CodeIdempotencyMismatch Code = "idempotency_mismatch"
)

// Error is a refusal that the caller can understand and act on. Its text names the field or the media and the fix.
type Error struct {
	Code    Code
	Message string
	MediaID uuid.UUID // zero when the refusal is not about one media
	State   State     // of the media, where that is the reason
	Reason  Reason    // of a media that is gone
	Field   string    // proto field name, for CodeInvalid and CodeIdempotencyMismatch
	Rule    string    // a stable name of the rule that was broken, such as "size_bytes.limit"
}

func (e *Error) Error() string { return e.Message }

// Invalid returns the refusal of a field's value.
func Invalid(field, rule, format string, args ...any) *Error {
	return &Error{Code: CodeInvalid, Field: field, Rule: rule, Message: field + ": " + fmt.Sprintf(format, args...)}
}

// NotFound returns the refusal for a media that does not exist or is not the caller's: the two are not to be told
// apart (R9).
func NotFound(id uuid.UUID) *Error {
	return &Error{Code: CodeNotFound, MediaID: id, Message: fmt.Sprintf("media %s: not found", id)}
}

// Gone returns the refusal for a media that is DELETING or DELETED.
func Gone(m *Media) *Error {
	doing := "is being deleted"
	if m.State == StateDeleted {
		doing = "was deleted"
	}
	why := map[Reason]string{
		ReasonNeverUploaded: "nothing was uploaded within the upload window",
		ReasonUnclaimed:     "nothing confirmed it within the claim window",
		ReasonCancelled:     "it was cancelled",
		ReasonReleased:      "its claim was released",
		ReasonRejected:      "what was uploaded is not what was declared",
		ReasonLate:          "it had been deleted before its upload ended",
	}[m.Reason]
	return &Error{
		Code: CodeGone, MediaID: m.ID, State: m.State, Reason: m.Reason,
		Message: fmt.Sprintf("media %s %s (%s): %s; create a new upload", m.ID, doing, m.Reason, why),
	}
}

// BatchError is the refusal of a batch that is all or nothing: what each item alone would have been answered, nil
// where it would have succeeded. Nothing was changed.
type BatchError struct {
	Items []*Error
}

func (e *BatchError) Error() string {
	var b strings.Builder
	failed := 0
	for _, item := range e.Items {
		if item == nil {
			continue
		}
		if failed++; failed <= 3 {
			fmt.Fprintf(&b, "; %s", item.Message)
		}
	}
	return fmt.Sprintf("nothing was changed, %d of %d items were refused%s", failed, len(e.Items), b.String())
}
