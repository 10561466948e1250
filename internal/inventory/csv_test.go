package inventory

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// TestDecodeKey takes a space either way.
func TestDecodeKey(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"a+b": "a b", "a%20b": "a b", "a%2Bb": "a+b", "a%2bb": "a+b", "a%2520b": "a%20b", "a/b%2Fc": "a/b/c", "%F0%9F%A7%A5": "🧥", "é": "é",
		"dt%3D2024-05-07-01-00/symlink.txt": "dt=2024-05-07-01-00/symlink.txt",
	} {
		if got, err := decodeKey(in); got != want || err != nil {
			t.Errorf("%s: %q, %v", in, got, err)
		}
	}
}

// TestReadRows has the columns in another order, with some that are not known, and quotes only where they are needed.
func TestReadRows(t *testing.T) {
	t.Parallel()
	inv := &Inventory{SourceBucket: "b"}
	var err error
	inv.schema, err = newSchema(csvColumns("ETag,Owner, IsDeleteMarker,LastModifiedDate ,Key,IsLatest,Size,  VersionId,Bucket,ObjectAccessControlList"), FormatCSV)
	if err != nil {
		t.Fatal(err)
	}
	var got []Object
	err = inv.readRows(strings.NewReader("\"\"\"e\"\"\",me,False,2022-12-12T13:20:39+01:00,k,True,7,v,b,\"a\nb\"\r\n"+
		"\n,,TRUE,2022-12-12T13:20:39.5Z,k,FALSE,,null,b,"), func(o Object) error {
		got = append(got, o)
		return nil
	})
	want := []Object{
		{Key: "k", SizeBytes: 7, ETag: "e", VersionID: "v", Latest: true, LastModified: time.Date(2022, 12, 12, 12, 20, 39, 0, time.UTC)},
		{Key: "k", VersionID: "null", DeleteMarker: true, LastModified: time.Date(2022, 12, 12, 13, 20, 39, 5e8, time.UTC)},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
}

// FuzzReadRows checks what a whole file of CSV comes to: no panic, bounded errors, and objects that the sort can hold.
func FuzzReadRows(f *testing.F) {
	inv := &Inventory{SourceBucket: "b"}
	var err error
	if inv.schema, err = newSchema(csvColumns("Bucket,Key,VersionId,IsLatest,IsDeleteMarker,Size,LastModifiedDate,ETag"), FormatCSV); err != nil {
		f.Fatal(err)
	}
	const good = `"b","media/1+2%2B","v","true","false","123","2022-12-12T13:20:39.000Z","627c47efe292876b91978324485cd2ec"` + "\n"
	f.Add([]byte(good + good))
	f.Add([]byte(`b,a%00,null,False,True,,2022-12-12T13:20:39+01:00,` + "\r\n\n" + good))
	f.Add([]byte(`c,%,"` + "\x00\n" + `",,"",-1,9999-12-31T23:59:60Z,"""e"""`))
	f.Add([]byte(`b,k,,TRUE,FALSE,+9,1970-01-01T00:00:00.123456789Z,"""e"""` + "\n" + good[:60]))
	f.Fuzz(func(t *testing.T, text []byte) {
		rows := 0
		err := inv.readRows(bytes.NewReader(text), func(o Object) error {
			rows++
			if o.Key == "" || len(o.Key) > maxKey || !utf8.ValidString(o.Key) || o.SizeBytes < 0 || o.DeleteMarker == (o.ETag != "") {
				t.Errorf("what should have been refused: %+v", o)
			}
			o.LastModified = o.LastModified.Truncate(time.Microsecond)
			if got, err := decodeRecord(appendRecord(nil, &o)); err != nil || got != o {
				t.Errorf("%+v became %+v: %v", o, got, err)
			}
			return nil
		})
		if err != nil && len(err.Error()) > 2000 {
			t.Errorf("an error of %d bytes", len(err.Error()))
		}
		if rows > bytes.Count(text, []byte("\n"))+1 {
			t.Errorf("%d rows in %q", rows, text)
		}
	})
}
