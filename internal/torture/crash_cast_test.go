package torture

import (
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
)

// What stories begin with: media in every state, made by the test itself, which is not killed.

// crashBody is the content of a media's object, of the declared size.
func crashBody(id uuid.UUID) string { return "the coat of " + id.String() }

func (w *crashWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// pending makes a PENDING media.
func (w *crashWorld) pending() uuid.UUID {
	w.t.Helper()
	id := w.newID()
	_, err := w.store.Create(w.t.Context(), []*media.Media{{
		ID: id, Tenant: crashTenant, Owner: crashOwner, Key: w.keys.Key(id), ContentType: "text/plain",
		SizeBytes: int64(len(crashBody(id))), URLExpiresAt: time.Now().Add(time.Minute),
	}})
	w.must(err)
	return id
}

// put stores an object, which is notified of.
func (w *crashWorld) put(id uuid.UUID, body string) *s3.PutObjectOutput {
	w.t.Helper()
	out, err := w.s3.PutObject(w.t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(crashBucket), Key: aws.String(w.keys.Key(id)), ContentType: aws.String("text/plain"),
		Body: strings.NewReader(body),
	})
	w.must(err)
	return out
}

// putUnnoticed stores an object whose notification is lost.
func (w *crashWorld) putUnnoticed(id uuid.UUID, body string) *s3.PutObjectOutput {
	w.t.Helper()
	w.emulator.Faults().DropNotifications(1)
	w.lost[id] = w.rows()[id].State
	return w.put(id, body)
}

// uploaded makes an UPLOADED media.
func (w *crashWorld) uploaded() uuid.UUID {
	w.t.Helper()
	id := w.pending()
	w.land(id, w.putUnnoticed(id, crashBody(id)))
	return id
}

func (w *crashWorld) land(id uuid.UUID, out *s3.PutObjectOutput) {
	w.t.Helper()
	_, err := w.store.Land(w.t.Context(), media.SourceNotification, []media.Landing{{
		MediaID: id, SizeBytes: int64(len(crashBody(id))), ETag: strings.Trim(aws.ToString(out.ETag), `"`),
		VersionID: aws.ToString(out.VersionId),
	}})
	w.must(err)
}

// confirmed makes a CONFIRMED media. Its notification is still to come when it is noticed.
func (w *crashWorld) confirmed(noticed bool) uuid.UUID {
	w.t.Helper()
	id := w.pending()
	put := w.putUnnoticed
	if noticed {
		put = w.put
	}
	w.land(id, put(id, crashBody(id)))
	_, err := w.store.Confirm(w.t.Context(), crashScope, []media.Claim{{MediaID: id, Claim: "post/" + id.String()}})
	w.must(err)
	w.claimed[id] = crashBody(id)
	return id
}

// cancelled makes a DELETING media that has an object.
func (w *crashWorld) cancelled() uuid.UUID {
	w.t.Helper()
	id := w.uploaded()
	_, err := w.store.Discard(w.t.Context(), crashScope, id, media.EventCancel, "")
	w.must(err)
	return id
}

// tombstone makes a DELETED media, whose object is gone. Nothing else may be due yet.
func (w *crashWorld) tombstone() uuid.UUID {
	w.t.Helper()
	id := w.cancelled()
	if r, err := w.sweeper.RunOnce(w.t.Context()); err != nil || r.Deleted != 1 {
		w.t.Fatalf("making a tombstone: %v, %v", r, err)
	}
	return id
}
