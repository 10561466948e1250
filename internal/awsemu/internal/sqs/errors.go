package sqs

import (
	"net/http"

	"github.com/coatcheck/coatcheck/internal/awsemu/internal/awserr"
)

// queryCodes are the codes of the query protocol where they differ from the JSON protocol's names. The SDKs
// report them, for the sake of programs that are older than the JSON protocol; they come in a header.
var queryCodes = map[string]string{
	"QueueDoesNotExist":            "AWS.SimpleQueueService.NonExistentQueue",
	"QueueNameExists":              "QueueAlreadyExists",
	"EmptyBatchRequest":            "AWS.SimpleQueueService.EmptyBatchRequest",
	"TooManyEntriesInBatchRequest": "AWS.SimpleQueueService.TooManyEntriesInBatchRequest",
	"BatchEntryIdsNotDistinct":     "AWS.SimpleQueueService.BatchEntryIdsNotDistinct",
	"BatchRequestTooLong":          "AWS.SimpleQueueService.BatchRequestTooLong",
	"InvalidBatchEntryId":          "AWS.SimpleQueueService.InvalidBatchEntryId",
	"MessageNotInflight":           "AWS.SimpleQueueService.MessageNotInflight",
	"UnsupportedOperation":         "AWS.SimpleQueueService.UnsupportedOperation",
	"MissingRequiredParameter":     "MissingParameter",
	"InternalError":                "InternalFailure",
	"ThrottlingException":          "Throttling",
	"UnknownOperationException":    "InvalidAction",
}

func noSuchQueue() error {
	return awserr.New(http.StatusBadRequest, "QueueDoesNotExist", "The specified queue does not exist.")
}

func invalidParameter(message string) error {
	return awserr.New(http.StatusBadRequest, "InvalidParameterValue", message)
}

func missing(name string) error {
	return awserr.Newf(http.StatusBadRequest, "MissingRequiredParameter", "The request must contain the parameter %s.", name)
}

func badHandle(handle string) error {
	return awserr.Newf(http.StatusBadRequest, "ReceiptHandleIsInvalid", "The input receipt handle \"%s\" is not a valid receipt handle.", handle)
}
