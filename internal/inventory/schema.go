package inventory

import (
	"fmt"
	"slices"
	"strings"
)

// column is one of the columns that matter here.
type column int

const (
	colBucket column = iota
	colKey
	colVersionID
	colIsLatest
	colIsDeleteMarker
	colSize
	colLastModified
	colETag
	numColumns
)

// columns are their names: those in CSV are also those of the optional fields in an inventory's configuration.
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_InventoryConfiguration.html
var columns = [numColumns]struct{ csv, parquet, missing string }{
	colBucket:         {"Bucket", "bucket", "every inventory of S3 has it"},
	colKey:            {"Key", "key", "every inventory of S3 has it"},
	colVersionID:      {"VersionId", "version_id", ""},
	colIsLatest:       {"IsLatest", "is_latest", ""},
	colIsDeleteMarker: {"IsDeleteMarker", "is_delete_marker", ""},
	colSize:           {"Size", "size", "add Size to the optional fields of the inventory's configuration"},
	colLastModified:   {"LastModifiedDate", "last_modified_date", "add LastModifiedDate to the optional fields of the inventory's configuration"},
	colETag:           {"ETag", "e_tag", "add ETag to the optional fields of the inventory's configuration"},
}

func (c column) name(format string) string {
	if format == FormatParquet {
		return columns[c].parquet
	}
	return columns[c].csv
}

// schema says where the columns are.
type schema struct {
	width int             // columns in all
	at    [numColumns]int // the place of each, or -1
}

func (s *schema) has(c column) bool { return s.at[c] >= 0 }

// newSchema finds the columns among the names of a data file's. Those it does not know are none of its business.
func newSchema(names []string, format string) (schema, error) {
	s := schema{width: len(names)}
	for c := range numColumns {
		name := c.name(format)
		s.at[c] = slices.Index(names, name)
		if !s.has(c) && columns[c].missing != "" {
			return schema{}, fmt.Errorf("the inventory has no column %s: %s", name, columns[c].missing)
		}
		if s.has(c) && slices.Contains(names[s.at[c]+1:], name) {
			return schema{}, fmt.Errorf("the inventory has two columns %s", name)
		}
	}
	// These come together. One of them alone would make a noncurrent version look like the object, or a deletion.
	for _, c := range []column{colIsLatest, colIsDeleteMarker} {
		if s.has(c) != s.has(colVersionID) {
			return schema{}, fmt.Errorf("the inventory has only some of the columns %s, %s and %s",
				colVersionID.name(format), colIsLatest.name(format), colIsDeleteMarker.name(format))
		}
	}
	return s, nil
}

// csvColumns returns the names in the fileSchema of CSV: "Bucket, Key, …".
func csvColumns(fileSchema string) []string {
	names := strings.Split(fileSchema, ",")
	for i := range names {
		names[i] = strings.TrimSpace(names[i])
	}
	return names
}

// parquetColumns returns the names in the fileSchema of Parquet:
//
//	message s3.inventory { required binary bucket (UTF8); optional int64 size; … }
//
// It is not more than what lets a report without the columns be refused before anything is downloaded: each file has
// a schema of its own, which counts.
func parquetColumns(fileSchema string) []string {
	_, fields, _ := strings.Cut(fileSchema, "{")
	var names []string
	for field := range strings.SplitSeq(fields, ";") {
		// What is in parentheses belongs to the type.
		field, _, _ = strings.Cut(field, "(")
		if words := strings.Fields(field); len(words) == 3 {
			names = append(names, words[2])
		}
	}
	return names
}
