package objectstore_test

import (
	"crypto/sha256"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/uuid"

	"github.com/coatcheck/coatcheck/internal/awsclient"
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

// client makes a client of an S3 at an endpoint, which tries each call once unless it is told otherwise.
func client(endpoint string, c aws.CredentialsProvider) *s3.Client {
	return awsclient.S3(aws.Config{
		Region: "eu-central-1", BaseEndpoint: &endpoint, Credentials: c, Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	})
}

var static = credentials.NewStaticCredentialsProvider("test", "test", "")

// scripted is a store whose S3 is the handler: for answers that a sound S3 does not give.
func scripted(t *testing.T, answer http.HandlerFunc) *objectstore.Store {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return objectstore.New(client(server.URL, static), bucket, prefix, time.Now)
}
