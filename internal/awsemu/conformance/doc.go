// Package conformance holds one suite of checks of what coatcheck relies on in S3, SQS and the notifications between
// them. It runs against the emulator of package awsemu and, by an endpoint variable, against LocalStack, moto, other
// servers or AWS itself, so that the emulator is not only right by its own lights. README.md says how to run it and
// lists where a known server differs from AWS.
//
// The package has no code of its own: everything is in its tests.
package conformance
