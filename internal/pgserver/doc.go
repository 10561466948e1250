// Package pgserver runs a real, private Postgres on this machine for `coatcheck dev`, tests and benchmarks.
//
// [Start] uses, in this order: the server that Config.DatabaseURL names (nothing is started), an installed Postgres
// of version 14 or newer, or one that it downloads once into the user's cache folder. What it starts listens on a
// unix socket in a folder that only its owner can enter, and on no TCP port.
//
// # Whose process it is
//
// Postgres refuses to run as root, so the user it runs as is chosen for it (see runAs): an ordinary user's Postgres
// runs as that user. Root's runs in a user namespace in which root has another number, so that a data folder below
// root's own 0700 home works without giving it away; where the kernel or a container forbids that, it runs as
// nobody, who is given the folder. A folder that belongs to somebody else is served as its owner, so that one run
// under sudo does not lock its owner out.
//
// # Nothing is left behind
//
// Whoever starts Postgres may be killed at any instant. On Linux the kernel then tells Postgres to shut down (the
// parent-death signal); elsewhere a small shell that waits at a pipe does. Two lock files tell who is using a data
// folder: owner.lock is held by the process that called Start, postgres.lock is inherited by every process of
// Postgres itself, so that a free lock proves that none is left, whatever postmaster.pid says.
package pgserver
