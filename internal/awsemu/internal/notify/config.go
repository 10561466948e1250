package notify

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
)

// Configuration is a bucket's notification configuration as its XML has it.
type Configuration struct {
	XMLName  xml.Name             `xml:"NotificationConfiguration"`
	Queues   []QueueConfiguration `xml:"QueueConfiguration"`
	Topics   []struct{}           `xml:"TopicConfiguration"`
	Lambdas  []struct{}           `xml:"CloudFunctionConfiguration"`
	EventBus *struct{}            `xml:"EventBridgeConfiguration"`
}

// QueueConfiguration says which events of which keys go to one queue.
type QueueConfiguration struct {
	ID     string   `xml:"Id,omitempty"`
	Queue  string   `xml:"Queue"`
	Events []string `xml:"Event"`
	Filter *Filter  `xml:"Filter,omitempty"`
}

// Filter holds the rules on keys.
type Filter struct {
	Rules []FilterRule `xml:"S3Key>FilterRule"`
}

// FilterRule is a prefix or a suffix.
type FilterRule struct {
	Name  string `xml:"Name"`
	Value string `xml:"Value"`
}

// eventTypes are the types that a configuration may name. The emulator sends those about creation and removal.
var eventTypes = []string{
	"s3:ObjectCreated:*", "s3:ObjectCreated:Put", "s3:ObjectCreated:Post", "s3:ObjectCreated:Copy",
	"s3:ObjectCreated:CompleteMultipartUpload",
	"s3:ObjectRemoved:*", "s3:ObjectRemoved:Delete", "s3:ObjectRemoved:DeleteMarkerCreated",
	"s3:ReducedRedundancyLostObject", "s3:ObjectRestore:*", "s3:ObjectRestore:Post", "s3:ObjectRestore:Completed",
	"s3:ObjectRestore:Delete", "s3:Replication:*", "s3:ObjectTagging:*", "s3:ObjectTagging:Put",
	"s3:ObjectTagging:Delete", "s3:ObjectAcl:Put", "s3:LifecycleExpiration:*", "s3:LifecycleExpiration:Delete",
	"s3:LifecycleExpiration:DeleteMarkerCreated", "s3:LifecycleTransition", "s3:IntelligentTiering",
}

// bounds returns the prefix and the suffix that a key must have.
func (q *QueueConfiguration) bounds() (prefix, suffix string) {
	if q.Filter == nil {
		return "", ""
	}
	for _, r := range q.Filter.Rules {
		if strings.EqualFold(r.Name, "prefix") {
			prefix = r.Value
		} else {
			suffix = r.Value
		}
	}
	return prefix, suffix
}

// Wants reports whether an event called name (without s3:) about key goes to the queue.
func (q *QueueConfiguration) Wants(name, key string) bool {
	prefix, suffix := q.bounds()
	if !strings.HasPrefix(key, prefix) || !strings.HasSuffix(key, suffix) {
		return false
	}
	return slices.ContainsFunc(q.Events, func(e string) bool { return covers(e, "s3:"+name) })
}

func covers(configured, event string) bool {
	if all, ok := strings.CutSuffix(configured, "*"); ok {
		return strings.HasPrefix(event, all)
	}
	return configured == event
}

// Validate refuses what S3 refuses: unknown events and filters, queues that are not there, and configurations
// that would send one event twice. It names those without an id.
func (c *Configuration) Validate(exists func(arn string) bool) error {
	if len(c.Topics) > 0 || len(c.Lambdas) > 0 {
		return invalid("Unable to validate the following destination configurations")
	}
	if c.EventBus != nil {
		return awserr.New(http.StatusNotImplemented, "NotImplemented", "This emulator does not send to EventBridge.")
	}
	for i := range c.Queues {
		q := &c.Queues[i]
		if q.ID == "" {
			q.ID = NewID()
		}
		if err := q.validate(); err != nil {
			return err
		}
		for j := range i {
			if q.overlaps(&c.Queues[j]) {
				return invalid("Configurations overlap. Configurations on the same bucket cannot share a common event type.")
			}
		}
	}
	for i := range c.Queues {
		if exists != nil && !exists(c.Queues[i].Queue) {
			return invalid("Unable to validate the following destination configurations",
				awserr.Detail{Name: "ArgumentName1", Value: c.Queues[i].Queue + ", null"},
				awserr.Detail{Name: "ArgumentValue1", Value: "The destination queue does not exist"})
		}
	}
	return nil
}

func (q *QueueConfiguration) validate() error {
	if len(q.Events) == 0 {
		return invalid("A notification configuration needs at least one event.")
	}
	for _, e := range q.Events {
		if !slices.Contains(eventTypes, e) {
			return invalid("The event '" + e + "' is not supported for notifications")
		}
	}
	if !strings.HasPrefix(q.Queue, "arn:aws") {
		return invalid("The ARN could not be parsed")
	}
	if q.Filter == nil {
		return nil
	}
	seen := map[string]bool{}
	for _, r := range q.Filter.Rules {
		name := strings.ToLower(r.Name)
		if name != "prefix" && name != "suffix" {
			return invalid("filter rule name must be either prefix or suffix")
		}
		if seen[name] {
			return invalid("Cannot specify more than one " + name + " rule in a filter.")
		}
		seen[name] = true
	}
	return nil
}

func (q *QueueConfiguration) overlaps(o *QueueConfiguration) bool {
	p1, s1 := q.bounds()
	p2, s2 := o.bounds()
	keys := (strings.HasPrefix(p1, p2) || strings.HasPrefix(p2, p1)) && (strings.HasSuffix(s1, s2) || strings.HasSuffix(s2, s1))
	return keys && slices.ContainsFunc(q.Events, func(a string) bool {
		return slices.ContainsFunc(o.Events, func(b string) bool { return covers(a, b) || covers(b, a) })
	})
}

func invalid(message string, details ...awserr.Detail) error {
	return awserr.New(http.StatusBadRequest, "InvalidArgument", message, details...)
}
