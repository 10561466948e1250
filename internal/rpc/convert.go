package rpc

import (
	"encoding/base64"
	"net/http"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/coatcheck/coatcheck/internal/media"
	coatcheckv1 "github.com/coatcheck/coatcheck/proto/coatcheck/v1"
)

var states = map[media.State]coatcheckv1.MediaState{
	media.StatePending:   coatcheckv1.MediaState_MEDIA_STATE_PENDING,
	media.StateUploaded:  coatcheckv1.MediaState_MEDIA_STATE_UPLOADED,
	media.StateConfirmed: coatcheckv1.MediaState_MEDIA_STATE_CONFIRMED,
	media.StateDeleting:  coatcheckv1.MediaState_MEDIA_STATE_DELETING,
	media.StateDeleted:   coatcheckv1.MediaState_MEDIA_STATE_DELETED,
}

var deleteReasons = map[media.Reason]coatcheckv1.DeleteReason{
	media.ReasonNeverUploaded: coatcheckv1.DeleteReason_DELETE_REASON_NEVER_UPLOADED,
	media.ReasonUnclaimed:     coatcheckv1.DeleteReason_DELETE_REASON_UNCLAIMED,
	media.ReasonCancelled:     coatcheckv1.DeleteReason_DELETE_REASON_CANCELLED,
	media.ReasonReleased:      coatcheckv1.DeleteReason_DELETE_REASON_RELEASED,
	media.ReasonRejected:      coatcheckv1.DeleteReason_DELETE_REASON_REJECTED,
	media.ReasonLate:          coatcheckv1.DeleteReason_DELETE_REASON_LATE,
}

var landingSources = map[media.Source]coatcheckv1.LandingSource{
	media.SourceNotification: coatcheckv1.LandingSource_LANDING_SOURCE_NOTIFICATION,
	media.SourceConfirm:      coatcheckv1.LandingSource_LANDING_SOURCE_CONFIRM,
	media.SourceReconcile:    coatcheckv1.LandingSource_LANDING_SOURCE_RECONCILE,
	media.SourceSweep:        coatcheckv1.LandingSource_LANDING_SOURCE_SWEEP,
}

func toProto(m *media.Media) *coatcheckv1.Media {
	p := &coatcheckv1.Media{
		Id: m.ID.String(), State: states[m.State], Key: m.Key, Owner: m.Owner, ContentType: m.ContentType,
		SizeBytes: m.SizeBytes, ChecksumSha256: base64.StdEncoding.EncodeToString(m.ChecksumSHA256),
		FileName: m.FileName, Metadata: m.Metadata, Claim: m.Claim, DeleteReason: deleteReasons[m.Reason],
		LandedBy: landingSources[m.LandedBy], Etag: m.ETag, VersionId: m.VersionID, CreatedAt: timestamp(m.CreatedAt),
		LandedAt: timestamp(m.LandedAt), ConfirmedAt: timestamp(m.ConfirmedAt), OverwrittenAt: timestamp(m.OverwrittenAt), DeletedAt: timestamp(m.DeletedAt),
	}
	if m.State == media.StatePending || m.State == media.StateUploaded {
		p.ExpiresAt = timestamp(m.DueAt)
	}
	return p
}

func timestamp(t time.Time) *timestamppb.Timestamp {
	if t.IsZero() {
		return nil
	}
	return timestamppb.New(t)
}

func requestToProto(r media.Presigned) *coatcheckv1.PresignedRequest {
	return &coatcheckv1.PresignedRequest{
		Method: r.Method, Url: r.URL, Headers: flat(r.Header), ExpiresAt: timestamppb.New(r.ExpiresAt),
	}
}

func flat(h http.Header) map[string]string {
	m := make(map[string]string, len(h))
	for name, values := range h {
		m[name] = strings.Join(values, ",")
	}
	return m
}
