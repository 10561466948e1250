// Package reconcile holds the bucket against the table, both ways: every object is to be explained by a row, and every
// row that has landed is to have its object.
//
// A run goes over two streams in the order of keys, what S3 lists and what Postgres holds, and merges them in constant
// memory. The key space is cut into shards, each of which any process may take by a lease; where a shard has got to, what
// was found up to there and what was done about it are one transaction, so that a run that was stopped or killed goes on
// without losing or doubling anything (R10).
//
//   - An object of a PENDING media has landed, and its notification was lost: the same transition as any landing.
//   - An object of a tombstone is deleted again, by way of DELETING.
//   - An object that no row explains is a stray. It is recorded, and goes only in a later run, after a grace period, if
//     nothing about it has changed, still no row knows it, and the run's settings let it go (R7).
//   - A media that has landed and whose object S3 does not have, when asked again, is missing. It is recorded and shown,
//     never papered over.
//
// A listing is a hint. Before anything is done S3 is asked for the object itself, and the row is looked up once more;
// what cannot be told is left as it is and counted. A run in which strays are more than a set share of what was seen
// removes nothing: it is looking at the wrong database (R8).
package reconcile
