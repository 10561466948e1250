package awsclient_test

import (
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"github.com/coatcheck/coatcheck/internal/awsclient"
)

// isolate hides the machine's own AWS settings from Load. A test that calls it cannot be parallel.
func isolate(t *testing.T) {
	t.Helper()
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_EC2_METADATA_DISABLED", "true")
}

// TestLoadHonoursCABundle calls a server whose certificate only AWS_CA_BUNDLE vouches for: that setting and an HTTP
// client of one's own exclude each other unless Load takes care.
func TestLoadHonoursCABundle(t *testing.T) {
	isolate(t)
	var path string
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path = r.Method + " " + r.URL.Path
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(server.Close)
	bundle := filepath.Join(t.TempDir(), "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(bundle, cert, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_CA_BUNDLE", bundle)
	cfg, err := awsclient.Load(t.Context(), awsclient.Config{
		Region: "eu-central-1", Endpoint: server.URL, AccessKeyID: "id", SecretAccessKey: "secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := awsclient.SQS(cfg).ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(server.URL + "/1/q")}); err != nil {
		t.Errorf("SQS: %v", err)
	}
	if _, err := awsclient.S3(cfg).HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: aws.String("b"), Key: aws.String("k/1")}); err != nil {
		t.Errorf("S3: %v", err)
	}
	if path != "HEAD /b/k/1" {
		t.Errorf("S3 was called by %q, not by path", path)
	}
}

func TestS3AddressesAWSByHost(t *testing.T) {
	isolate(t)
	cfg, err := awsclient.Load(t.Context(), awsclient.Config{Region: "eu-central-1", AccessKeyID: "id", SecretAccessKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	if awsclient.S3(cfg).Options().UsePathStyle {
		t.Error("AWS's own buckets are addressed by path")
	}
	t.Setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")
	if cfg, err = awsclient.Load(t.Context(), awsclient.Config{Region: "eu-central-1"}); err != nil {
		t.Fatal(err)
	}
	if !awsclient.S3(cfg).Options().UsePathStyle {
		t.Error("an endpoint from the environment is not addressed by path")
	}
}

func TestLoadRefuses(t *testing.T) {
	isolate(t)
	for want, c := range map[string]awsclient.Config{
		"AWS region: not set":     {},
		`AWS endpoint "nonsense"`: {Region: "r", Endpoint: "nonsense"},
		`AWS endpoint "ftp://h"`:  {Region: "r", Endpoint: "ftp://h"},
		"AWS credentials: set":    {Region: "r", AccessKeyID: "id"},
	} {
		if _, err := awsclient.Load(t.Context(), c); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v: the error is %v, without %q", c, err, want)
		}
	}
}
