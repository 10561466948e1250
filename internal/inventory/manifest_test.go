package inventory

import (
	"strings"
	"testing"
)

// FuzzDecodeManifest checks what Sort relies on: no panic, bounded errors, and files that can be checked.
func FuzzDecodeManifest(f *testing.F) {
	const csv = `{"sourceBucket":"b","destinationBucket":"arn:aws:s3:::d","version":"2016-11-30","creationTimestamp":"1514944800000","fileFormat":"CSV",` +
		`"fileSchema":"Bucket, Key, VersionId, IsLatest, IsDeleteMarker, Size, LastModifiedDate, ETag","files":[{"key":"k","size":2147483647,"MD5checksum":"f11166069f1990abeb9c97ace9cdfabc"}]}`
	f.Add([]byte(csv))
	f.Add([]byte(strings.Replace(csv, "CSV", "ORC", 1)))
	f.Add([]byte(strings.Replace(csv, "2147483647", "1e3", 1)))
	f.Add([]byte(`{"sourceBucket":"b","version":"2016-11-30","creationTimestamp":1514944800000,"fileFormat":"Parquet","fileSchema":"message s3.inventory { required binary bucket (UTF8); required binary key (UTF8); optional int64 size; optional int64 last_modified_date (TIMESTAMP(MILLIS,true)); optional binary e_tag (UTF8);}","files":[]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		inv, err := decodeManifest(text)
		if err != nil {
			if inv != nil || len(err.Error()) > 1000 {
				t.Errorf("%+v, and an error of %d bytes", inv, len(err.Error()))
			}
			return
		}
		if inv.SourceBucket == "" || inv.CreatedAt.Year() < 1970 || inv.CreatedAt.Year() > 9999 || inv.Format != FormatCSV && inv.Format != FormatParquet ||
			inv.Files != len(inv.files) || inv.SizeBytes < 0 || inv.Versions != inv.schema.has(colIsLatest) {
			t.Errorf("what should have been refused: %+v", inv)
		}
		for c, at := range inv.schema.at {
			if at >= inv.schema.width || at < 0 && columns[c].missing != "" {
				t.Errorf("column %d of %d is at %d", c, inv.schema.width, at)
			}
		}
		for _, file := range inv.files {
			if file.key == "" || file.size < 0 || file.size > inv.SizeBytes {
				t.Errorf("a file that should have been refused: %+v", file)
			}
		}
	})
}
