package sqs

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
)

// maxMessage is the most that a message may hold, in bytes: 1 MiB, body and attributes together.
const maxMessage = 1 << 20

// settings are a queue's attributes, parsed.
type settings struct {
	visibility time.Duration
	wait       time.Duration
	delay      time.Duration
	retention  time.Duration
	maxSize    int
	deadLetter string // the name of the dead-letter queue; empty if there is none
	maxReceive int

	now     func() time.Time
	virtual bool // now is not the wall clock, so that timers have to look at it again and again
}

// until is how long to sleep before at.
func (s *settings) until(at time.Time) time.Duration {
	d := max(at.Sub(s.now()), 0)
	if s.virtual {
		d = min(d, 20*time.Millisecond)
	}
	return d
}

// limits are the attributes that are numbers, with their bounds and defaults as "SetQueueAttributes" has them.
var limits = map[string]struct{ low, high, standard int }{
	"DelaySeconds":                  {0, 900, 0},
	"MaximumMessageSize":            {1024, maxMessage, maxMessage},
	"MessageRetentionPeriod":        {60, 1209600, 345600},
	"ReceiveMessageWaitTimeSeconds": {0, 20, 0},
	"VisibilityTimeout":             {0, 43200, 30},
	"KmsDataKeyReusePeriodSeconds":  {60, 86400, 300},
}

var otherAttributes = []string{"Policy", "RedrivePolicy", "RedriveAllowPolicy", "SqsManagedSseEnabled", "KmsMasterKeyId"}

// readOnly are the attributes that SQS computes.
var readOnly = []string{
	"QueueArn", "CreatedTimestamp", "LastModifiedTimestamp", "ApproximateNumberOfMessages",
	"ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed",
}

type redrivePolicy struct {
	Target     string `json:"deadLetterTargetArn"`
	MaxReceive any    `json:"maxReceiveCount"` // a number, or a number in quotes
}

// checkAttributes validates attributes to be set.
func (s *Service) checkAttributes(attrs map[string]string) error {
	for name, value := range attrs {
		if l, ok := limits[name]; ok {
			if n, err := strconv.Atoi(value); err != nil || n < l.low || n > l.high {
				return invalidAttribute(name)
			}
			continue
		}
		if !slices.Contains(otherAttributes, name) {
			return awserr.Newf(http.StatusBadRequest, "InvalidAttributeName", "Unknown Attribute %s.", name)
		}
		if value == "" {
			continue // takes it away
		}
		switch name {
		case "SqsManagedSseEnabled":
			if _, err := strconv.ParseBool(value); err != nil {
				return invalidAttribute(name)
			}
		case "Policy", "RedriveAllowPolicy":
			if !json.Valid([]byte(value)) {
				return invalidAttribute(name)
			}
		case "RedrivePolicy":
			if _, _, err := s.parseRedrive(value); err != nil {
				return err
			}
		}
	}
	return nil
}

func invalidAttribute(name string) error {
	return awserr.Newf(http.StatusBadRequest, "InvalidAttributeValue", "Invalid value for the parameter %s.", name)
}

// parseRedrive reads a redrive policy, whose target has to exist.
func (s *Service) parseRedrive(value string) (target string, maxReceive int, err error) {
	bad := func(reason string) error {
		return invalidParameter("Value " + value + " for parameter RedrivePolicy is invalid. Reason: " + reason)
	}
	var p redrivePolicy
	if json.Unmarshal([]byte(value), &p) != nil {
		return "", 0, bad("Redrive policy is not a valid JSON map.")
	}
	n, err := strconv.Atoi(fmt.Sprint(p.MaxReceive))
	if err != nil || n < 1 || n > 1000 {
		return "", 0, bad("Invalid value for maxReceiveCount: " + fmt.Sprint(p.MaxReceive) + ", valid values are from 1 to 1000 both inclusive.")
	}
	q := s.byARN(p.Target)
	if q == nil {
		return "", 0, bad("Dead letter target does not exist.")
	}
	return q.name, n, nil
}

// apply sets checked attributes and parses them. The caller holds q.mu, or is alone with q.
func (s *Service) apply(q *queue, attrs map[string]string) {
	for name, value := range attrs {
		if value == "" {
			delete(q.attrs, name)
		} else {
			q.attrs[name] = value
		}
	}
	number := func(name string) int {
		if n, err := strconv.Atoi(q.attrs[name]); err == nil {
			return n
		}
		return limits[name].standard
	}
	seconds := func(name string) time.Duration { return time.Duration(number(name)) * time.Second }
	q.settings = settings{
		visibility: seconds("VisibilityTimeout"), wait: seconds("ReceiveMessageWaitTimeSeconds"),
		delay: seconds("DelaySeconds"), retention: seconds("MessageRetentionPeriod"),
		maxSize: number("MaximumMessageSize"), now: s.now, virtual: s.virtual,
	}
	var p redrivePolicy
	if json.Unmarshal([]byte(q.attrs["RedrivePolicy"]), &p) == nil {
		q.settings.deadLetter = nameOf(p.Target)
		q.settings.maxReceive, _ = strconv.Atoi(fmt.Sprint(p.MaxReceive))
	}
}

// all returns every attribute that the queue has. The caller holds q.mu.
func (q *queue) all() map[string]string {
	q.promote(q.settings.now())
	out := maps.Clone(q.attrs)
	for _, name := range []string{"DelaySeconds", "MaximumMessageSize", "MessageRetentionPeriod", "ReceiveMessageWaitTimeSeconds", "VisibilityTimeout"} {
		if _, ok := out[name]; !ok {
			out[name] = strconv.Itoa(limits[name].standard)
		}
	}
	if _, ok := out["SqsManagedSseEnabled"]; !ok {
		out["SqsManagedSseEnabled"] = strconv.FormatBool(out["KmsMasterKeyId"] == "")
	}
	out["QueueArn"] = q.arn
	out["CreatedTimestamp"] = strconv.FormatInt(q.created.Unix(), 10)
	out["LastModifiedTimestamp"] = strconv.FormatInt(q.modified.Unix(), 10)
	out["ApproximateNumberOfMessages"] = strconv.Itoa(q.nReady)
	out["ApproximateNumberOfMessagesNotVisible"] = strconv.Itoa(q.inFlight())
	out["ApproximateNumberOfMessagesDelayed"] = strconv.Itoa(q.nLate)
	return out
}

// knownAttribute reports whether GetQueueAttributes may ask for name.
func knownAttribute(name string) bool {
	_, number := limits[name]
	return number || name == "All" || slices.Contains(otherAttributes, name) || slices.Contains(readOnly, name)
}

func nameOf(arn string) string { return arn[strings.LastIndexByte(arn, ':')+1:] }
