// Package torture tests the safety rules (R1 to R10, see package media) under every order of events, every crash and
// every fault of the servers behind. Its tests run for a while with the others, and longer by `make torture SECONDS=60
// SEED=1`.
package torture
