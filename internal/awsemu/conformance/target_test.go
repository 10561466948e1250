package conformance

import (
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/coatcheck/coatcheck/internal/awsclient"
)

const region = "us-east-1"

// target is the server under test and the clients for it.
type target struct {
	name      string // the key into knownDifferences
	endpoint  string // without a trailing slash
	accessKey string
	secretKey string
	http      *http.Client
	s3        *s3.Client
	presign   *s3.PresignClient
	sqs       *sqs.Client
}

// newTarget returns the target that COATCHECK_CONFORMANCE_ENDPOINT names, else a fresh emulator in this process.
func newTarget(t *testing.T) *target {
	t.Helper()
	tg := &target{
		name:      envOr("COATCHECK_CONFORMANCE_NAME", "awsemu"),
		endpoint:  os.Getenv("COATCHECK_CONFORMANCE_ENDPOINT"),
		accessKey: envOr("COATCHECK_CONFORMANCE_ACCESS_KEY", "test"),
		secretKey: envOr("COATCHECK_CONFORMANCE_SECRET_KEY", "test"),
	}
	if tg.endpoint == "" {
		tg.name = "awsemu"
		tg.endpoint = serveEmulator(t)
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.MaxIdleConnsPerHost = 64
	t.Cleanup(transport.CloseIdleConnections)
	// No redirects: an S3 answer is judged as it came.
	tg.http = &http.Client{
		Transport:     awsclient.OwnBodies(transport),
		Timeout:       40 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	tg.s3 = tg.newS3(tg.accessKey, tg.secretKey)
	tg.presign = s3.NewPresignClient(tg.s3)
	tg.sqs = tg.newSQS(tg.accessKey, tg.secretKey, tg.http)
	return tg
}

// newS3 returns a client that tries once: a check judges the server's first answer. It sends checksums only where it is
// told to, as coatcheck's client does.
func (tg *target) newS3(accessKey, secretKey string) *s3.Client {
	return s3.New(s3.Options{
		Region:           region,
		BaseEndpoint:     &tg.endpoint,
		UsePathStyle:     true,
		Credentials:      credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		RetryMaxAttempts: 1,
		HTTPClient:       tg.http,

		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
}

// newSQS returns a client that tries once.
func (tg *target) newSQS(accessKey, secretKey string, client sqs.HTTPClient) *sqs.Client {
	return sqs.New(sqs.Options{
		Region:           region,
		BaseEndpoint:     aws.String(tg.endpoint),
		Credentials:      credentials.NewStaticCredentialsProvider(accessKey, secretKey, ""),
		RetryMaxAttempts: 1,
		HTTPClient:       client,
	})
}

func envOr(name, fallback string) string {
	if v := os.Getenv(name); v != "" {
		return v
	}
	return fallback
}
