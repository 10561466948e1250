package rpc

import "github.com/coatcheck/coatcheck/internal/reconcile"

// KnowsKind reports whether the API has a name for a kind of finding.
func KnowsKind(k reconcile.Kind) bool { return kinds[k] != 0 }
