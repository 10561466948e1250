package objectstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/objectstore"
)

const (
	bucket = "bucket"
	prefix = "media/"
)

var (
	keys, _ = media.NewKeys(prefix)
	content = []byte("not really a picture")
	sum     = sha256.Sum256(content)
)

// newMedia is an upload of content, as declared.
func newMedia(change ...func(*media.Media)) *media.Media {
	id := uuid.Must(uuid.NewV7())
	m := &media.Media{
		ID: id, Key: keys.Key(id), ContentType: "image/jpeg", SizeBytes: int64(len(content)), ChecksumSHA256: sum[:],
		FileName: "Füße.jpg",
	}
	for _, f := range change {
		f(m)
	}
	return m
}

// client makes a client of an S3 at an endpoint, which tries each call once, so that each fault is seen.
func client(t *testing.T, endpoint string, c aws.CredentialsProvider) *s3.Client {
	t.Helper()
	cfg, err := awsclient.Load(t.Context(), awsclient.Config{
		Region: "us-east-1", Endpoint: endpoint, AccessKeyID: "test", SecretAccessKey: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	cfg.Credentials = c
	cfg.Retryer = func() aws.Retryer { return aws.NopRetryer{} }
	return awsclient.S3(cfg)
}

var static = credentials.NewStaticCredentialsProvider("test", "test", "")

// scripted is a store whose S3 is the handler: for answers that a sound S3 does not give.
func scripted(t *testing.T, answer http.HandlerFunc) *objectstore.Store {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return objectstore.New(client(t, server.URL, static), bucket, prefix, time.Now)
}

// fixture is a store on an emulated S3.
type fixture struct {
	*objectstore.Store
	s3  *s3.Client
	emu *awsemu.Server
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	emu, err := awsemu.New(awsemu.Config{})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(emu)
	t.Cleanup(func() {
		server.Close()
		if err := emu.Close(); err != nil {
			t.Error(err)
		}
	})
	f := &fixture{s3: client(t, server.URL, static), emu: emu}
	f.Store = objectstore.New(f.s3, bucket, prefix, time.Now)
	if _, err := f.s3.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(bucket)}); err != nil {
		t.Fatal(err)
	}
	return f
}

// put stores content under the media's key, however often.
func (f *fixture) put(t *testing.T, m *media.Media) (versionID string) {
	t.Helper()
	out, err := f.s3.PutObject(t.Context(), &s3.PutObjectInput{
		Bucket: aws.String(bucket), Key: &m.Key, Body: bytes.NewReader(content), ContentType: &m.ContentType,
		ChecksumSHA256: aws.String(base64.StdEncoding.EncodeToString(sum[:])),
	})
	if err != nil {
		t.Fatal(err)
	}
	return aws.ToString(out.VersionId)
}

// version turns the bucket's versioning on or off.
func (f *fixture) version(t *testing.T, status types.BucketVersioningStatus) {
	t.Helper()
	_, err := f.s3.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{
		Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: status},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// left counts what the bucket still holds of a key's versions and delete markers.
func (f *fixture) left(t *testing.T, key string) (versions, markers int) {
	t.Helper()
	out, err := f.s3.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: aws.String(bucket), Prefix: &key})
	if err != nil {
		t.Fatal(err)
	}
	return len(out.Versions), len(out.DeleteMarkers)
}
