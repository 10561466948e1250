// Package awsclient loads the AWS configuration and makes the clients of S3 and SQS, with the settings that every
// process here needs: connections enough for its concurrency, time limits, other endpoints than AWS's own, and the
// cure of a fault of the SDK (see [OwnBodies]).
package awsclient

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
)

// Config is what a process may set. The zero value takes everything from the environment, the shared files and the
// instance, as every AWS tool does.
type Config struct {
	// Region overrides the one of the environment. Load fails when there is neither.
	Region string
	// Endpoint is the base URL of another service than AWS, such as an emulator; S3 is then addressed by path. It
	// counts for S3 and SQS alike. AWS_ENDPOINT_URL, AWS_ENDPOINT_URL_S3 and AWS_ENDPOINT_URL_SQS do the same.
	Endpoint string
	// AccessKeyID and SecretAccessKey override the chain of credentials. Set both or neither: they are for emulators
	// and tests.
	AccessKeyID, SecretAccessKey string
	// ConnectionsPerHost is how many idle connections are kept for each host; 0 means 256. With fewer than there are
	// calls at a time, connections are made and closed all the time: each costs a TLS handshake. More costs nothing
	// until they are used.
	ConnectionsPerHost int
}

const (
	defaultConnectionsPerHost = 256
	// readTimeout is how long a connection may be silent while an answer is awaited. It must outlast a long poll of
	// SQS, which is at most 20 s. Without it, a peer that vanished would hold a caller until the kernel gives up.
	readTimeout = 40 * time.Second
	// idleTimeout is shorter than that of the services, so that connections are closed here first and a request is
	// seldom sent into one that is closing.
	idleTimeout = 30 * time.Second
)

// Load returns the configuration from which clients are made. AWS_CA_BUNDLE is honoured.
func Load(ctx context.Context, c Config) (aws.Config, error) {
	conns := c.ConnectionsPerHost
	if conns <= 0 {
		conns = defaultConnectionsPerHost
	}
	// A client other than this one makes LoadDefaultConfig fail when AWS_CA_BUNDLE is set: the SDK has to get at the
	// transport to add the certificates. So it gets this one, and OwnBodies goes around the outcome.
	buildable := awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConnsPerHost = conns
		t.MaxIdleConns = 4 * conns
		t.IdleConnTimeout = idleTimeout
	}).WithReadTimeout(readTimeout)

	options := []func(*config.LoadOptions) error{config.WithHTTPClient(buildable)}
	if c.Region != "" {
		options = append(options, config.WithRegion(c.Region))
	}
	if c.Endpoint != "" {
		u, err := url.Parse(c.Endpoint)
		if err != nil || u.Host == "" || (u.Scheme != "http" && u.Scheme != "https") {
			return aws.Config{}, fmt.Errorf("AWS endpoint %q: must be a URL such as http://127.0.0.1:4566", c.Endpoint)
		}
		options = append(options, config.WithBaseEndpoint(c.Endpoint))
	}
	if (c.AccessKeyID == "") != (c.SecretAccessKey == "") {
		return aws.Config{}, errors.New("AWS credentials: set both the access key's id and its secret, or neither")
	}
	if c.AccessKeyID != "" {
		options = append(options, config.WithCredentialsProvider(
			credentials.NewStaticCredentialsProvider(c.AccessKeyID, c.SecretAccessKey, "")))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return aws.Config{}, fmt.Errorf("loading the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return aws.Config{}, errors.New("AWS region: not set; set it by flag, AWS_REGION or the shared configuration file")
	}
	loaded, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		return aws.Config{}, fmt.Errorf("loading the AWS configuration: unexpected HTTP client %T", cfg.HTTPClient)
	}
	client, ok := loaded.Freeze().(*http.Client)
	if !ok {
		return aws.Config{}, fmt.Errorf("loading the AWS configuration: unexpected HTTP client %T", loaded.Freeze())
	}
	client.Transport = OwnBodies(client.Transport)
	cfg.HTTPClient = client
	return cfg, nil
}

// SQS returns a client of SQS.
func SQS(cfg aws.Config) *sqs.Client {
	return sqs.NewFromConfig(cfg)
}

// S3 returns a client of S3. With an endpoint of its own, buckets are addressed by path, because names of virtual
// hosts do not resolve there, and checksums are sent only where S3 demands them, because other stores refuse the
// trailers that the SDK would send otherwise.
func S3(cfg aws.Config) *s3.Client {
	return s3.NewFromConfig(cfg, func(o *s3.Options) {
		o.UsePathStyle = o.BaseEndpoint != nil
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
	})
}
