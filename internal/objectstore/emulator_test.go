package objectstore

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// TestTheEmulatorIsUnderstood, so that what is tested with it goes through this package's decoder.
func TestTheEmulatorIsUnderstood(t *testing.T) {
	t.Parallel()
	emu, err := awsemu.New(awsemu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(emu)
	t.Cleanup(func() {
		server.Close()
		_ = emu.Close()
	})
	last := &recorder{}
	client := s3.New(s3.Options{
		Region: "us-east-1", HTTPClient: last, Retryer: aws.NopRetryer{}, BaseEndpoint: &server.URL, UsePathStyle: true,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	bucket := aws.String("bucket")
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: bucket}); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"media/a", "media/b +", "media/c"} {
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader("x")}); err != nil {
			t.Fatal(err)
		}
	}
	for _, encoding := range []types.EncodingType{"", types.EncodingTypeUrl} {
		if _, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket, EncodingType: encoding, MaxKeys: aws.Int32(2)}); err != nil {
			t.Fatal(err)
		}
		if !check(t, last.body, objectList) {
			t.Errorf("not understood: %s", last.body)
		}
		if _, err := client.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket, EncodingType: encoding, MaxKeys: aws.Int32(2)}); err != nil {
			t.Fatal(err)
		}
		if !check(t, last.body, versionList) {
			t.Errorf("not understood: %s", last.body)
		}
	}
}

// recorder is an HTTP client that keeps the body of the last answer.
type recorder struct{ body []byte }

// Do implements [s3.HTTPClient].
func (c *recorder) Do(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	c.body, err = io.ReadAll(response.Body)
	response.Body = io.NopCloser(bytes.NewReader(c.body))
	return response, err
}
