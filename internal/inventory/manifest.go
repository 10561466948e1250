package inventory

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"
)

// manifestVersion is the only version of manifests that there has been.
const manifestVersion = "2016-11-30"

// manifest is manifest.json.
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/storage-inventory-location.html
type manifest struct {
	SourceBucket      string      `json:"sourceBucket"`
	Version           string      `json:"version"`
	CreationTimestamp json.Number `json:"creationTimestamp"` // a string, in milliseconds
	FileFormat        string      `json:"fileFormat"`
	FileSchema        string      `json:"fileSchema"`
	Files             *[]struct {
		Key         string `json:"key"`
		Size        *int64 `json:"size"`
		MD5Checksum string `json:"MD5checksum"`
	} `json:"files"`
}

// decodeManifest returns the report that a manifest describes, as far as the manifest knows it. Errors are bounded:
// they repeat at most a little of the text.
func decodeManifest(text []byte) (*Inventory, error) {
	if !utf8.Valid(text) {
		// encoding/json would replace what is not UTF-8, so that a file had another name.
		return nil, errors.New("manifest.json is not UTF-8")
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return nil, jsonError(err)
	}
	if m.Version != manifestVersion {
		return nil, fmt.Errorf("manifest.json: the version is %s, and only %s is understood", quote(m.Version), manifestVersion)
	}
	if m.SourceBucket == "" {
		return nil, errors.New("manifest.json: sourceBucket is missing")
	}
	inv := &Inventory{SourceBucket: m.SourceBucket}
	// Up to the year 9999, beyond which times cannot be written.
	ms, err := m.CreationTimestamp.Int64()
	if err != nil || ms <= 0 || ms > 253402300799999 {
		return nil, fmt.Errorf("manifest.json: creationTimestamp %s is no time in milliseconds", quote(m.CreationTimestamp.String()))
	}
	inv.CreatedAt = time.UnixMilli(ms).UTC()
	switch {
	case strings.EqualFold(m.FileFormat, FormatCSV):
		inv.Format = FormatCSV
		inv.schema, err = newSchema(csvColumns(m.FileSchema), inv.Format)
	case strings.EqualFold(m.FileFormat, FormatParquet):
		inv.Format = FormatParquet
		inv.schema, err = newSchema(parquetColumns(m.FileSchema), inv.Format)
	default:
		err = fmt.Errorf("the format is %s, which is not read: configure the inventory for CSV or Parquet", quote(m.FileFormat))
	}
	if err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	inv.Versions = inv.schema.has(colVersionID)
	if err := inv.addFiles(&m); err != nil {
		return nil, fmt.Errorf("manifest.json: %w", err)
	}
	return inv, nil
}

func (inv *Inventory) addFiles(m *manifest) error {
	if m.Files == nil {
		return errors.New("files is missing")
	}
	seen := make(map[string]bool, len(*m.Files))
	for i, f := range *m.Files {
		sum, err := hex.DecodeString(f.MD5Checksum)
		switch {
		case f.Key == "":
			return fmt.Errorf("the key of file %d is missing", i)
		case seen[f.Key]:
			return fmt.Errorf("file %s is named twice", quote(f.Key))
		case f.Size == nil || *f.Size < 0 || *f.Size > 1<<50:
			return fmt.Errorf("the size of file %s is missing or wrong", quote(f.Key))
		case err != nil || len(sum) != len(file{}.md5):
			return fmt.Errorf("the MD5checksum of file %s is %s, not the hex of an MD5", quote(f.Key), quote(f.MD5Checksum))
		}
		seen[f.Key] = true
		inv.files = append(inv.files, file{key: f.Key, size: *f.Size, md5: [16]byte(sum)})
		inv.SizeBytes += *f.Size
		if inv.SizeBytes < 0 {
			return errors.New("the sizes of the files add up to more than 64 bits")
		}
	}
	inv.Files = len(inv.files)
	return nil
}
