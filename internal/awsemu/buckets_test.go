package awsemu_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

func TestBuckets(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	create := func(name string) error {
		_, err := e.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name})
		return err
	}
	e.ok(create(e.bucket)) // in us-east-1 that is no error
	for _, name := range []string{"UPPER", "a..b", "192.168.1.1", "-a", "ab"} {
		e.wantCode(create(name), "InvalidBucketName")
	}
	head, err := e.s3.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: &e.bucket})
	e.ok(err)
	if aws.ToString(head.BucketRegion) != "us-east-1" {
		t.Errorf("region %v", aws.ToString(head.BucketRegion))
	}
	_, err = e.s3.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("nowhere")})
	e.wantCode(err, "NotFound")
	location, err := e.s3.GetBucketLocation(t.Context(), &s3.GetBucketLocationInput{Bucket: &e.bucket})
	e.ok(err)
	if location.LocationConstraint != "" {
		t.Errorf("location %q", location.LocationConstraint)
	}
	e.put("k", "x")
	_, err = e.s3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: &e.bucket})
	e.wantCode(err, "BucketNotEmpty")
	e.ok(create("another"))
	list, err := e.s3.ListBuckets(t.Context(), &s3.ListBucketsInput{})
	e.ok(err)
	if len(list.Buckets) != 2 || *list.Buckets[0].Name != "another" {
		t.Errorf("buckets %+v", list.Buckets)
	}
	_, err = e.s3.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: aws.String("another")})
	e.ok(err)
	_, err = e.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("another")})
	e.wantCode(err, "NoSuchBucket")
}

// TestConfigs reads each configuration before it is there, puts it, reads it back, and removes it.
func TestConfigs(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	const ns = ` xmlns="http://s3.amazonaws.com/doc/2006-03-01/"`
	for sub, c := range map[string]struct{ value, absent string }{
		"cors":              {"<CORSConfiguration" + ns + "><CORSRule><AllowedMethod>GET</AllowedMethod><AllowedOrigin>*</AllowedOrigin></CORSRule></CORSConfiguration>", "NoSuchCORSConfiguration"},
		"lifecycle":         {"<LifecycleConfiguration" + ns + "><Rule/></LifecycleConfiguration>", "NoSuchLifecycleConfiguration"},
		"policy":            {`{"Version":"2012-10-17"}`, "NoSuchBucketPolicy"},
		"publicAccessBlock": {"<PublicAccessBlockConfiguration" + ns + "/>", "NoSuchPublicAccessBlockConfiguration"},
		"ownershipControls": {"<OwnershipControls" + ns + "/>", "OwnershipControlsNotFoundError"},
		"tagging":           {"<Tagging" + ns + "/>", "NoSuchTagSet"},
		"encryption":        {"<ServerSideEncryptionConfiguration" + ns + "/>", ""},
		"logging":           {"<BucketLoggingStatus" + ns + "/>", ""},
	} {
		path := "/coats?" + sub
		if got := e.signed("GET", path, nil, unsigned, ""); got.code != c.absent {
			t.Errorf("%s before: %d %s", sub, got.status, got.body)
		}
		if got := e.signed("PUT", path, nil, unsigned, "nonsense"); got.status != 400 {
			t.Errorf("%s: nonsense was answered %d", sub, got.status)
		}
		if got := e.signed("PUT", path, nil, unsigned, c.value); got.status/100 != 2 {
			t.Errorf("%s: %d %s", sub, got.status, got.body)
		}
		if got := e.signed("GET", path, nil, unsigned, ""); got.body != c.value {
			t.Errorf("%s is %d %s, want %s", sub, got.status, got.body, c.value)
		}
		if got := e.signed("DELETE", path, nil, unsigned, ""); got.status != 204 {
			t.Errorf("%s removed: %d", sub, got.status)
		}
		if got := e.signed("GET", path, nil, unsigned, ""); got.code != c.absent {
			t.Errorf("%s after: %d %s", sub, got.status, got.body)
		}
	}
	for sub, want := range map[string]string{
		"website": "NoSuchWebsiteConfiguration", "replication": "ReplicationConfigurationNotFoundError",
		"object-lock": "ObjectLockConfigurationNotFoundError", "accelerate": "", "requestPayment": "", "acl": "",
	} {
		if got := e.signed("GET", "/coats?"+sub, nil, unsigned, ""); got.code != want {
			t.Errorf("%s: %d %s", sub, got.status, got.body)
		}
	}
	e.wantAnswer(e.signed("GET", "/coats?inventory", nil, unsigned, ""), 501, "NotImplemented")
}

func TestCORS(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	preflight := func(origin, method, headers string) answer {
		h := http.Header{"Origin": {origin}, "Access-Control-Request-Method": {method}}
		if headers != "" {
			h.Set("Access-Control-Request-Headers", headers)
		}
		return e.do("OPTIONS", e.http.URL+"/coats/k", h, nil)
	}
	e.wantAnswer(preflight("https://app.example", "PUT", ""), 403, "AccessForbidden")
	_, err := e.s3.PutBucketCors(t.Context(), &s3.PutBucketCorsInput{Bucket: &e.bucket, CORSConfiguration: &types.CORSConfiguration{CORSRules: []types.CORSRule{
		{
			AllowedMethods: []string{"PUT"}, AllowedOrigins: []string{"https://*.example"}, AllowedHeaders: []string{"Content-Type", "x-amz-*"},
			ExposeHeaders: []string{"ETag"}, MaxAgeSeconds: aws.Int32(60),
		},
		{AllowedMethods: []string{"GET"}, AllowedOrigins: []string{"*"}},
	}}})
	e.ok(err)
	got := preflight("https://app.example", "PUT", "content-type, X-Amz-Checksum-Sha256")
	e.wantAnswer(got, 200, "")
	for name, want := range map[string]string{
		"Access-Control-Allow-Origin": "https://app.example", "Access-Control-Allow-Methods": "PUT", "Access-Control-Max-Age": "60",
		"Access-Control-Allow-Headers": "content-type, x-amz-checksum-sha256", "Access-Control-Expose-Headers": "ETag",
	} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q, want %q", name, got.header.Get(name), want)
		}
	}
	if !strings.Contains(got.header.Get("Vary"), "Origin") {
		t.Errorf("Vary %q", got.header.Get("Vary"))
	}
	e.wantAnswer(preflight("https://app.example", "PUT", "if-none-match"), 403, "AccessForbidden")
	e.wantAnswer(preflight("https://app.elsewhere", "PUT", ""), 403, "AccessForbidden")
	e.wantAnswer(preflight("https://app.example", "DELETE", ""), 403, "AccessForbidden")
	e.wantAnswer(e.do("OPTIONS", e.http.URL+"/coats/k", nil, nil), 400, "BadRequest")
	// An error has to be readable too: the page sees why its upload was refused.
	refused := e.do("PUT", e.http.URL+"/coats/k", http.Header{"Origin": {"https://app.example"}}, []byte("x"))
	e.wantAnswer(refused, 403, "AccessDenied")
	if refused.header.Get("Access-Control-Allow-Origin") != "https://app.example" || refused.header.Get("Access-Control-Expose-Headers") != "ETag" {
		t.Errorf("an error's headers %v", refused.header)
	}
	foreign := e.do("PUT", e.http.URL+"/coats/k", http.Header{"Origin": {"https://evil.elsewhere"}}, []byte("x"))
	if foreign.header.Get("Access-Control-Allow-Origin") != "" {
		t.Errorf("a foreign origin was allowed: %v", foreign.header)
	}
	if open := e.do("GET", e.http.URL+"/coats/k", http.Header{"Origin": {"https://evil.elsewhere"}}, nil); open.header.Get("Access-Control-Allow-Origin") != "*" {
		t.Errorf("any origin may read: %v", open.header)
	}
}
