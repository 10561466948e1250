// Package awserr holds the one error type that every part of the emulator answers with.
package awserr

import "fmt"

// Detail is an element that AWS adds to some errors beside code and message, such as the region it expected.
type Detail struct{ Name, Value string }

// Error is an answer other than success: an HTTP status, AWS's code for it and a sentence. S3 writes it as XML
// and SQS as JSON.
type Error struct {
	Status  int
	Code    string
	Message string
	Details []Detail
}

// New returns an Error.
func New(status int, code, message string, details ...Detail) *Error {
	return &Error{Status: status, Code: code, Message: message, Details: details}
}

// Newf returns an Error with a formatted message.
func Newf(status int, code, format string, args ...any) *Error {
	return &Error{Status: status, Code: code, Message: fmt.Sprintf(format, args...)}
}

func (e *Error) Error() string { return fmt.Sprintf("%d %s: %s", e.Status, e.Code, e.Message) }
