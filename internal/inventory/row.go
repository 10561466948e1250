package inventory

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"
)

// row is what a data file says in one row, before it is checked.
type row struct {
	Object
	bucket string
	sized  bool // SizeBytes was there
}

// check returns the object of a row.
func (inv *Inventory) check(r row) (Object, error) {
	switch {
	case r.bucket != inv.SourceBucket:
		return Object{}, fmt.Errorf("it is of the bucket %s, and the inventory of %s", quote(r.bucket), quote(inv.SourceBucket))
	case r.Key == "" || len(r.Key) > maxKey:
		return Object{}, fmt.Errorf("the key has %d bytes, not 1 to %d", len(r.Key), maxKey)
	case !utf8.ValidString(r.Key):
		return Object{}, errors.New("the key is not UTF-8")
	case r.SizeBytes < 0:
		return Object{}, fmt.Errorf("the size of %s is %d", quote(r.Key), r.SizeBytes)
	case r.LastModified.Year() < 1970 || r.LastModified.Year() > 9999:
		return Object{}, fmt.Errorf("the time of %s is missing or wrong", quote(r.Key))
	case len(r.ETag) > maxText || len(r.VersionID) > maxText:
		return Object{}, fmt.Errorf("the entity tag or the version of %s has more than %d bytes", quote(r.Key), maxText)
	}
	r.ETag = strings.Trim(r.ETag, `"`) // S3 has none here; some stores do
	if r.DeleteMarker {
		// S3 leaves both empty. Whatever stands there says nothing of a deletion.
		r.SizeBytes, r.ETag = 0, ""
		return r.Object, nil
	}
	if !r.sized {
		return Object{}, fmt.Errorf("the size of %s is missing", quote(r.Key))
	}
	if r.ETag == "" {
		return Object{}, fmt.Errorf("the entity tag of %s is missing", quote(r.Key))
	}
	return r.Object, nil
}

// decodeCSV decodes a row of CSV. The strings in it share memory with the fields.
func (s *schema) decodeCSV(fields []string) (r row, err error) {
	if len(fields) != s.width {
		return row{}, fmt.Errorf("it has %d columns, and the manifest's schema %d", len(fields), s.width)
	}
	r.bucket = fields[s.at[colBucket]]
	if r.Key, err = decodeKey(fields[s.at[colKey]]); err != nil {
		return row{}, err
	}
	r.ETag = fields[s.at[colETag]]
	if size := fields[s.at[colSize]]; size != "" {
		r.sized = true
		if r.SizeBytes, err = strconv.ParseInt(size, 10, 64); err != nil {
			return row{}, fmt.Errorf("the size of %s is %s", quote(r.Key), quote(size))
		}
	}
	at := fields[s.at[colLastModified]]
	if r.LastModified, err = time.Parse(time.RFC3339, at); err != nil {
		return row{}, fmt.Errorf("the time of %s is %s, not of RFC 3339", quote(r.Key), quote(at))
	}
	r.LastModified = r.LastModified.UTC()
	r.Latest = true
	if !s.has(colVersionID) {
		return r, nil
	}
	r.VersionID = fields[s.at[colVersionID]]
	if r.Latest, err = decodeBool(fields[s.at[colIsLatest]]); err != nil {
		return row{}, fmt.Errorf("%s of %s: %w", columns[colIsLatest].csv, quote(r.Key), err)
	}
	if r.DeleteMarker, err = decodeBool(fields[s.at[colIsDeleteMarker]]); err != nil {
		return row{}, fmt.Errorf("%s of %s: %w", columns[colIsDeleteMarker].csv, quote(r.Key), err)
	}
	return r, nil
}

// decodeKey decodes a key in CSV, which AWS calls "URL-encoded" without saying how. S3 encodes keys there as it does
// in notifications and listings, as a form's value: a space is "+", and a plus "%2B" (seen in a real inventory:
// https://github.com/cloud-custodian/cloud-custodian/issues/1997). A writer that has "%20" for a space encodes the plus
// as well, so that it is read rightly, too.
func decodeKey(s string) (string, error) {
	key, err := url.QueryUnescape(s)
	if err != nil {
		return "", fmt.Errorf("the key %s is not URL-encoded", quote(s))
	}
	return key, nil
}

// decodeBool decodes what S3's pages spell "True" and its reports "true".
func decodeBool(s string) (bool, error) {
	switch {
	case strings.EqualFold(s, "true"):
		return true, nil
	case strings.EqualFold(s, "false"):
		return false, nil
	}
	return false, fmt.Errorf("%s is neither true nor false", quote(s))
}
