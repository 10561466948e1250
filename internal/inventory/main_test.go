package inventory_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/md5"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net/http/httptest"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/inventory"
)

const (
	source      = "media-bucket"
	destination = "reports"
	folder      = "inventory/media-bucket/daily/2024-05-07T01-00Z/"
	manifestURL = "s3://" + destination + "/" + folder + "manifest.json"
)

var createdAt = time.Date(2024, 5, 7, 1, 0, 0, 0, time.UTC)

// files are what is in the destination bucket, by key.
type files map[string][]byte

// manifest is manifest.json, to be made and to be spoilt.
type manifest struct {
	SourceBucket      string         `json:"sourceBucket"`
	DestinationBucket string         `json:"destinationBucket"`
	Version           string         `json:"version"`
	CreationTimestamp string         `json:"creationTimestamp"`
	FileFormat        string         `json:"fileFormat"`
	FileSchema        string         `json:"fileSchema"`
	Files             []manifestFile `json:"files"`
}

type manifestFile struct {
	Key         string `json:"key"`
	Size        int    `json:"size"`
	MD5Checksum string `json:"MD5checksum"`
}

const (
	csvCurrent      = "Bucket, Key, Size, LastModifiedDate, ETag, StorageClass"
	csvVersions     = "Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag, StorageClass"
	parquetCurrent  = "message s3.inventory {  required binary bucket (STRING);  required binary key (STRING);  optional int64 size;  optional int64 last_modified_date (TIMESTAMP(MILLIS,true));  optional binary e_tag (STRING);  optional binary storage_class (STRING);}"
	parquetVersions = "message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); optional binary version_id (UTF8); optional boolean is_latest; optional boolean is_delete_marker; optional int64 size; optional int64 last_modified_date (TIMESTAMP_MILLIS); optional binary e_tag (UTF8); optional binary storage_class (UTF8); }"
)

// report makes a report whose data files have these extensions and contents.
func report(t testing.TB, format, schema string, data ...[]byte) (*manifest, files) {
	t.Helper()
	m := &manifest{
		SourceBucket: source, DestinationBucket: "arn:aws:s3:::" + destination, Version: "2016-11-30",
		CreationTimestamp: strconv.FormatInt(createdAt.UnixMilli(), 10), FileFormat: format, FileSchema: schema,
		Files: []manifestFile{},
	}
	all := files{}
	for i, d := range data {
		key := fmt.Sprintf("inventory/media-bucket/daily/data/%d.%s", i, strings.ToLower(format))
		all[key] = d
		m.Files = append(m.Files, manifestFile{key, len(d), fmt.Sprintf("%x", md5.Sum(d))})
	}
	m.into(t, all)
	return m, all
}

// into writes the manifest and its checksum among the files.
func (m *manifest) into(t testing.TB, all files) {
	t.Helper()
	text, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	all[folder+"manifest.json"] = text
	all[folder+"manifest.checksum"] = fmt.Appendf(nil, "%x\n", md5.Sum(text))
}

// zip compresses rows of CSV.
func zip(t testing.TB, rows string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(rows)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// csvFile makes a data file as S3 does: every field in quotes, and keys encoded as a form's values, but for slashes.
func csvFile(t testing.TB, versions bool, objects []inventory.Object) []byte {
	t.Helper()
	var b strings.Builder
	for _, o := range objects {
		fields := []string{source, strings.ReplaceAll(url.QueryEscape(o.Key), "%2F", "/")}
		if versions {
			fields = append(fields, o.VersionID, strconv.FormatBool(o.Latest), strconv.FormatBool(o.DeleteMarker))
		}
		size := strconv.FormatInt(o.SizeBytes, 10)
		if o.DeleteMarker {
			size = ""
		}
		fields = append(fields, size, o.LastModified.Format("2006-01-02T15:04:05.000Z"), o.ETag, "STANDARD")
		b.WriteString(`"` + strings.Join(fields, `","`) + "\"\n")
	}
	if _, err := csv.NewReader(strings.NewReader(b.String())).ReadAll(); err != nil {
		t.Fatalf("the test's CSV is none: %v", err)
	}
	return zip(t, b.String())
}

// fakeS3 is an S3 with one bucket, whose answers can be made to break off.
type fakeS3 struct {
	files files
	mu    sync.Mutex
	asked []string // the key and the range of each request
	// breakAfter is how many bytes of an answer come before it breaks off, 0 for all.
	breakAfter int
	// lengthless leaves the answers' length out.
	lengthless bool
}

// GetObject implements [inventory.Client].
func (m *fakeS3) GetObject(ctx context.Context, in *s3.GetObjectInput, _ ...func(*s3.Options)) (*s3.GetObjectOutput, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked = append(m.asked, strings.TrimSpace(*in.Key+" "+aws.ToString(in.Range)))
	content, ok := m.files[*in.Key]
	if !ok || *in.Bucket != destination {
		return nil, &types.NoSuchKey{}
	}
	out := &s3.GetObjectOutput{}
	if in.Range != nil {
		from, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(*in.Range, "bytes="), "-"))
		if err != nil {
			return nil, err
		}
		out.ContentRange = aws.String(fmt.Sprintf("bytes %d-%d/%d", from, len(content)-1, len(content)))
		content = content[from:]
	}
	if !m.lengthless {
		out.ContentLength = aws.Int64(int64(len(content)))
	}
	var body io.Reader = bytes.NewReader(content)
	if n := m.breakAfter; n > 0 && n <= len(content) && !strings.Contains(*in.Key, "manifest") {
		body = io.MultiReader(bytes.NewReader(content[:n]), broken{})
	}
	out.Body = io.NopCloser(body)
	return out, ctx.Err()
}

type broken struct{}

// Read implements [io.Reader].
func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// sorted opens and sorts a report.
func sorted(t testing.TB, client inventory.Client, c inventory.SortConfig) (*inventory.Inventory, *inventory.Sorted) {
	t.Helper()
	inv, err := inventory.Open(t.Context(), client, manifestURL)
	if err != nil {
		t.Fatal(err)
	}
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	s, err := inv.Sort(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return inv, s
}

func collect(t testing.TB, s *inventory.Sorted, after string) []inventory.Object {
	t.Helper()
	var all []inventory.Object
	for o, err := range s.All(after) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, o)
	}
	return all
}

// emulator is an S3 over HTTP which holds the files.
func emulator(t *testing.T, all files) *s3.Client {
	t.Helper()
	client, _ := faultyEmulator(t, all)
	return client
}

func faultyEmulator(t *testing.T, all files) (*s3.Client, *awsemu.Faults) {
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
	cfg, err := awsclient.Load(t.Context(), awsclient.Config{
		Region: "us-east-1", Endpoint: server.URL, AccessKeyID: "test", SecretAccessKey: "test",
	})
	if err != nil {
		t.Fatal(err)
	}
	client := awsclient.S3(cfg)
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String(destination)}); err != nil {
		t.Fatal(err)
	}
	for key, content := range all {
		_, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(destination), Key: &key, Body: bytes.NewReader(content)})
		if err != nil {
			t.Fatal(err)
		}
	}
	return client, emu.Faults()
}
