package s3

import (
	"encoding/xml"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

type tag struct {
	Key   string `xml:"Key" json:"k"`
	Value string `xml:"Value" json:"v"`
}

func checkTags(tags []tag, limit int) error {
	if len(tags) > limit {
		return bad("BadRequest", "Object tags cannot be greater than 10")
	}
	seen := map[string]bool{}
	for _, t := range tags {
		switch {
		case t.Key == "" || len(t.Key) > 128:
			return bad("InvalidTag", "The TagKey you have provided is invalid")
		case len(t.Value) > 256:
			return bad("InvalidTag", "The TagValue you have provided is invalid")
		case seen[t.Key]:
			return bad("InvalidTag", "Cannot provide multiple Tags with the same key")
		}
		seen[t.Key] = true
	}
	return nil
}

// parseTagHeader reads x-amz-tagging: the tags as a query string.
func parseTagHeader(header string) ([]tag, error) {
	if header == "" {
		return nil, nil
	}
	values, err := url.ParseQuery(header)
	if err != nil {
		return nil, bad("InvalidArgument", "The header 'x-amz-tagging' shall be encoded as UTF-8 then URLEncoded URL query parameters without tag name duplicates.")
	}
	var tags []tag
	for k, vs := range values {
		for _, v := range vs {
			tags = append(tags, tag{k, v})
		}
	}
	slices.SortFunc(tags, func(a, b tag) int { return strings.Compare(a.Key, b.Key) })
	return tags, checkTags(tags, 10)
}

func (s *Service) getObjectTagging(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	v, err := b.lookup(r)
	if err != nil {
		return err
	}
	var x xmlWriter
	x.root("Tagging")
	x.open("TagSet")
	for _, t := range v.Tags {
		x.open("Tag")
		x.text("Key", t.Key)
		x.text("Value", t.Value)
		x.close("Tag")
	}
	x.close("TagSet")
	x.close("Tagging")
	r.answerXML(http.StatusOK, &x)
	return nil
}

// putObjectTagging serves PutObjectTagging and DeleteObjectTagging.
func (s *Service) putObjectTagging(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	var in struct {
		XMLName xml.Name `xml:"Tagging"`
		Tags    []tag    `xml:"TagSet>Tag"`
	}
	status := http.StatusNoContent
	if r.Method == http.MethodPut {
		status = http.StatusOK
		data, err := r.small(1 << 20)
		if err != nil {
			return err
		}
		if xml.Unmarshal(data, &in) != nil {
			return malformedXML()
		}
		if err := checkTags(in.Tags, 10); err != nil {
			return err
		}
	}
	if _, err := b.lookup(r); err != nil {
		return err
	}
	if err := s.retag(b, r, in.Tags); err != nil {
		return err
	}
	return r.answer(status)
}

func (s *Service) retag(b *bucket, r *Request, tags []tag) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	e, _ := b.objects.Get(r.Key)
	v := e.latest()
	if id := r.query.Get("versionId"); id != "" {
		v = e.find(id)
	}
	if v == nil || v.Marker {
		return noSuchKey(r.Key)
	}
	changed := *v
	changed.Tags = tags
	if err := s.record(Record{Kind: kindTags, Bucket: b.name, Key: r.Key, Version: &changed}); err != nil {
		return err
	}
	b.replace(r.Key, &changed)
	return nil
}
