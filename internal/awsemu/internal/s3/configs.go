package s3

import (
	"encoding/xml"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
	"github.com/coatcheck/coatcheck/internal/awsemu/internal/notify"
)

// configKind is a subresource of a bucket that is kept as it was put and given back, so that a tool such as
// Terraform reads what it wrote. Only CORS, versioning and notifications are acted on.
type configKind struct {
	op         string // GetOp, PutOp and DeleteOp are the operations
	root       string // the XML element; empty for JSON
	absentCode string
	absentText string
	standard   string // what is there before anything was put; empty for the error above
	readOnly   bool
}

var configs = map[string]configKind{
	"cors":      {op: "BucketCors", root: "CORSConfiguration", absentCode: "NoSuchCORSConfiguration", absentText: "The CORS configuration does not exist"},
	"lifecycle": {op: "BucketLifecycleConfiguration", root: "LifecycleConfiguration", absentCode: "NoSuchLifecycleConfiguration", absentText: "The lifecycle configuration does not exist"},
	"policy":    {op: "BucketPolicy", absentCode: "NoSuchBucketPolicy", absentText: "The bucket policy does not exist"},
	"publicAccessBlock": {
		op: "PublicAccessBlock", root: "PublicAccessBlockConfiguration",
		absentCode: "NoSuchPublicAccessBlockConfiguration", absentText: "The public access block configuration was not found",
	},
	"encryption": {
		op: "BucketEncryption", root: "ServerSideEncryptionConfiguration",
		standard: "<ServerSideEncryptionConfiguration" + xmlNamespace + "><Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>AES256</SSEAlgorithm></ApplyServerSideEncryptionByDefault><BucketKeyEnabled>false</BucketKeyEnabled></Rule></ServerSideEncryptionConfiguration>",
	},
	"ownershipControls": {op: "BucketOwnershipControls", root: "OwnershipControls", absentCode: "OwnershipControlsNotFoundError", absentText: "The bucket ownership controls were not found"},
	"tagging":           {op: "BucketTagging", root: "Tagging", absentCode: "NoSuchTagSet", absentText: "The TagSet does not exist"},
	"logging":           {op: "BucketLogging", root: "BucketLoggingStatus", standard: "<BucketLoggingStatus" + xmlNamespace + "/>"},
	"accelerate":        {op: "BucketAccelerateConfiguration", root: "AccelerateConfiguration", standard: "<AccelerateConfiguration" + xmlNamespace + "/>", readOnly: true},
	"requestPayment":    {op: "BucketRequestPayment", root: "RequestPaymentConfiguration", standard: "<RequestPaymentConfiguration" + xmlNamespace + "><Payer>BucketOwner</Payer></RequestPaymentConfiguration>", readOnly: true},
	"website":           {op: "BucketWebsite", absentCode: "NoSuchWebsiteConfiguration", absentText: "The specified bucket does not have a website configuration", readOnly: true},
	"replication":       {op: "BucketReplication", absentCode: "ReplicationConfigurationNotFoundError", absentText: "The replication configuration was not found", readOnly: true},
	"object-lock":       {op: "ObjectLockConfiguration", absentCode: "ObjectLockConfigurationNotFoundError", absentText: "Object Lock configuration does not exist for this bucket", readOnly: true},
}

// The configurations that have no kind of their own in the table above.
const (
	configVersioning     = "versioning"
	configNotification   = "notification"
	configTransitionSize = "lifecycle-minimum-size"
)

func (k configKind) missing(bucket string) error {
	return awserr.New(http.StatusNotFound, k.absentCode, k.absentText, awserr.Detail{Name: "BucketName", Value: bucket})
}

// configOp routes to a kept configuration.
func (r *Request) configOp() {
	k, ok := configs[r.sub]
	switch {
	case !ok:
	case r.Method == http.MethodGet:
		r.setOp(op{"Get" + k.op, (*Service).getConfig})
	case k.readOnly:
	case r.Method == http.MethodPut:
		r.setOp(op{"Put" + k.op, (*Service).putConfig})
	case r.Method == http.MethodDelete:
		r.setOp(op{"Delete" + k.op, (*Service).deleteConfig})
	}
}

func (b *bucket) config(name string) (string, bool) {
	b.mu.RLock()
	defer b.mu.RUnlock()
	v, ok := b.configs[name]
	return v, ok
}

// configure sets a configuration, or removes it if value is empty, and parses the ones that are acted on. The
// caller holds b.mu and has validated value.
func (b *bucket) configure(name, value string) error {
	switch name {
	case "cors":
		b.cors = nil
		if value != "" {
			c, err := parseCORS([]byte(value))
			if err != nil {
				return err
			}
			b.cors = c
		}
	case configVersioning:
		b.versioning = value
	case configNotification:
		b.notifications = nil
		if value != "" {
			var c notify.Configuration
			if err := xml.Unmarshal([]byte(value), &c); err != nil {
				return fmt.Errorf("reading a notification configuration: %w", err)
			}
			b.notifications = &c
		}
	}
	if value == "" {
		delete(b.configs, name)
	} else {
		b.configs[name] = value
	}
	return nil
}

func (s *Service) setConfig(b *bucket, name, value string, messages ...notify.Delivery) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.gone {
		return noSuchBucket(b.name)
	}
	if err := s.record(Record{Kind: kindConfig, Bucket: b.name, Name: name, Value: value, Notify: messages}); err != nil {
		return err
	}
	return b.configure(name, value)
}

func (s *Service) getConfig(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	k := configs[r.sub]
	value, ok := b.config(r.sub)
	if !ok {
		if value = k.standard; value == "" {
			return k.missing(b.name)
		}
	}
	h := r.w.Header()
	if size, ok := b.config(configTransitionSize); ok && r.sub == "lifecycle" {
		h.Set("X-Amz-Transition-Default-Minimum-Object-Size", size)
	}
	h.Set("Content-Type", "application/json")
	if !strings.HasPrefix(value, "{") {
		h.Set("Content-Type", "application/xml")
	}
	h.Set("Content-Length", strconv.Itoa(len(value)))
	r.w.WriteHeader(http.StatusOK)
	_, _ = r.w.Write([]byte(value)) // the client may be gone
	return nil
}

func (s *Service) putConfig(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	data, err := r.small(1 << 20)
	if err != nil {
		return err
	}
	if err := configs[r.sub].validate(data); err != nil {
		return err
	}
	if r.sub == "cors" {
		if _, err := parseCORS(data); err != nil {
			return err
		}
	}
	if err := s.setConfig(b, r.sub, string(data)); err != nil {
		return err
	}
	status := http.StatusOK
	switch r.sub {
	case "policy", "tagging":
		status = http.StatusNoContent
	case "lifecycle":
		size := r.Header.Get("X-Amz-Transition-Default-Minimum-Object-Size")
		if size == "" {
			size = "all_storage_classes_128K"
		}
		if err := s.setConfig(b, configTransitionSize, size); err != nil {
			return err
		}
		r.w.Header().Set("X-Amz-Transition-Default-Minimum-Object-Size", size)
	}
	return r.answer(status)
}

// validate checks the form: a JSON object for a policy, else XML with the right outermost element.
func (k configKind) validate(data []byte) error {
	if k.root == "" {
		if !strings.HasPrefix(strings.TrimSpace(string(data)), "{") {
			return bad("MalformedPolicy", "Policies must be valid JSON and the first byte must be '{'")
		}
		return nil
	}
	var any struct {
		XMLName xml.Name
	}
	if xml.Unmarshal(data, &any) != nil || any.XMLName.Local != k.root {
		return malformedXML()
	}
	return nil
}

func (s *Service) deleteConfig(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	if err := s.setConfig(b, r.sub, ""); err != nil {
		return err
	}
	return r.answer(http.StatusNoContent)
}

func (s *Service) getVersioning(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	status, _ := b.config(configVersioning)
	var x xmlWriter
	x.root("VersioningConfiguration")
	x.optional("Status", status)
	x.close("VersioningConfiguration")
	r.answerXML(http.StatusOK, &x)
	return nil
}

func (s *Service) putVersioning(r *Request) error {
	b, err := s.bucket(r.Bucket)
	if err != nil {
		return err
	}
	data, err := r.small(64 << 10)
	if err != nil {
		return err
	}
	var in struct {
		XMLName xml.Name `xml:"VersioningConfiguration"`
		Status  string   `xml:"Status"`
	}
	if xml.Unmarshal(data, &in) != nil || in.Status != enabled && in.Status != suspended {
		return malformedXML()
	}
	if err := s.setConfig(b, configVersioning, in.Status); err != nil {
		return err
	}
	return r.answer(http.StatusOK)
}
