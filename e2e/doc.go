// Package e2e drives the built binary from outside, against Postgres and an AWS that Terraform has set up, and looks at
// bucket and table afterwards. It runs with the build tag "e2e": see `make e2e`.
package e2e
