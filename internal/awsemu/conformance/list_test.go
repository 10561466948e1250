package conformance

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// awkward are keys whose order differs between bytes, UTF-16 and any locale, in byte order.
var awkward = []string{"l/0", "l/B", "l/a", "l/a b", "l/a!", "l/a%2Fb", "l/a+b", "l/a/b", "l/é", "l/\uff5e", "l/😀"}

func (e *env) putAll(bucket string, keys []string) {
	var wg sync.WaitGroup
	limit := make(chan struct{}, 8)
	for _, k := range keys {
		limit <- struct{}{}
		wg.Go(func() {
			defer func() { <-limit }()
			_, err := e.s3.PutObject(e.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &k, Body: strings.NewReader(k)})
			if err != nil {
				e.Errorf("putting %s: %v", k, err)
			}
		})
	}
	wg.Wait()
}

// listed returns the keys and the common prefixes of all pages, and how many pages there were.
func (e *env) listed(in s3.ListObjectsV2Input) (keys, prefixes []string, pages int) {
	for {
		out, err := e.s3.ListObjectsV2(e.Context(), &in)
		e.must(err, "listing")
		pages++
		for _, o := range out.Contents {
			keys = append(keys, value(o.Key))
		}
		for _, p := range out.CommonPrefixes {
			prefixes = append(prefixes, value(p.Prefix))
		}
		if n := len(out.Contents) + len(out.CommonPrefixes); int(value(out.KeyCount)) != n {
			e.Errorf("page %d: KeyCount %d with %d entries", pages, value(out.KeyCount), n)
		}
		if !value(out.IsTruncated) {
			if out.NextContinuationToken != nil {
				e.Errorf("the last page has a continuation token")
			}
			return keys, prefixes, pages
		}
		if value(out.NextContinuationToken) == "" || pages > 100 {
			e.Fatalf("page %d is truncated, its token is %q", pages, value(out.NextContinuationToken))
		}
		in.ContinuationToken = out.NextContinuationToken
	}
}

// wantKeys compares two lists of keys.
func (e *env) wantKeys(what string, got, want []string) {
	if !slices.Equal(got, want) {
		e.Errorf("%s: got %q, want %q", what, got, want)
	}
}

var listChecks = []check{
	{"empty", func(e *env) {
		b := e.bucket()
		keys, prefixes, pages := e.listed(s3.ListObjectsV2Input{Bucket: &b})
		if len(keys)+len(prefixes) != 0 || pages != 1 {
			e.Errorf("%q, %q, %d pages", keys, prefixes, pages)
		}
	}},
	{"byte-order", func(e *env) {
		b := e.bucket()
		e.putAll(b, awkward)
		keys, _, _ := e.listed(s3.ListObjectsV2Input{Bucket: &b})
		e.wantKeys("listed", keys, awkward)
	}},
	{"pages", func(e *env) {
		b := e.bucket()
		want := awkward[:8]
		e.putAll(b, want)
		for size, wantPages := range map[int32]int{1: 8, 3: 3, 4: 2, 7: 2, 8: 1, 9: 1} {
			keys, _, pages := e.listed(s3.ListObjectsV2Input{Bucket: &b, MaxKeys: &size})
			e.wantKeys(fmt.Sprintf("in pages of %d", size), keys, want)
			if pages != wantPages {
				e.Errorf("%d pages of %d, want %d", pages, size, wantPages)
			}
		}
	}},
	{"pages-beyond-ascii", func(e *env) {
		b := e.bucket()
		e.putAll(b, awkward)
		keys, _, pages := e.listed(s3.ListObjectsV2Input{Bucket: &b, MaxKeys: ptr(int32(1))})
		e.wantKeys("in pages of 1", keys, awkward)
		if pages != len(awkward) {
			e.Errorf("%d pages of 1", pages)
		}
	}},
	{"page-limit", func(e *env) {
		b := e.bucket()
		var want []string
		for i := range 1001 {
			want = append(want, fmt.Sprintf("k/%04d", i))
		}
		e.putAll(b, want)
		keys, _, pages := e.listed(s3.ListObjectsV2Input{Bucket: &b, MaxKeys: ptr(int32(5000))})
		if !slices.Equal(keys, want) || pages != 2 {
			e.Errorf("%d keys in %d pages, want 1001 in 2", len(keys), pages)
		}
	}},
	{"token-outlives-its-key", func(e *env) {
		// The sweep deletes while it lists.
		b := e.bucket()
		e.putAll(b, []string{"a", "b", "c", "d"})
		first, err := e.s3.ListObjectsV2(e.Context(), &s3.ListObjectsV2Input{Bucket: &b, MaxKeys: ptr(int32(2))})
		e.must(err, "listing")
		for _, k := range []string{"b", "c"} {
			_, err := e.s3.DeleteObject(e.Context(), &s3.DeleteObjectInput{Bucket: &b, Key: &k})
			e.must(err, "deleting")
		}
		keys, _, _ := e.listed(s3.ListObjectsV2Input{Bucket: &b, ContinuationToken: first.NextContinuationToken})
		e.wantKeys("the second page", keys, []string{"d"})
	}},
	{"prefix", func(e *env) {
		b := e.bucket()
		e.putAll(b, []string{"a", "m", "m/", "m/1", "m/2", "m0", "n"})
		keys, _, _ := e.listed(s3.ListObjectsV2Input{Bucket: &b, Prefix: ptr("m/")})
		e.wantKeys("m/", keys, []string{"m/", "m/1", "m/2"})
		keys, _, _ = e.listed(s3.ListObjectsV2Input{Bucket: &b, Prefix: ptr("m")})
		e.wantKeys("m", keys, []string{"m", "m/", "m/1", "m/2", "m0"})
		keys, _, _ = e.listed(s3.ListObjectsV2Input{Bucket: &b, Prefix: ptr("x")})
		e.wantKeys("x", keys, nil)
	}},
	{"start-after", func(e *env) {
		b := e.bucket()
		e.putAll(b, awkward)
		keys, _, _ := e.listed(s3.ListObjectsV2Input{Bucket: &b, StartAfter: ptr("l/a+b")})
		e.wantKeys("after a key", keys, awkward[7:])
		keys, _, _ = e.listed(s3.ListObjectsV2Input{Bucket: &b, StartAfter: ptr("l/a,")})
		e.wantKeys("after what is no key", keys, awkward[7:])
		keys, _, _ = e.listed(s3.ListObjectsV2Input{Bucket: &b, StartAfter: ptr("l/a"), Prefix: ptr("l/a"), MaxKeys: ptr(int32(2))})
		e.wantKeys("in pages", keys, awkward[3:8])
		keys, _, _ = e.listed(s3.ListObjectsV2Input{Bucket: &b, Prefix: ptr("l/a"), StartAfter: ptr("l/a+b")})
		e.wantKeys("with a prefix", keys, []string{"l/a/b"})
	}},
	{"delimiter", func(e *env) {
		b := e.bucket()
		e.putAll(b, []string{"m/00/a", "m/00/b", "m/01/a", "m/top", "z"})
		keys, prefixes, _ := e.listed(s3.ListObjectsV2Input{Bucket: &b, Delimiter: ptr("/")})
		e.wantKeys("keys", keys, []string{"z"})
		e.wantKeys("prefixes", prefixes, []string{"m/"})
		keys, prefixes, _ = e.listed(s3.ListObjectsV2Input{Bucket: &b, Delimiter: ptr("/"), Prefix: ptr("m/")})
		e.wantKeys("keys under m/", keys, []string{"m/top"})
		e.wantKeys("prefixes under m/", prefixes, []string{"m/00/", "m/01/"})
	}},
	{"delimiter-pages", func(e *env) {
		// A common prefix counts as one, and appears on one page only.
		b := e.bucket()
		e.putAll(b, []string{"a", "b/1", "b/2", "b/3", "c", "d/1", "d/2", "e"})
		keys, prefixes, pages := e.listed(s3.ListObjectsV2Input{Bucket: &b, Delimiter: ptr("/"), MaxKeys: ptr(int32(2))})
		e.wantKeys("keys", keys, []string{"a", "c", "e"})
		e.wantKeys("prefixes", prefixes, []string{"b/", "d/"})
		if pages != 3 {
			e.Errorf("%d pages, want 3", pages)
		}
	}},
	{"encoding-type-url", func(e *env) {
		b := e.bucket()
		e.putAll(b, []string{"a b/é+%"})
		out, err := e.s3.ListObjectsV2(e.Context(), &s3.ListObjectsV2Input{Bucket: &b, Prefix: ptr("a b"), EncodingType: types.EncodingTypeUrl})
		e.must(err, "listing")
		if len(out.Contents) != 1 {
			e.Fatalf("%d entries", len(out.Contents))
		}
		// A space as + or %20: clients have to decode both.
		for got, want := range map[string]string{value(out.Contents[0].Key): "a+b/%C3%A9%2B%25", value(out.Prefix): "a+b"} {
			if strings.ReplaceAll(got, "%20", "+") != want {
				e.Errorf("got %q, want %q", got, want)
			}
		}
	}},
	{"entry", func(e *env) {
		b := e.bucket()
		tag := e.put(b, "k", body).ETag
		h, err := e.s3.HeadObject(e.Context(), &s3.HeadObjectInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "HEAD")
		out, err := e.s3.ListObjectsV2(e.Context(), &s3.ListObjectsV2Input{Bucket: &b})
		e.must(err, "listing")
		if len(out.Contents) != 1 {
			e.Fatalf("contents %+v", out.Contents)
		}
		o := out.Contents[0]
		if value(o.Size) != int64(len(body)) || value(o.ETag) != value(tag) || o.StorageClass != types.ObjectStorageClassStandard {
			e.Errorf("size %d, ETag %s, class %s", value(o.Size), value(o.ETag), o.StorageClass)
		}
		if o.LastModified == nil || !o.LastModified.Truncate(1e9).Equal(h.LastModified.Truncate(1e9)) {
			e.Errorf("LastModified %v, HEAD says %v", o.LastModified, h.LastModified)
		}
	}},
	{"no-unfinished-uploads", func(e *env) {
		b := e.bucket()
		_, err := e.s3.CreateMultipartUpload(e.Context(), &s3.CreateMultipartUploadInput{Bucket: &b, Key: ptr("k")})
		e.must(err, "creating an upload")
		keys, _, _ := e.listed(s3.ListObjectsV2Input{Bucket: &b})
		e.wantKeys("listed", keys, nil)
	}},
}
