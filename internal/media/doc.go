// Package media is the domain: what a media is, the states it goes through, and who may move it where.
//
// One media is one row, one object key, one owner. It begins PENDING when its upload is presigned, is UPLOADED
// once its object is known to exist in S3 (it has landed), CONFIRMED once something in the product claims it, and
// DELETING then DELETED when nothing does. [Transitions] is the whole of it; every statement that changes a state
// takes its guard from there.
//
// # The safety rules
//
// Code, tests and docs refer to these by number.
//
//   - R1 A CONFIRMED media's object is never deleted by a sweep, a reconciliation, or a race between them and a
//     confirmation.
//   - R2 When traffic stops, within the windows every object under the managed prefix is CONFIRMED or gone, and
//     every CONFIRMED row has its object.
//   - R3 A successful confirmation means: the object has landed with the declared size, type and checksum, and its
//     content cannot change afterwards.
//   - R4 A message is deleted from the queue only after its effect is committed, and only if it was understood.
//   - R5 Any duplication, reordering or delay of notifications leads to the same final state.
//   - R6 Deleting is a recorded intent first (DELETING), then done, then recorded (DELETED). A crash at any point
//     loses neither the object's name nor the intent. Per-key failures are retried with back-off, and visible.
//   - R7 Nothing that is younger than the grace period, or whose upload could still be running, is treated as stray.
//   - R8 A reconciliation that would delete more than a set share of what it saw stops and says so.
//   - R9 Nobody sees, confirms or cancels what is not theirs, and an error message does not tell that it exists.
//   - R10 Every process may be killed at any instant, and any number of each may run side by side.
//
// The package imports nothing else of this module.
package media
