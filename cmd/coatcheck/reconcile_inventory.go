package main

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/coatcheck/coatcheck/internal/awsclient"
	"github.com/coatcheck/coatcheck/internal/inventory"
	"github.com/coatcheck/coatcheck/internal/reconcile"
)

// inventorySource is an S3 Inventory report, sorted, as a run reads it.
type inventorySource struct {
	*inventory.Sorted
	createdAt time.Time
}

// openInventory reads a report, and sorts it in temporary files.
func (c *reconcileCommand) openInventory(ctx context.Context, s streams, cfg aws.Config) (*inventorySource, error) {
	inv, err := inventory.Open(ctx, awsclient.S3(cfg), c.FromInventory)
	if err != nil {
		return nil, fmt.Errorf("--from-inventory: %w", err)
	}
	if inv.SourceBucket != c.Bucket {
		return nil, fmt.Errorf("--from-inventory: the report is of bucket %q, and --bucket is %q", inv.SourceBucket, c.Bucket)
	}
	fmt.Fprintf(s.err, "reading the inventory of %s (%s, %s in %d files)\n",
		inv.CreatedAt.UTC().Format(time.RFC3339), inv.Format, bytesIn(inv.SizeBytes), inv.Files)
	bar := progress(s.err, "sorting", inv.SizeBytes)
	sorted, err := inv.Sort(ctx, inventory.SortConfig{Dir: c.TempDir, Progress: func(read, _ int64) { _ = bar.Set64(read) }})
	_ = bar.Exit()
	if err != nil {
		return nil, fmt.Errorf("--from-inventory: %w", err)
	}
	return &inventorySource{Sorted: sorted, createdAt: inv.CreatedAt}, nil
}

const inventoryPage = 1000

// List implements [reconcile.Source]: it makes one of all versions of a key.
func (i *inventorySource) List(ctx context.Context, r reconcile.Range) iter.Seq2[[]reconcile.Listed, error] {
	return func(yield func([]reconcile.Listed, error) bool) {
		page := make([]reconcile.Listed, 0, inventoryPage)
		// What is above after may still be below the prefix.
		after := r.After
		if after < r.Prefix {
			after = ""
		}
		for o, err := range i.All(after) {
			if err == nil {
				err = ctx.Err()
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if o.Key < r.Prefix {
				continue
			}
			if !strings.HasPrefix(o.Key, r.Prefix) || r.Until != "" && o.Key > r.Until {
				break
			}
			if n := len(page); n == 0 || page[n-1].Key != o.Key {
				if n == inventoryPage {
					if !yield(page, nil) {
						return
					}
					page = make([]reconcile.Listed, 0, inventoryPage)
				}
				page = append(page, reconcile.Listed{Key: o.Key, NoObject: true})
			}
			addVersion(&page[len(page)-1], o)
		}
		yield(page, nil)
	}
}

func addVersion(l *reconcile.Listed, o inventory.Object) {
	switch {
	case o.DeleteMarker:
		l.DeleteMarkers++
	case o.Latest && !l.NoObject: // replaced during the scan: the newer one came first
	case o.Latest:
		l.NoObject, l.SizeBytes, l.ETag, l.VersionID, l.LastModified = false, o.SizeBytes, o.ETag, o.VersionID, o.LastModified
	default:
		l.Noncurrent = append(l.Noncurrent, o.VersionID)
		l.NoncurrentBytes += o.SizeBytes
	}
}
