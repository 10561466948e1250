package awsemu_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/awsemu"
)

// model lists keys as "Organizing objects using prefixes" describes it: in byte order, each common prefix once.
func model(keys []string, prefix, delimiter, after string) (out []string) {
	slices.Sort(keys)
	for _, k := range keys {
		if !strings.HasPrefix(k, prefix) || k <= after {
			continue
		}
		if i := strings.Index(k[len(prefix):], delimiter); delimiter != "" && i >= 0 {
			k = k[:len(prefix)+i+len(delimiter)]
		}
		if len(out) == 0 || out[len(out)-1] != k {
			out = append(out, k)
		}
	}
	return out
}

// list pages through a bucket. Keys and prefixes of a page are merged in byte order.
func (e *env) list(prefix, delimiter, after string, max int32) (out []string) {
	e.t.Helper()
	in := &s3.ListObjectsV2Input{Bucket: &e.bucket, Prefix: &prefix, Delimiter: &delimiter, MaxKeys: &max, StartAfter: &after}
	for pages := 0; ; pages++ {
		r, err := e.s3.ListObjectsV2(e.t.Context(), in)
		e.ok(err)
		var page []string
		for _, c := range r.Contents {
			page = append(page, *c.Key)
		}
		for _, p := range r.CommonPrefixes {
			page = append(page, *p.Prefix)
		}
		if len(page) > int(max) || int(*r.KeyCount) != len(page) || pages > 500 {
			e.t.Fatalf("page %d of %d, KeyCount %d, max %d", pages, len(page), *r.KeyCount, max)
		}
		slices.Sort(page)
		out = append(out, page...)
		if !*r.IsTruncated {
			return out
		}
		in.ContinuationToken = r.NextContinuationToken
	}
}

// listV1 does the same with the older operation.
func (e *env) listV1(prefix, delimiter, after string, max int32) (out []string) {
	e.t.Helper()
	in := &s3.ListObjectsInput{Bucket: &e.bucket, Prefix: &prefix, Delimiter: &delimiter, MaxKeys: &max, Marker: &after}
	for range 500 {
		r, err := e.s3.ListObjects(e.t.Context(), in)
		e.ok(err)
		var page []string
		for _, c := range r.Contents {
			page = append(page, *c.Key)
		}
		for _, p := range r.CommonPrefixes {
			page = append(page, *p.Prefix)
		}
		slices.Sort(page)
		out = append(out, page...)
		if !*r.IsTruncated {
			return out
		}
		in.Marker = aws.String(page[len(page)-1])
	}
	e.t.Fatal("the listing does not end")
	return nil
}

// TestListAgainstModel compares listings of random keys with the model.
func TestListAgainstModel(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	rnd := rand.New(rand.NewPCG(3, 4))
	letters := []string{"a", "b", "/", "/", "é", "~", "A", "+", "😀", "\uff5e"}
	var keys []string
	for range 150 {
		key := ""
		for range 1 + rnd.IntN(5) {
			key += letters[rnd.IntN(len(letters))]
		}
		if !slices.Contains(keys, key) && strings.Trim(key, "/") != "" && !strings.HasPrefix(key, "/") {
			keys = append(keys, key)
			e.put(key, "x")
		}
	}
	some := []string{"", "", "a", "a/", "b/a", "é", "zzz"}
	for range 120 {
		prefix, delimiter := some[rnd.IntN(len(some))], []string{"", "/", "a", "//"}[rnd.IntN(4)]
		after, limit := some[rnd.IntN(len(some))], int32(1+rnd.IntN(9))
		name := fmt.Sprintf("prefix %q delimiter %q after %q max %d", prefix, delimiter, after, limit)
		if got, want := e.list(prefix, delimiter, after, limit), model(keys, prefix, delimiter, after); !slices.Equal(got, want) {
			t.Errorf("%s:\n%q, want\n%q", name, got, want)
		}
		if got, want := e.listV1(prefix, delimiter, "", limit), model(keys, prefix, delimiter, ""); !slices.Equal(got, want) {
			t.Errorf("older form, %s:\n%q, want\n%q", name, got, want)
		}
	}
}

func TestListDetails(t *testing.T) {
	t.Parallel()
	e := start(t, awsemu.Config{})
	e.put("a b&<c>\"é.txt", "four")
	e.put("dir/", "")
	e.put("dir/x", "x")
	out, err := e.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &e.bucket, FetchOwner: aws.Bool(true)})
	e.ok(err)
	c := out.Contents[0]
	if *c.Key != "a b&<c>\"é.txt" || *c.Size != 4 || c.StorageClass != "STANDARD" || c.Owner == nil || !strings.HasPrefix(*c.ETag, `"`) || c.LastModified.IsZero() {
		t.Errorf("entry %+v", c)
	}
	out, err = e.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &e.bucket, EncodingType: types.EncodingTypeUrl})
	e.ok(err)
	if got := *out.Contents[0].Key; got != "a+b%26%3Cc%3E%22%C3%A9.txt" {
		t.Errorf("encoded %q", got)
	}
	// The folder's own key is an entry under its own prefix, also across a page's end.
	if got := e.list("dir/", "/", "", 1); !slices.Equal(got, []string{"dir/", "dir/x"}) {
		t.Errorf("folder: %q", got)
	}
	out, err = e.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &e.bucket, MaxKeys: aws.Int32(0)})
	e.ok(err)
	if len(out.Contents) != 0 || *out.IsTruncated {
		t.Errorf("max-keys 0: %+v", out)
	}
	_, err = e.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &e.bucket, ContinuationToken: aws.String("%%%")})
	e.wantCode(err, "InvalidArgument")
	_, err = e.s3.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("nowhere")})
	e.wantCode(err, "NoSuchBucket")
}
