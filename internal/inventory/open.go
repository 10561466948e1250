package inventory

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// maxManifest bounds manifest.json, in bytes. A file takes about 180 there and holds a million objects or more.
const maxManifest = 32 << 20

// Open reads and checks the manifest of a report, s3://bucket/path/manifest.json, and beside it manifest.checksum.
// The credentials must be allowed s3:GetObject there, and kms:Decrypt where the report is encrypted with a KMS key.
// The data files are taken from the same bucket, also when the manifest names another: a report may have been
// replicated.
func Open(ctx context.Context, client Client, url string) (*Inventory, error) {
	bucket, key, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	inv, err := open(ctx, client, bucket, key)
	if err != nil {
		return nil, fmt.Errorf("opening the inventory %s: %w", url, err)
	}
	return inv, nil
}

func open(ctx context.Context, client Client, bucket, key string) (*Inventory, error) {
	text, err := get(ctx, client, bucket, key, maxManifest)
	if err != nil {
		return nil, err
	}
	// S3 writes it last, and a notification of it is the one to wait for.
	// https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-notification.html
	checksum, err := get(ctx, client, bucket, strings.TrimSuffix(key, "json")+"checksum", 1024)
	if err != nil {
		return nil, err
	}
	sum := md5.Sum(text)
	if want := strings.TrimSpace(string(checksum)); !strings.EqualFold(want, hex.EncodeToString(sum[:])) {
		return nil, fmt.Errorf("the MD5 of manifest.json is %x, and manifest.checksum has %s: one of them is damaged, or they are just being replaced",
			sum, quote(want))
	}
	inv, err := decodeManifest(text)
	if err != nil {
		return nil, err
	}
	inv.client, inv.bucket = client, bucket
	return inv, nil
}

// parseURL takes the URL of a manifest apart. It is not a URL of RFC 3986: nothing in it is encoded.
func parseURL(url string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(url, "s3://")
	bucket, key, _ = strings.Cut(rest, "/")
	if !ok || bucket == "" || key != "manifest.json" && !strings.HasSuffix(key, "/manifest.json") {
		return "", "", fmt.Errorf("%s is not where the manifest of an inventory is: s3://BUCKET/PATH/manifest.json", quote(url))
	}
	return bucket, key, nil
}

// get reads a small object.
func get(ctx context.Context, client Client, bucket, key string, limit int64) ([]byte, error) {
	out, err := client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key})
	if err != nil {
		return nil, fmt.Errorf("reading s3://%s/%s: %w", bucket, key, explain(err))
	}
	defer out.Body.Close()
	text, err := io.ReadAll(io.LimitReader(out.Body, limit+1))
	if err != nil {
		return nil, fmt.Errorf("reading s3://%s/%s: %w", bucket, key, err)
	}
	if int64(len(text)) > limit {
		return nil, fmt.Errorf("reading s3://%s/%s: it has more than %d bytes", bucket, key, limit)
	}
	return text, nil
}
