package sqs

import (
	"errors"
	"net/http"
	"regexp"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
)

var entryID = regexp.MustCompile(`^[A-Za-z0-9_-]{1,80}$`)

// maxBatch is how many entries a batch may have.
const maxBatch = 10

// checkBatch applies the rules that all batches have.
func checkBatch[E any](entries []E, id func(*E) string) error {
	switch {
	case len(entries) == 0:
		return awserr.New(http.StatusBadRequest, "EmptyBatchRequest", "There should be at least one entry in the request.")
	case len(entries) > maxBatch:
		return awserr.Newf(http.StatusBadRequest, "TooManyEntriesInBatchRequest",
			"Maximum number of entries per request are %d. You have sent %d.", maxBatch, len(entries))
	}
	seen := make(map[string]struct{}, len(entries))
	for i := range entries {
		id := id(&entries[i])
		if !entryID.MatchString(id) {
			return awserr.New(http.StatusBadRequest, "InvalidBatchEntryId",
				"A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if _, twice := seen[id]; twice {
			return awserr.Newf(http.StatusBadRequest, "BatchEntryIdsNotDistinct", "Id %s repeated.", id)
		}
		seen[id] = struct{}{}
	}
	return nil
}

type batchOutput struct {
	Successful []any
	Failed     []batchFailure `json:",omitempty"`
}

type batchFailure struct {
	Id          string //nolint:revive // AWS's spelling
	Code        string
	Message     string
	SenderFault bool
}

type entryDone struct{ Id string } //nolint:revive // AWS's spelling

func (o *batchOutput) fail(id string, err error) {
	f := batchFailure{Id: id, Code: "InternalError", Message: err.Error()}
	var e *awserr.Error
	if errors.As(err, &e) {
		f.Code, f.Message, f.SenderFault = e.Code, e.Message, e.Status < http.StatusInternalServerError
		if q, ok := queryCodes[e.Code]; ok {
			f.Code = q
		}
	}
	o.Failed = append(o.Failed, f)
}

// entryFault is the failure that was asked for in the next entry of a batch, if any.
func (s *Service) entryFault(c *Caller, q *queue) error {
	e, ok := s.entries.Take(c.Operation, q.name)
	if !ok {
		return nil
	}
	status := http.StatusServiceUnavailable
	if e.SenderFault {
		status = http.StatusBadRequest
	}
	return awserr.New(status, e.Code, "A fault that was asked for.")
}
