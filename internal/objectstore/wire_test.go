package objectstore_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coatcheck/coatcheck/internal/media"
	"github.com/coatcheck/coatcheck/internal/objectstore"
)

// send sends a presigned request as a client does: the method, the URL and the header that it was given.
func send(t *testing.T, r media.Presigned, body []byte, change ...func(*http.Request)) (status int, header http.Header, answer string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), r.Method, r.URL, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = r.Header.Clone()
	for _, f := range change {
		f(req)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// TestUploadAndDownload goes once around: presign, PUT, HEAD, presign, GET.
func TestUploadAndDownload(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := newMedia()
	if _, found, err := f.Head(t.Context(), m.Key); found || err != nil {
		t.Fatalf("before the upload: %t, %v", found, err)
	}
	r, err := f.PresignPut(t.Context(), m, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	before := time.Now().Add(-2 * time.Second)
	if status, _, answer := send(t, r, content); status != http.StatusOK {
		t.Fatalf("the upload was answered %d: %s", status, answer)
	}
	o, found, err := f.Head(t.Context(), m.Key)
	if err != nil || !found {
		t.Fatalf("after the upload: %t, %v", found, err)
	}
	if o.SizeBytes != m.SizeBytes || o.ContentType != m.ContentType || !bytes.Equal(o.ChecksumSHA256, sum[:]) ||
		o.ETag == "" || strings.Contains(o.ETag, `"`) || o.VersionID != "" || o.LastModified.Before(before) {
		t.Errorf("HEAD tells %+v", o)
	}
	if l := m.Observe(o); l.Mismatch != "" {
		t.Errorf("what was uploaded is %s", l.Mismatch)
	}
	if r, err = f.PresignGet(t.Context(), m, time.Minute); err != nil {
		t.Fatal(err)
	}
	status, header, answer := send(t, r, nil)
	if status != http.StatusOK || answer != string(content) || header.Get("Content-Type") != m.ContentType ||
		!strings.Contains(header.Get("Content-Disposition"), "filename*=UTF-8''F%C3%BC%C3%9Fe.jpg") {
		t.Errorf("the download was answered %d %v: %q", status, header, answer)
	}
}

// TestOnlyTheDeclaredUploadFits sends to each presigned request what it was not made for. Nothing may get in.
func TestOnlyTheDeclaredUploadFits(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	other := bytes.ToUpper(content)
	otherSum := sha256.Sum256(other)
	for name, c := range map[string]struct {
		body   []byte
		change func(*http.Request)
		status int
		code   string
	}{
		"longer":          {append(bytes.Clone(content), '!'), nil, 403, "SignatureDoesNotMatch"},
		"shorter":         {content[1:], nil, 403, "SignatureDoesNotMatch"},
		"other content":   {other, nil, 400, "BadDigest"},
		"other checksum":  {other, setHeader("X-Amz-Checksum-Sha256", base64.StdEncoding.EncodeToString(otherSum[:])), 403, "SignatureDoesNotMatch"},
		"no checksum":     {other, setHeader("X-Amz-Checksum-Sha256", ""), 403, ""},
		"other type":      {content, setHeader("Content-Type", "text/html"), 403, "SignatureDoesNotMatch"},
		"not write-once":  {content, setHeader("If-None-Match", ""), 403, ""},
		"unsigned header": {content, setHeader("X-Amz-Acl", "public-read"), 403, ""},
		"other key":       {content, func(r *http.Request) { r.URL.Path += "0" }, 403, "SignatureDoesNotMatch"},
		"a GET in place":  {nil, func(r *http.Request) { r.Method = http.MethodGet }, 403, "SignatureDoesNotMatch"},
		"a longer life": {content, func(r *http.Request) {
			r.URL.RawQuery = strings.Replace(r.URL.RawQuery, "Expires=60", "Expires=600", 1)
		}, 403, "SignatureDoesNotMatch"},
		"without a secret": {content, func(r *http.Request) { r.URL.RawQuery = "" }, 403, "AccessDenied"},
	} {
		m := newMedia()
		r, err := f.PresignPut(t.Context(), m, time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		var changes []func(*http.Request)
		if c.change != nil {
			changes = append(changes, c.change)
		}
		status, _, answer := send(t, r, c.body, changes...)
		if status != c.status || !strings.Contains(answer, c.code) {
			t.Errorf("%s: answered %d, want %d %s: %s", name, status, c.status, c.code, answer)
		}
		if _, found, err := f.Head(t.Context(), m.Key); found || err != nil {
			t.Errorf("%s: there is an object afterwards: %t, %v", name, found, err)
		}
	}
}

func setHeader(name, value string) func(*http.Request) {
	return func(r *http.Request) {
		if r.Header.Del(name); value != "" {
			r.Header.Set(name, value)
		}
	}
}

// TestUploadIsWriteOnce: the URL is good for a while, and so could be used twice.
func TestUploadIsWriteOnce(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := newMedia(func(m *media.Media) { m.ChecksumSHA256 = nil })
	r, err := f.PresignPut(t.Context(), m, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, answer := send(t, r, content); status != http.StatusOK {
		t.Fatalf("the upload was answered %d: %s", status, answer)
	}
	was, _, err := f.Head(t.Context(), m.Key)
	if err != nil {
		t.Fatal(err)
	}
	if status, _, answer := send(t, r, bytes.ToUpper(content)); status != http.StatusPreconditionFailed {
		t.Errorf("the second upload was answered %d: %s", status, answer)
	}
	is, _, err := f.Head(t.Context(), m.Key)
	if err != nil || is.ETag != was.ETag {
		t.Errorf("the object was %v and is %v, %v", was, is, err)
	}
}

func TestExpiredURL(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	m := newMedia()
	past := objectstore.New(f.s3, bucket, prefix, func() time.Time { return time.Now().Add(-time.Hour) })
	r, err := past.PresignPut(t.Context(), m, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if !r.ExpiresAt.Before(time.Now()) {
		t.Errorf("expires at %v", r.ExpiresAt)
	}
	if status, _, answer := send(t, r, content); status != http.StatusForbidden || !strings.Contains(answer, "Request has expired") {
		t.Errorf("answered %d: %s", status, answer)
	}
	if _, found, err := f.Head(t.Context(), m.Key); found || err != nil {
		t.Errorf("there is an object afterwards: %t, %v", found, err)
	}
}

// TestDownloadOfAVersion: what was confirmed is what is downloaded, whatever came after.
func TestDownloadOfAVersion(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.version(t, "Enabled")
	m := newMedia()
	m.VersionID = f.put(t, m)
	if o, _, err := f.Head(t.Context(), m.Key); err != nil || o.VersionID != m.VersionID {
		t.Fatalf("HEAD tells %+v, %v; the version is %s", o, err, m.VersionID)
	}
	if later := f.put(t, m); later == m.VersionID {
		t.Fatalf("both versions are %s", later)
	}
	r, err := f.PresignGet(t.Context(), m, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	if status, header, answer := send(t, r, nil); status != http.StatusOK || header.Get("X-Amz-Version-Id") != m.VersionID {
		t.Errorf("answered %d with version %s: %s", status, header.Get("X-Amz-Version-Id"), answer)
	}
}
