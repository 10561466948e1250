package inventory_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/encoding/thrift"
	"github.com/parquet-go/parquet-go/format"

	"github.com/coatcheck/coatcheck/internal/inventory"
)

type currentRow struct {
	Bucket           string  `parquet:"bucket,snappy"`
	Key              string  `parquet:"key,snappy"`
	Size             *int64  `parquet:"size,optional,snappy"`
	LastModifiedDate int64   `parquet:"last_modified_date,optional,snappy,timestamp(millisecond)"`
	ETag             *string `parquet:"e_tag,optional,snappy"`
	StorageClass     *string `parquet:"storage_class,optional,snappy,dict"`
}

type versionRow struct {
	Bucket           string  `parquet:"bucket,snappy"`
	Key              string  `parquet:"key,snappy"`
	VersionID        *string `parquet:"version_id,optional,snappy"`
	IsLatest         *bool   `parquet:"is_latest,optional,snappy"`
	IsDeleteMarker   *bool   `parquet:"is_delete_marker,optional,snappy"`
	Size             *int64  `parquet:"size,optional,snappy"`
	LastModifiedDate int64   `parquet:"last_modified_date,optional,snappy,timestamp(millisecond)"`
	ETag             *string `parquet:"e_tag,optional,snappy"`
	StorageClass     *string `parquet:"storage_class,optional,snappy,dict"`
}

// parquetFile makes a data file with row groups of 700 rows.
func parquetFile(t testing.TB, versions bool, objects []inventory.Object) []byte {
	t.Helper()
	var current []currentRow
	var all []versionRow
	for _, o := range objects {
		size, etag := &o.SizeBytes, &o.ETag
		if o.DeleteMarker {
			size, etag = nil, nil
		}
		ms := o.LastModified.UnixMilli()
		current = append(current, currentRow{source, o.Key, size, ms, etag, aws.String("STANDARD")})
		all = append(all, versionRow{source, o.Key, &o.VersionID, &o.Latest, &o.DeleteMarker, size, ms, etag, nil})
	}
	if versions {
		return parquetRows(t, all)
	}
	return parquetRows(t, current)
}

func parquetRows[T any](t testing.TB, rows []T) []byte {
	t.Helper()
	var b bytes.Buffer
	w := parquet.NewGenericWriter[T](&b, parquet.MaxRowsPerRowGroup(700), parquet.PageBufferSize(4096))
	if _, err := w.Write(rows); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// arrowObjects are those in testdata/arrow.parquet, which testdata/arrow.py has written.
func arrowObjects() []inventory.Object {
	keys := []string{"with space", "1+1", "100%", "%41", "line\nbreak", `"quoted"`, "café", "日本語/ファイル", "🧥", "a\x00b"}
	for i := range 400 {
		keys = append(keys, fmt.Sprintf("media/%02x/%08x", i%7, uint32(i*2654435761)))
	}
	start := time.Date(2024, 5, 6, 12, 0, 0, 0, time.UTC)
	var all []inventory.Object
	for i, key := range keys {
		o := inventory.Object{
			Key: key, VersionID: fmt.Sprintf("v%d", i), Latest: i%5 != 4, SizeBytes: int64(i), ETag: fmt.Sprintf("%032x", i),
			LastModified: start.Add(time.Duration(i) * 1001 * time.Millisecond),
		}
		if i%2 == 0 {
			o.VersionID = "null"
		}
		if all = append(all, o); !o.Latest {
			all = append(all, inventory.Object{
				Key: key, VersionID: fmt.Sprintf("m%d", i), Latest: true, DeleteMarker: true, LastModified: o.LastModified.Add(time.Hour),
			})
		}
	}
	slices.SortFunc(all, order)
	return all
}

// TestParquetOfAnotherWriter reads what this module's library has not written, with dictionaries, several row groups and
// many pages: with the timestamps that S3 has now, TIMESTAMP(MILLIS,true), and with those of its documentation,
// TIMESTAMP_MILLIS.
func TestParquetOfAnotherWriter(t *testing.T) {
	t.Parallel()
	data, err := os.ReadFile("testdata/arrow.parquet")
	if err != nil {
		t.Fatal(err)
	}
	want := arrowObjects()
	for name, data := range map[string][]byte{"now": data, "older": convertedOnly(t, data)} {
		_, all := report(t, "Parquet", parquetVersions, data)
		_, s := sorted(t, &fakeS3{files: all}, inventory.SortConfig{})
		if got := collect(t, s, ""); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: got  %+v\nwant %+v", name, got, want)
		}
	}
}

// convertedOnly takes the logical types out of a file's schema, so that the older converted types are left.
func convertedOnly(t *testing.T, data []byte) []byte {
	t.Helper()
	taken := 0
	data = editFooter(t, data, func(meta *format.FileMetaData) {
		for i := range meta.Schema {
			if meta.Schema[i].LogicalType.Value != nil {
				meta.Schema[i].LogicalType = format.LogicalType{}
				taken++
			}
		}
	})
	if taken == 0 {
		t.Fatal("there are no logical types")
	}
	return data
}

// editFooter changes what a file says of itself.
func editFooter(t *testing.T, data []byte, edit func(meta *format.FileMetaData)) []byte {
	t.Helper()
	end := len(data) - 8
	size := int(binary.LittleEndian.Uint32(data[end:]))
	var protocol thrift.CompactProtocol
	var meta format.FileMetaData
	if err := thrift.Unmarshal(&protocol, data[end-size:end], &meta); err != nil {
		t.Fatal(err)
	}
	edit(&meta)
	footer, err := thrift.Marshal(&protocol, &meta)
	if err != nil {
		t.Fatal(err)
	}
	out := append(bytes.Clone(data[:end-size]), footer...)
	out = binary.LittleEndian.AppendUint32(out, uint32(len(footer)))
	return append(out, "PAR1"...)
}

// TestSortRefusesParquet that is not what the manifest says, or not Parquet.
func TestSortRefusesParquet(t *testing.T) {
	t.Parallel()
	good := currentRow{source, "a", aws.Int64(1), createdAt.UnixMilli(), aws.String("e"), nil}
	spoil := func(f func(r *currentRow)) []byte {
		r := good
		f(&r)
		return parquetRows(t, []currentRow{good, r})
	}
	type seconds struct {
		Bucket           string  `parquet:"bucket"`
		Key              string  `parquet:"key"`
		Size             *int64  `parquet:"size,optional"`
		LastModifiedDate int64   `parquet:"last_modified_date,optional"`
		ETag             *string `parquet:"e_tag,optional"`
	}
	type narrow struct {
		Bucket           string  `parquet:"bucket"`
		Key              string  `parquet:"key"`
		Size             int32   `parquet:"size"`
		LastModifiedDate int64   `parquet:"last_modified_date,timestamp(millisecond)"`
		ETag             *string `parquet:"e_tag,optional"`
	}
	type list struct {
		Bucket           string   `parquet:"bucket"`
		Key              []string `parquet:"key"`
		Size             int64    `parquet:"size"`
		LastModifiedDate int64    `parquet:"last_modified_date,timestamp(millisecond)"`
		ETag             *string  `parquet:"e_tag,optional"`
	}
	type lacking struct {
		Bucket string `parquet:"bucket"`
		Key    string `parquet:"key"`
		Size   int64  `parquet:"size"`
	}
	whole := parquetRows(t, []currentRow{good})
	for name, c := range map[string]struct {
		data []byte
		want string
	}{
		"empty":          {nil, "Parquet"},
		"CSV":            {csvFile(t, false, current()), "Parquet"},
		"half":           {whole[:len(whole)/2], "Parquet"},
		"another bucket": {spoil(func(r *currentRow) { r.Bucket = "other" }), `row 2: it is of the bucket "other"`},
		"no key":         {spoil(func(r *currentRow) { r.Key = "" }), "row 2: the key has 0 bytes"},
		"not UTF-8":      {spoil(func(r *currentRow) { r.Key = "\xff" }), "row 2: the key is not UTF-8"},
		"no size":        {spoil(func(r *currentRow) { r.Size = nil }), "row 2: the size of"},
		"negative size":  {spoil(func(r *currentRow) { r.Size = aws.Int64(-1) }), "row 2: the size of"},
		"no entity tag":  {spoil(func(r *currentRow) { r.ETag = nil }), "row 2: the entity tag of"},
		"no time":        {spoil(func(r *currentRow) { r.LastModifiedDate = -1 << 62 }), "row 2: the time of"},
		"an integer":     {parquetRows(t, []seconds{{Bucket: source}}), "last_modified_date is no timestamp in milliseconds but INT"},
		"32 bits":        {parquetRows(t, []narrow{{Bucket: source}}), "the column size has the wrong type"},
		"a list":         {parquetRows(t, []list{{Bucket: source}}), "the column key has the wrong type"},
		"another count":  {editFooter(t, whole, func(meta *format.FileMetaData) { meta.NumRows = 2 }), "its row groups have 1 rows, and it says 2"},
		"no row group":   {editFooter(t, whole, func(meta *format.FileMetaData) { meta.RowGroups = nil }), "its row groups have 0 rows, and it says 1"},
		"fewer values": {editFooter(t, whole, func(meta *format.FileMetaData) {
			meta.NumRows, meta.RowGroups[0].NumRows = 2, 2
			for i := range meta.RowGroups[0].Columns {
				meta.RowGroups[0].Columns[i].MetaData.NumValues = 2
			}
		}), "rows from 1: the column bucket: unexpected EOF"},
		"more rows": {editFooter(t, whole, func(meta *format.FileMetaData) { meta.RowGroups[0].NumRows = 2 }), "values for"},
		"no column": {parquetRows(t, []lacking{{Bucket: source}}), "it has no column last_modified_date, which the manifest's schema has"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, all := report(t, "Parquet", parquetCurrent, whole, c.data)
			refused(t, all, c.want)
		})
	}
	t.Run("neither deleted nor not", func(t *testing.T) {
		t.Parallel()
		data := parquetRows(t, []versionRow{{Bucket: source, Key: "a", Size: aws.Int64(1), LastModifiedDate: 1, ETag: aws.String("e"), IsLatest: aws.Bool(true)}})
		_, all := report(t, "Parquet", parquetVersions, parquetFile(t, true, nil), data)
		refused(t, all, "is_delete_marker is missing in a row")
	})
}

// TestSortOfDamagedParquet damages bytes of a file in turn, with a checksum that agrees: whatever comes of it, it does
// not end the process, and no row is made up.
func TestSortOfDamagedParquet(t *testing.T) {
	t.Parallel()
	objects := current()[:5]
	whole := parquetFile(t, false, objects)
	refused := 0
	for i := 0; i < len(whole); i += 5 {
		for _, bit := range []byte{1, 0x80} {
			data := bytes.Clone(whole)
			data[i] ^= bit
			_, all := report(t, "Parquet", parquetCurrent, data)
			inv, err := inventory.Open(t.Context(), &fakeS3{files: all}, manifestURL)
			if err != nil {
				t.Fatal(err)
			}
			s, err := inv.Sort(t.Context(), inventory.SortConfig{Dir: t.TempDir(), MemoryBytes: 1})
			if err != nil {
				if !strings.Contains(err.Error(), "0.parquet: ") {
					t.Errorf("byte %d: %v", i, err)
				}
				refused++
				continue
			}
			if s.Len() > int64(len(objects)) {
				t.Errorf("byte %d: %d objects of %d", i, s.Len(), len(objects))
			}
			s.Close()
		}
	}
	if refused == 0 {
		t.Error("nothing was noticed")
	}
}
