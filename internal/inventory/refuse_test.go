package inventory_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"github.com/coatcheck/coatcheck/internal/awsemu"
	"github.com/coatcheck/coatcheck/internal/inventory"
)

// TestOpenRefuses what is no manifest, or one that cannot be relied on.
func TestOpenRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		spoil func(m *manifest)
		want  string
	}{
		"another version": {func(m *manifest) { m.Version = "2030-01-01" }, `the version is "2030-01-01", and only 2016-11-30`},
		"no source":       {func(m *manifest) { m.SourceBucket = "" }, "sourceBucket is missing"},
		"no time":         {func(m *manifest) { m.CreationTimestamp = "0" }, `creationTimestamp "0" is no time`},
		"seconds":         {func(m *manifest) { m.CreationTimestamp = "1.5" }, `creationTimestamp "1.5" is no time`},
		"distant time":    {func(m *manifest) { m.CreationTimestamp = "9223372036854775807" }, "is no time"},
		"ORC":             {func(m *manifest) { m.FileFormat = "ORC" }, `the format is "ORC", which is not read: configure the inventory for CSV or Parquet`},
		"no files":        {func(m *manifest) { m.Files = nil }, "files is missing"},
		"a file twice":    {func(m *manifest) { m.Files = append(m.Files, m.Files[0]) }, "is named twice"},
		"no key":          {func(m *manifest) { m.Files[0].Key = "" }, "key of file 0 is missing"},
		"negative size":   {func(m *manifest) { m.Files[0].Size = -1 }, "size of file"},
		"no MD5":          {func(m *manifest) { m.Files[0].MD5Checksum = "" }, "the MD5checksum of file"},
		"half an MD5":     {func(m *manifest) { m.Files[0].MD5Checksum = "f11166069f1990ab" }, "not the hex of an MD5"},
		"no schema":       {func(m *manifest) { m.FileSchema = "" }, "no column Bucket: every inventory of S3 has it"},
		"no Key":          {func(m *manifest) { m.FileSchema = "Bucket, Size, LastModifiedDate, ETag" }, "no column Key"},
		"no Size":         {func(m *manifest) { m.FileSchema = "Bucket, Key, LastModifiedDate, ETag" }, "no column Size: add Size to the optional fields of the inventory's configuration"},
		"no time column":  {func(m *manifest) { m.FileSchema = "Bucket, Key, Size, ETag" }, "add LastModifiedDate to the optional fields"},
		"no ETag":         {func(m *manifest) { m.FileSchema = "Bucket, Key, Size, LastModifiedDate" }, "add ETag to the optional fields"},
		"two of a column": {func(m *manifest) { m.FileSchema += ", Key" }, "two columns Key"},
		"VersionId alone": {func(m *manifest) { m.FileSchema += ", VersionId" }, "only some of the columns VersionId, IsLatest and IsDeleteMarker"},
		"IsLatest alone":  {func(m *manifest) { m.FileSchema += ", IsLatest" }, "only some of the columns"},
		"a Parquet without": {func(m *manifest) {
			m.FileFormat, m.FileSchema = "Parquet", strings.Replace(parquetCurrent, "e_tag", "tag", 1)
		}, "no column e_tag: add ETag to"},
		"CSV as Parquet": {func(m *manifest) { m.FileFormat = "Parquet" }, "no column bucket"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m, all := report(t, "CSV", csvCurrent, csvFile(t, false, current()))
			c.spoil(m)
			m.into(t, all)
			_, err := inventory.Open(t.Context(), &fakeS3{files: all}, manifestURL)
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), manifestURL) || len(err.Error()) > 1000 {
				t.Errorf("the error is %v\nwant %s", err, c.want)
			}
		})
	}
}

// TestOpenChecksTheManifest against the checksum beside it.
func TestOpenChecksTheManifest(t *testing.T) {
	t.Parallel()
	const at = folder + "manifest.json"
	for name, c := range map[string]struct {
		spoil func(all files)
		want  string
	}{
		"damaged":            {func(all files) { all[at] = bytes.Replace(all[at], []byte(source), []byte("media-bucker"), 1) }, "one of them is damaged, or they are just being replaced"},
		"cut off":            {func(all files) { all[at] = all[at][:100] }, "one of them is damaged"},
		"another's checksum": {func(all files) { all[folder+"manifest.checksum"] = []byte("f11166069f1990abeb9c97ace9cdfabc") }, "has \"f11166069f1990abeb9c97ace9cdfabc\""},
		"empty checksum":     {func(all files) { all[folder+"manifest.checksum"] = nil }, `has ""`},
		"long checksum":      {func(all files) { all[folder+"manifest.checksum"] = make([]byte, 2000) }, "manifest.checksum: it has more than 1024 bytes"},
	} {
		_, all := report(t, "CSV", csvCurrent)
		c.spoil(all)
		if _, err := inventory.Open(t.Context(), &fakeS3{files: all}, manifestURL); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: the error is %v\nwant %s", name, err, c.want)
		}
	}
	_, all := report(t, "CSV", csvCurrent)
	all[folder+"manifest.checksum"] = bytes.ToUpper(bytes.TrimSpace(all[folder+"manifest.checksum"]))
	if _, err := inventory.Open(t.Context(), &fakeS3{files: all}, manifestURL); err != nil {
		t.Errorf("in capitals and without a newline: %v", err)
	}
}

func TestOpenURL(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "manifest.json", "s3://", "s3://reports", "s3://reports/", "s3:///manifest.json", "s3://reports/daily/", "s3://reports/notmanifest.json",
		"https://reports.s3.amazonaws.com/manifest.json", "s3://reports/manifest.json/",
	} {
		m := &fakeS3{}
		if _, err := inventory.Open(t.Context(), m, url); err == nil || !strings.Contains(err.Error(), "s3://BUCKET/PATH/manifest.json") || len(m.asked) != 0 {
			t.Errorf("%s: %v", url, err)
		}
	}
	m := &fakeS3{}
	_, err := inventory.Open(t.Context(), m, "s3://"+destination+"/a b/100%/manifest.json")
	if _, absent := errors.AsType[*types.NoSuchKey](err); !absent || len(m.asked) != 1 || m.asked[0] != "a b/100%/manifest.json" {
		t.Errorf("%v; asked for %q", err, m.asked)
	}
}

// TestSaysWhatIsNotAllowed, and what else may be wrong with the configuration.
func TestSaysWhatIsNotAllowed(t *testing.T) {
	t.Parallel()
	_, all := report(t, "CSV", csvCurrent, csvFile(t, false, current()))
	client, faults := faultyEmulator(t, all)
	faults.Fail(awsemu.Match{Operation: "GetObject"}, 1, 403, "AccessDenied")
	if _, err := inventory.Open(t.Context(), client, manifestURL); err == nil || !strings.Contains(err.Error(), "kms:Decrypt") {
		t.Errorf("the error is %v", err)
	}
	inv, err := inventory.Open(t.Context(), client, manifestURL)
	if err != nil {
		t.Fatal(err)
	}
	faults.Fail(awsemu.Match{Operation: "GetObject", KeyContains: "0.csv"}, 1, 404, "NoSuchKey")
	dir := t.TempDir()
	if _, err := inv.Sort(t.Context(), inventory.SortConfig{Dir: dir}); err == nil || !strings.Contains(err.Error(), "0.csv") || !strings.Contains(err.Error(), "ends with a slash") {
		t.Errorf("the error is %v", err)
	}
	left(t, dir)
	if _, err := inv.Sort(t.Context(), inventory.SortConfig{Dir: dir + "/absent"}); err == nil || !strings.Contains(err.Error(), "absent") {
		t.Errorf("without a folder: %v", err)
	}
}

const (
	row0 = `"media-bucket","a","1","2024-05-06T01:00:00.000Z","e0","STANDARD"` + "\n"
	row1 = `"media-bucket","b","2","2024-05-06T01:00:00.000Z","e1","STANDARD"` + "\n"
)

// TestSortRefusesCSV, whatever was good before it in the same file and in others.
func TestSortRefusesCSV(t *testing.T) {
	t.Parallel()
	edit := func(old, new string) []byte {
		if !strings.Contains(row1, old) {
			t.Fatalf("%q is not in the row", old)
		}
		return zip(t, row0+strings.Replace(row1, old, new, 1))
	}
	long := zip(t, strings.Repeat(row0, 1000))
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"not gzip":         {[]byte(row0), "not gzip"},
		"empty":            {nil, "not gzip: unexpected EOF"},
		"cut off":          {long[:len(long)/2], "unexpected EOF"},
		"no trailer":       {long[:len(long)-8], "unexpected EOF"},
		"wrong trailer":    {append(long[:len(long)-8:len(long)-8], 1, 2, 3, 4, 5, 6, 7, 8), "invalid checksum"},
		"something behind": {append(long[:len(long):len(long)], "junk and more junk"...), "invalid header"},
		"a column less":    {edit(`,"STANDARD"`, ``), "row 2: it has 5 columns, and the manifest's schema 6"},
		"a column more":    {edit(`"STANDARD"`, `"STANDARD","x"`), "row 2: it has 7 columns"},
		"another bucket":   {edit(source, "other"), `row 2: it is of the bucket "other", and the inventory of "media-bucket"`},
		"no key":           {edit(`"b"`, `""`), "row 2: the key has 0 bytes"},
		"bad escape":       {edit(`"b"`, `"%zz"`), `row 2: the key "%zz" is not URL-encoded`},
		"key not UTF-8":    {edit(`"b"`, `"%ff"`), "row 2: the key is not UTF-8"},
		"key too long":     {edit(`"b"`, `"`+strings.Repeat("k", 1025)+`"`), "row 2: the key has 1025 bytes"},
		"no size":          {edit(`"2"`, `""`), `row 2: the size of "b" is missing`},
		"negative size":    {edit(`"2"`, `"-2"`), `row 2: the size of "b" is -2`},
		"fraction":         {edit(`"2"`, `"2.5"`), `row 2: the size of "b" is "2.5"`},
		"over 64 bits":     {edit(`"2"`, `"9223372036854775808"`), "row 2: the size of"},
		"no time":          {edit(`"2024-05-06T01:00:00.000Z"`, `""`), `row 2: the time of "b" is ""`},
		"another time":     {edit(`2024-05-06T01:00:00.000Z`, `1714957200`), "not of RFC 3339"},
		"time of nothing":  {edit(`2024-05-06T01:00:00.000Z`, `0001-01-01T00:00:00Z`), `row 2: the time of "b" is missing or wrong`},
		"no entity tag":    {edit(`"e1"`, `""`), `row 2: the entity tag of "b" is missing`},
		"long entity tag":  {edit(`"e1"`, `"`+strings.Repeat("e", 1025)+`"`), "more than 1024 bytes"},
		"stray quote":      {edit(`"e1"`, `e"1`), "row 2: parse error on line 2"},
		"quote left open":  {zip(t, row0+`"`+strings.Repeat("media\n", 1<<20)), "row 2: it has more than 1048576 bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, all := report(t, "CSV", csvCurrent, long, c.data)
			refused(t, all, c.want)
		})
	}
}

// TestSortStopsADownload that is longer than it should be, where S3 does not tell beforehand.
func TestSortStopsADownload(t *testing.T) {
	t.Parallel()
	_, all := report(t, "CSV", csvCurrent, csvFile(t, false, current()))
	const key = "inventory/media-bucket/daily/data/0.csv"
	all[key] = append(all[key], make([]byte, 1<<20)...)
	s3 := &fakeS3{files: all, lengthless: true}
	inv, err := inventory.Open(t.Context(), s3, manifestURL)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := inv.Sort(t.Context(), inventory.SortConfig{Dir: t.TempDir()}); err == nil || !strings.Contains(err.Error(), "more than the") || len(s3.asked) != 3 {
		t.Errorf("%v; asked for %q", err, s3.asked)
	}
}

// refused sorts what cannot be sorted, for the sake of its second file.
func refused(t *testing.T, all files, want string) {
	t.Helper()
	inv, err := inventory.Open(t.Context(), &fakeS3{files: all}, manifestURL)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	s, err := inv.Sort(t.Context(), inventory.SortConfig{Dir: dir, MemoryBytes: 1024})
	if s != nil || err == nil {
		t.Fatal("the report was not refused")
	}
	const named = "s3://" + destination + "/inventory/media-bucket/daily/data/1."
	if text := err.Error(); !strings.Contains(text, want) || !strings.Contains(text, named) || len(text) > 1000 {
		t.Errorf("the error is %v\nwant %s", err, want)
	}
	left(t, dir)
}

// TestSortRefusesVersions that cannot be told apart.
func TestSortRefusesVersions(t *testing.T) {
	t.Parallel()
	good := `"media-bucket","a","v1","true","false","1","2024-05-06T01:00:00.000Z","e0","STANDARD"` + "\n"
	for old, new := range map[string]string{`"true"`: `""`, `"false"`: `"no"`, `"v1"`: `"` + strings.Repeat("v", 1025) + `"`, `"1"`: `""`} {
		_, all := report(t, "CSV", csvVersions, zip(t, good), zip(t, strings.Replace(good, old, new, 1)))
		refused(t, all, "row 1: ")
	}
}

// TestSortChecksTheFiles against the manifest. Without that, half a file of Parquet's rows would be no error at all.
func TestSortChecksTheFiles(t *testing.T) {
	t.Parallel()
	good := csvFile(t, false, current())
	bad := bytes.Clone(good)
	bad[len(bad)/2] ^= 1
	for name, c := range map[string]struct {
		is   []byte
		want string
	}{
		"damaged": {bad, "its MD5 is "},
		"shorter": {good[:len(good)-1], fmt.Sprintf("it has %d bytes, and the manifest says %d", len(good)-1, len(good))},
		"longer":  {append(good[:len(good):len(good)], 0), fmt.Sprintf("it has %d bytes", len(good)+1)},
		"absent":  {nil, "NoSuchKey"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, all := report(t, "CSV", csvCurrent, good, good)
			if all["inventory/media-bucket/daily/data/1.csv"] = c.is; c.is == nil {
				delete(all, "inventory/media-bucket/daily/data/1.csv")
			}
			refused(t, all, c.want)
		})
	}
}
