package s3

import (
	"encoding/xml"
	"net/http"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/notify"
)

func (s *Service) getNotification(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	value, ok := b.config(configNotification)
	var x xmlWriter
	if ok {
		x.start()
		x.b = append(x.b, value...)
	} else {
		x.root("NotificationConfiguration")
		x.close("NotificationConfiguration")
	}
	r.answerXML(http.StatusOK, &x)
	return nil
}

func (s *Service) putNotification(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	data, err := r.small(1 << 20)
	if err != nil {
		return err
	}
	var in notify.Configuration
	if xml.Unmarshal(data, &in) != nil {
		return malformedXML()
	}
	exists := s.QueueExists
	if r.Header.Get("X-Amz-Skip-Destination-Validation") == "true" {
		exists = nil
	}
	if err := in.Validate(exists); err != nil {
		return err
	}
	value := ""
	if len(in.Queues) > 0 {
		in.XMLName = xml.Name{Space: "http://s3.amazonaws.com/doc/2006-03-01/", Local: "NotificationConfiguration"}
		out, err := xml.Marshal(in)
		if err != nil {
			return err
		}
		value = string(out)
	}
	tests := s.tests(b, r, &in)
	if err := s.setConfig(b, configNotification, value, tests...); err != nil {
		return err
	}
	s.Dispatcher.Direct(tests)
	return r.answer(http.StatusOK)
}

// tests makes the message that tells each queue of a new configuration that it is one.
func (s *Service) tests(b *bucket, r *Request, c *notify.Configuration) []notify.Delivery {
	now := s.Now()
	var out []notify.Delivery
	for i := range c.Queues {
		out = append(out, notify.Delivery{
			QueueARN: c.Queues[i].Queue, ID: notify.NewID(), Sent: now,
			Body: notify.TestMessage(b.name, r.ID, r.HostID, now),
		})
	}
	return out
}
