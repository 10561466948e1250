package s3

import (
	"encoding/xml"
	"maps"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
)

// bucketName is the pattern of "Bucket naming rules", without its list of reserved beginnings and ends.
var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

func (s *Service) createBucket(r *Request) error {
	if !bucketName.MatchString(r.Bucket) || strings.Contains(r.Bucket, "..") || net.ParseIP(r.Bucket) != nil {
		return awserr.New(http.StatusBadRequest, "InvalidBucketName", "The specified bucket is not valid.", awserr.Detail{Name: "BucketName", Value: r.Bucket})
	}
	data, err := r.small(64 << 10)
	if err != nil {
		return err
	}
	var in struct {
		XMLName  xml.Name `xml:"CreateBucketConfiguration"`
		Location string   `xml:"LocationConstraint"`
	}
	if len(data) > 0 && xml.Unmarshal(data, &in) != nil {
		return malformedXML()
	}
	if in.Location != s.Region && (in.Location != "" || s.Region != "us-east-1") {
		return bad("IllegalLocationConstraintException", "The "+orUnspecified(in.Location)+" location constraint is incompatible for the region specific endpoint this request was sent to.")
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r.w.Header().Set("Location", "/"+r.Bucket)
	if s.buckets[r.Bucket] != nil {
		if s.Region == "us-east-1" {
			return r.answer(http.StatusOK) // the one region where that is no error
		}
		return awserr.New(http.StatusConflict, "BucketAlreadyOwnedByYou", "Your previous request to create the named bucket succeeded and you already own it.")
	}
	b := newBucket(r.Bucket, s.Now().UTC())
	if err := s.record(Record{Kind: kindCreate, Bucket: b.name, At: b.created}); err != nil {
		return err
	}
	s.buckets[b.name] = b
	return r.answer(http.StatusOK)
}

func orUnspecified(location string) string {
	if location == "" {
		return "unspecified"
	}
	return location
}

func (s *Service) headBucket(r *Request) error {
	if _, err := s.bucket(r.Bucket); err != nil {
		return err
	}
	r.w.Header().Set("X-Amz-Bucket-Region", s.Region)
	return r.answer(http.StatusOK)
}

func (s *Service) deleteBucket(r *Request) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[r.Bucket]
	if b == nil {
		return noSuchBucket(r.Bucket)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.objects.Len() > 0 {
		return awserr.New(http.StatusConflict, "BucketNotEmpty", "The bucket you tried to delete is not empty", awserr.Detail{Name: "BucketName", Value: b.name})
	}
	if err := s.record(Record{Kind: kindDelete, Bucket: b.name}); err != nil {
		return err
	}
	for c := b.uploads.Seek(""); c.Valid(); c.Next() {
		s.removeBodies(&version{Segments: c.Value().segments()})
	}
	b.gone = true
	delete(s.buckets, b.name)
	return r.answer(http.StatusNoContent)
}

func (s *Service) listBuckets(r *Request) error {
	var x xmlWriter
	x.root("ListAllMyBucketsResult")
	s.writeOwner(&x, "Owner")
	x.open("Buckets")
	s.mu.RLock()
	for _, name := range slices.Sorted(maps.Keys(s.buckets)) {
		x.open("Bucket")
		x.text("Name", name)
		x.time("CreationDate", s.buckets[name].created)
		x.text("BucketRegion", s.Region)
		x.close("Bucket")
	}
	s.mu.RUnlock()
	x.close("Buckets")
	x.close("ListAllMyBucketsResult")
	r.answerXML(http.StatusOK, &x)
	return nil
}

func (s *Service) getLocation(r *Request) error {
	if _, err := s.bucket(r.Bucket); err != nil {
		return err
	}
	location := s.Region
	if location == "us-east-1" {
		location = ""
	}
	var x xmlWriter
	x.root("LocationConstraint")
	x.escape(location)
	x.close("LocationConstraint")
	r.answerXML(http.StatusOK, &x)
	return nil
}

// getACL answers what every bucket and object has whose ACLs are disabled, as they are by default.
func (s *Service) getACL(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	if r.Key != "" {
		if _, err := b.lookup(r); err != nil {
			return err
		}
	}
	var x xmlWriter
	x.root("AccessControlPolicy")
	s.writeOwner(&x, "Owner")
	x.open("AccessControlList")
	x.open("Grant")
	x.open(`Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"`)
	x.text("ID", s.owner)
	x.close("Grantee")
	x.text("Permission", "FULL_CONTROL")
	x.close("Grant")
	x.close("AccessControlList")
	x.close("AccessControlPolicy")
	r.answerXML(http.StatusOK, &x)
	return nil
}

func (s *Service) putACL(r *Request) error {
	if _, err := s.bucket(r.Bucket); err != nil {
		return err
	}
	if r.Header.Get("X-Amz-Acl") != "private" {
		return bad("AccessControlListNotSupported", "The bucket does not allow ACLs")
	}
	return r.answer(http.StatusOK)
}

func (s *Service) getPolicyStatus(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	if _, ok := b.config("policy"); !ok {
		return configs["policy"].missing(r.Bucket)
	}
	var x xmlWriter
	x.root("PolicyStatus")
	x.flag("IsPublic", false)
	x.close("PolicyStatus")
	r.answerXML(http.StatusOK, &x)
	return nil
}
