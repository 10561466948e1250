package objectstore_test

import (
	"bytes"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/objectstore"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// listed lists a range to its end, or to an error.
func listed(t *testing.T, s *objectstore.Store, r reconcile.Range) (all []reconcile.Listed, _ error) {
	t.Helper()
	for page, err := range s.List(t.Context(), r) {
		if err != nil {
			return all, err
		}
		all = append(all, page...)
	}
	return all, nil
}

// TestListIsTheBucket lists several pages, with keys that XML and URLs cannot hold as they are, from and to keys in the
// middle.
func TestListIsTheBucket(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	want := map[string]bool{}
	put := func(key string) {
		f.put(t, newMedia(func(m *media.Media) { m.Key = key }))
		want[key] = true
	}
	for i := range 1100 {
		put(fmt.Sprintf("media/%04d", i))
	}
	for _, key := range []string{"media/a b", "media/a+b", "media/a%2Bb", "media/<&>\"'", "media/Füße", "media/tab\there", "media/\u2028", "media/a//b"} {
		put(key)
	}
	all := slices.Sorted(maps.Keys(want))
	for _, r := range []reconcile.Range{{Prefix: "media/"}, {Prefix: "media/", After: "media/0500"}, {Prefix: "media/", After: "media/0099", Until: "media/a b"}} {
		got, err := listed(t, f.Store, r)
		if err != nil {
			t.Fatal(err)
		}
		var keys []string
		for _, o := range got {
			keys = append(keys, o.Key)
			if o.SizeBytes != int64(len(content)) || len(o.ETag) != 32 || o.LastModified.IsZero() {
				t.Fatalf("%+v", o)
			}
		}
		inRange := slices.DeleteFunc(slices.Clone(all), func(k string) bool { return k <= r.After || r.Until != "" && k > r.Until })
		if !slices.Equal(keys, inRange) {
			t.Errorf("%+v: %d keys, want %d", r, len(keys), len(inRange))
		}
	}
}

// TestListOfVersions: all of a key's versions are one entry, also when they are spread over pages.
func TestListOfVersions(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.version(t, "Enabled")
	many, hidden, one := newMedia(), newMedia(), newMedia()
	many.Key, hidden.Key, one.Key = "media/a +", "media/b", "media/c"
	var last string
	for range 1200 {
		last = f.put(t, many)
	}
	old := f.put(t, hidden)
	f.hide(t, hidden)
	current := f.put(t, one)
	got, err := listed(t, f.Store, reconcile.Range{Prefix: "media/"})
	if err != nil || len(got) != 3 {
		t.Fatalf("%d entries, %v", len(got), err)
	}
	a, b, c := got[0], got[1], got[2]
	if a.Key != many.Key || a.VersionID != last || len(a.Noncurrent) != 1199 || a.NoncurrentBytes != 1199*int64(len(content)) || a.NoObject {
		t.Errorf("%s has version %s and %d others of %d bytes", a.Key, a.VersionID, len(a.Noncurrent), a.NoncurrentBytes)
	}
	if b.Key != hidden.Key || !b.NoObject || b.DeleteMarkers != 1 || !slices.Equal(b.Noncurrent, []string{old}) {
		t.Errorf("%+v", b)
	}
	if c.Key != one.Key || c.VersionID != current || len(c.ETag) != 32 || c.NoObject || len(c.Noncurrent) != 0 {
		t.Errorf("%+v", c)
	}
}

const emptyListing = `<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>`

// TestListFailsClosed: what was cut off, refused or is no listing at all must not be taken for the end of the bucket, or
// everything in it would look missing.
func TestListFailsClosed(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]http.HandlerFunc{
		"shorter than its length": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(len(emptyListing)+100))
			_, _ = w.Write([]byte(emptyListing))
		},
		"cut off between chunks": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(emptyListing))
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"without its end": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Replace(emptyListing, "</ListBucketResult>", "", 1)))
		},
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"a page of a proxy": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`<html><body>Please sign in</body></html>`))
		},
		"an error that is called a success": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(`<?xml version="1.0" encoding="UTF-8"?><Error><Code>InternalError</Code><Message>Try again.</Message></Error>`))
		},
		"more, and not where": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write([]byte(strings.Replace(emptyListing, "false", "true", 1)))
		},
		"refused": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			_, _ = w.Write([]byte(`<Error><Code>AccessDenied</Code></Error>`))
		},
	} {
		for _, versioning := range []string{"", "<Status>Enabled</Status>"} {
			store := scripted(t, func(w http.ResponseWriter, r *http.Request) {
				switch {
				case r.URL.Query().Has("versioning"):
					fmt.Fprintf(w, "<VersioningConfiguration>%s</VersioningConfiguration>", versioning)
				case versioning == "":
					answer(w, r)
				default:
					answer(versions{w}, r)
				}
			})
			got, err := listed(t, store, reconcile.Range{Prefix: prefix})
			if err == nil || len(got) > 0 {
				t.Errorf("%s: %d objects, %v", name, len(got), err)
			}
			if name == "an error that is called a success" && !strings.Contains(fmt.Sprint(err), "InternalError") {
				t.Errorf("the error is %v", err)
			}
			if name == "refused" && !strings.Contains(fmt.Sprint(err), "s3:ListBucket") {
				t.Errorf("the error does not say what to allow: %v", err)
			}
		}
	}
}

// versions makes an answer of ListObjectVersions from one of ListObjectsV2.
type versions struct{ http.ResponseWriter }

// Write implements [io.Writer].
func (w versions) Write(b []byte) (int, error) {
	return w.ResponseWriter.Write(bytes.ReplaceAll(b, []byte("ListBucketResult"), []byte("ListVersionsResult")))
}

// Unwrap is for [http.ResponseController].
func (w versions) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// TestUploadsOverPages tells each unfinished upload once, whatever their keys become in a URL: below them in the order of
// keys, or above.
func TestUploadsOverPages(t *testing.T) {
	t.Parallel()
	for _, folder := range []string{"media/über/", "media/a b/"} {
		t.Run(folder, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			const n = 1001 // a page is 1000
			for i := range n {
				key := fmt.Sprintf("%s%04d", folder, i)
				if _, err := f.s3.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String(bucket), Key: &key}); err != nil {
					t.Fatal(err)
				}
			}
			seen := map[string]bool{}
			for u, err := range f.Uploads(t.Context(), "media/") {
				if err != nil {
					t.Fatal(err)
				}
				if seen[u.ID] {
					t.Fatalf("%s is told again after %d others", u.Key, len(seen))
				}
				seen[u.ID] = true
			}
			if len(seen) != n {
				t.Errorf("%d of %d uploads were told", len(seen), n)
			}
		})
	}
}

// TestUploadsWithoutAMarker: that there is more, and not where, is an error and not the end.
func TestUploadsWithoutAMarker(t *testing.T) {
	t.Parallel()
	s := scripted(t, func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `<ListMultipartUploadsResult><IsTruncated>true</IsTruncated></ListMultipartUploadsResult>`)
	})
	for u, err := range s.Uploads(t.Context(), "media/") {
		if err == nil || !strings.Contains(err.Error(), "and not where") {
			t.Errorf("it tells of %+v, %v", u, err)
		}
		return
	}
	t.Error("it is at its end")
}
