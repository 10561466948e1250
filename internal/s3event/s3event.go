// Package s3event understands the notifications that S3 sends about objects, in every envelope in which they reach
// an SQS queue: directly, through SNS (wrapped or raw), through EventBridge, or through EventBridge and SNS.
//
// What it reads comes from outside. [Decode] is strict about the fields that decide something, ignores those that it
// does not know, and bounds its work and the length of its errors. Of this module it imports nothing but plainjson.
package s3event

import (
	"time"
)

// Limits on what [Decode] accepts.
const (
	// MaxBody is the largest body in bytes. SQS accepts no larger message.
	// https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
	MaxBody = 1 << 20
	// MaxRecords is the largest number of records in one body. S3 itself sends one.
	MaxRecords = 1000
	// MaxDepth is how deep arrays and objects may nest in one JSON document. A real event has five levels.
	MaxDepth = 32
	// MaxKey is the length of the longest object key in bytes of UTF-8.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/object-keys.html
	MaxKey = 1024
)

// maxText bounds the other strings of a record, in bytes: bucket, entity tag, version, sequencer, event name. Version
// IDs are the longest of them, with at most 1,024.
const maxText = 1024

// Message is what one body says.
type Message struct {
	// Envelope is how it came.
	Envelope Envelope
	// Test reports that it is the s3:TestEvent that S3 sends when a notification is set up. It has no records.
	Test bool
	// TestBucket is the bucket whose notification was set up, when Test.
	TestBucket string
	// Records are the events in it, in order. There is at least one unless Test.
	Records []Record
}

// Envelope is the way that a notification came.
type Envelope string

const (
	// EnvelopeS3 is S3's own message, sent straight to SQS or through SNS with raw delivery: the two look the same.
	EnvelopeS3 Envelope = "s3"
	// EnvelopeSNS is S3's message within an SNS notification.
	EnvelopeSNS Envelope = "sns"
	// EnvelopeEventBridge is an EventBridge event, sent straight to SQS.
	EnvelopeEventBridge Envelope = "eventbridge"
	// EnvelopeSNSEventBridge is an EventBridge event within an SNS notification.
	EnvelopeSNSEventBridge Envelope = "sns_eventbridge"
)

// Action is what happened to the object.
type Action string

const (
	// ActionCreated means that an object was stored: by PUT, POST, copy, or the completion of a multipart upload.
	ActionCreated Action = "created"
	// ActionRemoved means that an object or a version was deleted or expired, or got a delete marker.
	ActionRemoved Action = "removed"
	// ActionOther is every other event, such as tagging, ACLs, restores, and replication.
	ActionOther Action = "other"
)

// Record is one event of one object. All its strings are valid UTF-8 without NUL.
type Record struct {
	Action    Action
	EventName string // as S3 names it, such as "ObjectCreated:Put"; for EventBridge the detail-type
	Bucket    string // never empty
	Key       string // decoded; never empty, at most [MaxKey] bytes
	SizeBytes int64  // of the object, never negative; meaningful for [ActionCreated] only
	ETag      string // without quotes; empty for some events
	VersionID string // empty on an unversioned bucket
	Sequencer string // as it was sent; empty when it was not
	Time      time.Time
}
