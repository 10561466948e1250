package torture

import (
	"context"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/queue"
	"github.com/coatcheck/coatcheck/internal/s3event"
)

// crashRow is what is checked of a row. Postgres checks the rest of it.
type crashRow struct {
	ID      uuid.UUID
	Key     string
	State   media.State
	ETag    string `bun:"etag"`
	Version string `bun:"version"`
	Claim   string
}

func (w *crashWorld) rows() map[uuid.UUID]crashRow {
	w.t.Helper()
	var rows []crashRow
	w.must(w.db.NewRaw(`SELECT id, key, state, coalesce(etag, '') AS etag, coalesce(version_id, '') AS version, coalesce(claim, '') AS claim
		FROM coatcheck.media`).Scan(context.Background(), &rows))
	byID := make(map[uuid.UUID]crashRow, len(rows))
	for _, r := range rows {
		byID[r.ID] = r
	}
	return byID
}

// crashObject is what the store holds under a key: its versions, and whether the latest is an object.
type crashObject struct {
	key      string
	there    bool // the latest version is no delete marker
	etag     string
	versions int // with delete markers
}

func (w *crashWorld) stored() map[uuid.UUID]crashObject {
	w.t.Helper()
	return w.storedBelow(w.keys.Prefix())
}

// moved returns what the store holds in quarantine.
func (w *crashWorld) moved() map[uuid.UUID]crashObject {
	w.t.Helper()
	return w.storedBelow(crashMoved)
}

func (w *crashWorld) storedBelow(prefix string) map[uuid.UUID]crashObject {
	w.t.Helper()
	objects := map[uuid.UUID]crashObject{}
	id := func(key *string) uuid.UUID {
		minted, isMoved := strings.CutPrefix(aws.ToString(key), crashMoved)
		if isMoved { // below the time at which it was stored
			_, minted, _ = strings.Cut(minted, "/")
		}
		id, ok := w.keys.ID(minted)
		if !ok {
			w.t.Fatalf("an object with the key %s, which is none of coatcheck's", aws.ToString(key))
		}
		return id
	}
	pages := s3.NewListObjectVersionsPaginator(w.s3, &s3.ListObjectVersionsInput{Bucket: aws.String(crashBucket), Prefix: &prefix})
	for pages.HasMorePages() {
		page, err := pages.NextPage(context.Background())
		w.must(err)
		for _, v := range page.Versions {
			o := objects[id(v.Key)]
			o.versions++
			if o.key = aws.ToString(v.Key); aws.ToBool(v.IsLatest) {
				o.there, o.etag = true, strings.Trim(aws.ToString(v.ETag), `"`)
			}
			objects[id(v.Key)] = o
		}
		for _, d := range page.DeleteMarkers {
			o := objects[id(d.Key)]
			o.versions++
			objects[id(d.Key)] = o
		}
	}
	return objects
}

// told returns of which media messages are in the queue, and leaves them there, hidden.
func (w *crashWorld) told() map[uuid.UUID]bool {
	w.t.Helper()
	told := map[uuid.UUID]bool{}
	for {
		out, err := w.sqs.ReceiveMessage(context.Background(), &sqs.ReceiveMessageInput{
			QueueUrl: &w.queueURL, MaxNumberOfMessages: 10, VisibilityTimeout: 30,
		})
		w.must(err)
		if len(out.Messages) == 0 {
			return told
		}
		for _, m := range out.Messages {
			event, err := s3event.Decode(aws.ToString(m.Body))
			w.must(err)
			for _, r := range event.Records {
				if id, ok := w.keys.ID(r.Key); ok {
					told[id] = true
				}
			}
		}
	}
}

// checkInstant checks what holds at every instant, the one at which a process was killed too: no object is there whose
// name nobody remembers, none is gone that somebody counts on, and what is not recorded yet is in the queue.
func (w *crashWorld) checkInstant() {
	w.t.Helper()
	w.unhide()
	rows, objects, told := w.rows(), w.stored(), w.told()
	w.unhide()
	for id, o := range objects {
		row, known := rows[id]
		if _, stray := w.strays[id]; !known && (stray || w.listed[id]) {
			continue
		}
		awaited := told[id] || known && w.lost[id] == row.State
		switch {
		case !known && !awaited:
			violated(w.t, "R6: an object of media %s is there, and no row names it", id)
		case !o.there:
			if row.State != media.StateDeleting {
				violated(w.t, "R6: media %s has versions left and is %q", id, row.State)
			}
		case row.State == media.StatePending && !awaited:
			violated(w.t, "R4: media %s has landed, is PENDING, and the message that told of it is gone", id)
		case row.State == media.StateDeleted && !awaited:
			violated(w.t, "R6: media %s is DELETED, and its object is there", id)
		}
	}
	w.checkStrays(objects)
	for id, row := range rows {
		o := objects[id]
		if w.missing[id] {
			if row.State != media.StateConfirmed {
				violated(w.t, "R1: media %s is missing, and is %s for it", id, row.State)
			}
			continue
		}
		if (row.State == media.StateUploaded || row.State == media.StateConfirmed) && !o.there {
			violated(w.t, "R1, R6: media %s is %s, and its object is gone", id, row.State)
		}
		if row.State == media.StateConfirmed && row.ETag != o.etag {
			violated(w.t, "R3: media %s was confirmed with the ETag %s, and its object has %s", id, row.ETag, o.etag)
		}
	}
	for id := range w.claimed {
		if w.listed[id] && rows[id].State == "" {
			continue // not adopted yet
		}
		if rows[id].State != media.StateConfirmed {
			violated(w.t, "R1: media %s was confirmed, and is %q", id, rows[id].State)
		}
	}
}

// checkStrays checks what no row explains: it is there, unless it was due to go, and then its removal was recorded first.
func (w *crashWorld) checkStrays(objects map[uuid.UUID]crashObject) {
	w.t.Helper()
	for id := range w.listed {
		if !objects[id].there {
			violated(w.t, "R1: what the list of an adoption names is gone: %s", id)
		}
	}
	for id := range w.strays {
		switch {
		case objects[id].there:
		case !w.due[id]:
			violated(w.t, "R7: a stray is gone that was not due: %s", id)
		default:
			var begun bool
			w.must(w.db.NewRaw(`SELECT coalesce(bool_and(deleting_at IS NOT NULL), false) FROM coatcheck.stray WHERE key = ?`, w.keys.Key(id)).
				Scan(context.Background(), &begun))
			if !begun {
				violated(w.t, "R6: a stray is gone, and nothing says that it was to go: %s", id)
			}
		}
	}
}

// checkEnd checks what is left when traffic has stopped and all windows are over: what was claimed, whole, and nothing
// else.
func (w *crashWorld) checkEnd() {
	w.t.Helper()
	rows, objects := w.rows(), w.stored()
	for id, row := range rows {
		if _, ok := w.claimed[id]; !ok && !w.missing[id] {
			violated(w.t, "R2: media %s is left, %s, with the object %+v", id, row.State, objects[id])
		}
	}
	for id, o := range objects {
		if _, ok := w.claimed[id]; !ok {
			violated(w.t, "R2: an object of media %s is left, %+v; the row is %+v", id, o, rows[id])
		} else if o.versions != 1 {
			violated(w.t, "R2: media %s has %d versions", id, o.versions)
		}
	}
	for id, body := range w.claimed {
		if row := rows[id]; row.State != media.StateConfirmed || row.Claim != "post/"+id.String() {
			violated(w.t, "R1: media %s was confirmed, and is %q by %q", id, row.State, row.Claim)
		}
		if got := w.content(id); got != body {
			violated(w.t, "R3: media %s has the content %q, want %q", id, got, body)
		}
	}
	if d := w.depths(); d.Queue != (queue.Depth{}) || d.DeadLetters != (queue.Depth{}) {
		violated(w.t, "R4: messages are left: %+v, dead letters: %+v", d.Queue, d.DeadLetters)
	}
}

// content is that of a media's object, or what kept it from being read.
func (w *crashWorld) content(id uuid.UUID) string { return w.contentOf(w.keys.Key(id)) }

func (w *crashWorld) contentOf(key string) string {
	out, err := w.s3.GetObject(context.Background(), &s3.GetObjectInput{Bucket: aws.String(crashBucket), Key: &key})
	if err != nil {
		return err.Error()
	}
	defer out.Body.Close()
	body, err := io.ReadAll(out.Body)
	if err != nil {
		return err.Error()
	}
	return string(body)
}
