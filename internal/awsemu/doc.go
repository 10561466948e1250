// Package awsemu is a small and exact emulator of Amazon S3 and Amazon SQS with bucket notifications between
// them, on one endpoint. It serves `coatcheck dev`, tests and benchmarks; no package of the product imports it.
//
// It exists because no server that can be had does all that coatcheck depends on: check every signature and every
// signed header, so that a presigned URL that fits too much is noticed; carry out conditional writes; and send
// notifications with a sequencer, so that the order of events can be relied on in a test.
//
// # What is emulated
//
// S3, path style and virtual-host style (bucket.localhost): Signature Version 4 in the header and in the query,
// with hashed, unsigned and chunked payloads; the five additional checksums and Content-MD5; conditional writes
// and reads; ranges; metadata, tags and copies; single and batched deletion; multipart uploads; versions, delete
// markers and suspended versioning; every listing in byte order with its paging; CORS; notifications to queues
// with prefix and suffix filters and s3:TestEvent. Errors are AWS's own, as XML.
//
// SQS, standard queues over the AWS JSON 1.0 protocol: long polling, visibility, delays, retention, batches with
// partial failure, dead-letter redrive and move tasks.
//
// With Config.Dir everything answered survives the process, also one that is killed: bodies are files, the rest
// is an append-only journal that is compacted when it is opened. Nothing is synced, so a power cut may lose some.
//
// Server.Faults makes what goes wrong in the real world go wrong on demand: notifications that are lost, doubled,
// late or out of order, requests that are slow, refused or cut off, keys and entries of batches that fail.
//
// # What is not
//
// There is one account with one credential pair, and it may do everything: bucket and queue policies, ACLs,
// public access blocks and encryption are kept and given back, and otherwise ignored. That includes the policy by
// which a queue admits S3. Lifecycle rules are kept, never executed; website, replication, object lock, logging,
// inventory, POST forms, UploadPartCopy, GetObjectAttributes, partNumber reads, SELECT, FIFO queues and the query
// protocol of SQS are missing, and answered as not implemented. Notifications go to queues, not to topics,
// functions or EventBridge. The waits of 60 seconds after PurgeQueue and DeleteQueue are not imposed. A part
// without a checksum is accepted in an upload that was created with a checksum algorithm, as it is when the
// client is a browser with a presigned URL; the server computes it. Move tasks do not survive a restart, the
// messages do.
package awsemu
