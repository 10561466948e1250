package s3event

import (
	"encoding/json"
	"errors"
	"fmt"
)

// bridgeDetail is the detail of an EventBridge event of S3.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/ev-events.html
type bridgeDetail struct {
	Version string `json:"version"`
	Bucket  struct {
		Name string `json:"name"`
	} `json:"bucket"`
	Object struct {
		Key       string `json:"key"`
		Size      *int64 `json:"size"`
		ETag      string `json:"etag"`
		VersionID string `json:"version-id"`
		Sequencer string `json:"sequencer"`
	} `json:"object"`
}

// eventBridge decodes an EventBridge event. Its key is taken as it stands: unlike in S3's own message, nothing in
// AWS's description says that it is encoded.
func (e *envelope) eventBridge() (Record, error) {
	switch {
	case e.Source != "aws.s3":
		return Record{}, fmt.Errorf("the EventBridge event's source is %s, not aws.s3", quote(e.Source))
	case e.DetailType == "":
		return Record{}, errors.New("the EventBridge event has no detail-type")
	case e.Version != "" && e.Version != "0":
		return Record{}, fmt.Errorf("the EventBridge event's version is %s, and only 0 is understood", quote(e.Version))
	case e.Detail == nil:
		return Record{}, errors.New("the EventBridge event has no detail")
	}
	var d bridgeDetail
	if err := json.Unmarshal(e.Detail, &d); err != nil {
		return Record{}, jsonError("the EventBridge event's detail", err)
	}
	if d.Version != "" && d.Version != "0" {
		return Record{}, fmt.Errorf("the detail's version is %s, and only 0 is understood", quote(d.Version))
	}
	action := ActionOther
	switch e.DetailType {
	case "Object Created":
		action = ActionCreated
	case "Object Deleted":
		action = ActionRemoved
	}
	return record{
		Record: Record{
			Action: action, EventName: e.DetailType, Bucket: d.Bucket.Name, Key: d.Object.Key,
			ETag: d.Object.ETag, VersionID: d.Object.VersionID, Sequencer: d.Object.Sequencer,
		},
		size: d.Object.Size, time: e.Time,
	}.check()
}
